"""The incremental checker: its cursor, what it verified of each account, and the runs of all checks."""

from django.db import migrations, models

from ledger.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_seals")]

    operations = [
        migrations.RunSQL(load("0008/checking")),
        migrations.CreateModel(
            name="CheckRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=11)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField()),
                ("transactions", models.BigIntegerField()),
                ("through_entry", models.BigIntegerField()),
                ("violations", models.IntegerField()),
                ("findings", models.JSONField()),
            ],
            options={"db_table": "ledger_check_run", "managed": False},
        ),
    ]
