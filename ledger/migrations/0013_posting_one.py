"""One transaction is posted by a function of its own, and the guards have a short way for what is usual."""

from django.db import migrations

from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0012_walks")]

    operations = [migrations.RunSQL(load(f"0013/{name}")) for name in ("guards", "posting", "grants")]
