"""One more kind of transaction: a conversion is undone in part, for a refund at its rate."""

from django.db import migrations, models

from ledger.models import TransactionKind
from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_reading")]

    operations = [
        migrations.RunSQL(load("0006/kinds")),
        migrations.AlterField("transaction", "kind", models.CharField(choices=TransactionKind.choices, max_length=32)),
    ]
