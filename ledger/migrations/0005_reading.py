"""Accounts by prefix and public id, transactions of a book by kind and time, nets in the order of effective dates."""

from django.db import migrations, models

from ledger.sql import load

# What 0005/reading.sql does to the tables, as Django is to know it.
STATE = [
    migrations.AlterField("account", "code", models.CharField(db_collation="C", max_length=128)),
    migrations.AddField(
        "account",
        "public_id",
        models.UUIDField(
            db_default=models.Func(function="ledger_new_public_id", output_field=models.UUIDField()), editable=False
        ),
    ),
    migrations.AddConstraint(
        "account", models.UniqueConstraint(models.F("public_id"), name="account_public_id_is_unique")
    ),
    migrations.AddIndex(
        "transaction",
        models.Index(
            models.F("book"), models.F("kind"), models.F("posted_at"), models.F("id"), name="transaction_by_kind"
        ),
    ),
]


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_kinds")]

    operations = [migrations.SeparateDatabaseAndState([migrations.RunSQL(load("0005/reading"))], STATE)]
