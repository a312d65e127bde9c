"""One more kind of transaction: what was changed back is changed again, because the money came back."""

from django.db import migrations, models

from ledger.models import TransactionKind
from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0014_psp_rounding")]

    operations = [
        migrations.RunSQL(load("0015/reconvert")),
        migrations.AlterField("transaction", "kind", models.CharField(choices=TransactionKind.choices, max_length=32)),
    ]
