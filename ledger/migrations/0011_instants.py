"""Balances at an instant whatever is dated otherwise, turnover of a period, and exports by effective date."""

from django.db import migrations, models

from ledger.sql import load

OTHERWISE = models.Q(("effective_at", models.F("posted_at")), _negated=True)
STATE = [
    migrations.AddIndex(
        "transaction",
        models.Index(
            models.F("book"), models.F("kind"), models.F("effective_at"), models.F("id"),
            condition=OTHERWISE, name="transaction_by_other_date",
        ),
    ),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("ledger", "0010_period")]

    operations = [
        migrations.SeparateDatabaseAndState([migrations.RunSQL(load("0011/instants"))], STATE),
        migrations.RunSQL(load("0011/grants")),
    ]
