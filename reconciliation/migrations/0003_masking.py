"""Card numbers in statements are masked; a quarantined file may be read again; withdrawn lines are counted."""

from django.db import migrations, models
from django.db.models import Q

from reconciliation.sql import load


class Migration(migrations.Migration):

    dependencies = [("reconciliation", "0002_matches_to")]

    operations = [
        migrations.AddField(
            model_name="settlementfile",
            name="withdrawn_count",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.RemoveConstraint(model_name="settlementfile", name="a_file_is_received_once"),
        migrations.AddConstraint(
            model_name="settlementfile",
            constraint=models.UniqueConstraint(
                models.F("source"), models.F("format"), models.F("sha256"),
                condition=Q(state="ingested"), name="a_file_is_ingested_once",
            ),
        ),
        migrations.RunSQL(load("0003/masking")),
    ]
