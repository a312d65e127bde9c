"""One more kind of transaction: what a PSP's roundings leave over."""

from django.db import migrations, models

from ledger.models import TransactionKind
from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0013_posting_one")]

    operations = [
        migrations.RunSQL(load("0014/psp_rounding")),
        migrations.AlterField("transaction", "kind", models.CharField(choices=TransactionKind.choices, max_length=32)),
    ]
