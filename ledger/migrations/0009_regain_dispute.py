"""One more kind of transaction: money of a lost dispute that comes back after all."""

from django.db import migrations, models

from ledger.models import TransactionKind
from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_checking")]

    operations = [
        migrations.RunSQL(load("0009/regain_dispute")),
        migrations.AlterField("transaction", "kind", models.CharField(choices=TransactionKind.choices, max_length=32)),
    ]
