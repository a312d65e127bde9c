"""The kinds of transaction for every verb of money, and a lock on balances for verbs that must know before they post."""

from django.db import migrations, models

import ledger.models
from ledger.models import TransactionKind
from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_full_strength")]

    operations = [
        migrations.RunSQL(load("0004/kinds")),
        migrations.RemoveConstraint("transaction", "transaction_kind_is_known"),
        # The choices are for forms only; what the database accepts is in the function above.
        migrations.AlterField("transaction", "kind", models.CharField(choices=TransactionKind.choices, max_length=32)),
        migrations.AddConstraint(
            "transaction",
            models.CheckConstraint(condition=ledger.models.KnownKind(models.F("kind")), name="transaction_kind_is_known"),
        ),
    ]
