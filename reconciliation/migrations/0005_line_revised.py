"""Revised lines are found by their keys."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0004_landing")]

    operations = [
        migrations.AddIndex(
            model_name="statementline",
            index=models.Index(
                models.F("source"),
                models.F("key"),
                condition=models.Q(("revision__gt", 0)),
                name="line_revised",
            ),
        ),
    ]
