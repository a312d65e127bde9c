"""Seals: the chain of each book, its keys, the mark, and how far the heads are published."""

from django.db import migrations

from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_kinds")]

    operations = [
        migrations.RunSQL(load("0005/seals")),
        migrations.RunSQL(load("0005/grants")),
    ]
