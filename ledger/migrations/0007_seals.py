"""Seals: the chain of each book, its keys, the mark, and how far the heads are published."""

from django.db import migrations

from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0006_unconvert")]

    operations = [
        migrations.RunSQL(load("0007/seals")),
        migrations.RunSQL(load("0007/grants")),
    ]
