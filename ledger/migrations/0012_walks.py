"""Folding and sealing walk a backlog by the index of commit order, whatever the statistics say."""

from django.db import migrations

from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0011_instants")]

    operations = [migrations.RunSQL(load("0012/walks"))]
