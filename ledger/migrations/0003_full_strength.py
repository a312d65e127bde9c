"""Entries by one index, commit order, folding, balances at an instant, periods, and posting that answers item by item."""

from django.db import migrations, models

from ledger.sql import load

KINDS = [
    "settle_charge",
    "late_success",
    "settle_refund",
    "refund_returned",
    "reversal",
    "partial_reversal",
]

# What 0003/tables.sql does to the tables, as Django is to know it.
STATE = [
    migrations.RemoveConstraint("entry", "entry_leg_is_unique_in_its_transaction"),
    migrations.RemoveIndex("entry", "entry_by_account"),
    migrations.AddField("balance", "posted_at", models.DateTimeField(null=True)),
    migrations.AddField("book", "closed_before", models.DateTimeField(editable=False, null=True)),
    migrations.AddField("book", "soft_closed_before", models.DateTimeField(editable=False, null=True)),
    migrations.AddField("entry", "posted_at", models.DateTimeField(default=None), preserve_default=False),
    migrations.AddField("transaction", "metadata", models.JSONField(db_default={})),
    migrations.AddField("transaction", "occurred_at", models.DateTimeField(null=True)),
    migrations.AlterField("entry", "id", models.BigIntegerField(primary_key=True, serialize=False)),
    migrations.AddIndex("entry", models.Index(models.F("account"), models.F("posted_at"), models.F("id"), name="entry_by_account")),
    migrations.AddIndex(
        "entry",
        models.Index(
            models.F("account"),
            models.F("effective_at"),
            models.F("id"),
            condition=models.Q(("effective_at", models.F("posted_at")), _negated=True),
            name="entry_of_another_date",
        ),
    ),
    migrations.AddConstraint(
        "entry",
        models.CheckConstraint(
            condition=models.Q(("id", models.F("transaction_id") * 32768 + models.F("leg"))),
            name="entry_id_is_its_transaction_and_leg",
        ),
    ),
]


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_guards")]

    operations = [
        migrations.SeparateDatabaseAndState([migrations.RunSQL(load("0003/tables"))], STATE),
        migrations.RemoveConstraint("transaction", "transaction_kind_is_known"),
        migrations.AlterField(
            "transaction", "kind", models.CharField(choices=[(kind, kind.replace("_", " ").title()) for kind in KINDS], max_length=32)
        ),
        migrations.AddConstraint(
            "transaction",
            models.CheckConstraint(condition=models.Q(("kind__in", KINDS)), name="transaction_kind_is_known"),
        ),
        migrations.RunSQL(load("0003/periods")),
        migrations.RunSQL(load("0003/guards")),
        migrations.RunSQL(load("0003/posting")),
        migrations.RunSQL(load("0003/fold")),
        migrations.RunSQL(load("0003/grants")),
    ]
