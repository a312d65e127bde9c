"""Lines are looked up by their object only where that is rare."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("reconciliation", "0006_rights"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="statementline",
            name="line_by_reference",
        ),
        migrations.AddIndex(
            model_name="statementline",
            index=models.Index(models.F("source"), models.F("reference"), condition=models.Q(("flow", "charge"), _negated=True), name="line_by_reference"),
        ),
        migrations.AddIndex(
            model_name="statementline",
            index=models.Index(models.F("source"), models.F("charge_reference"), condition=models.Q(("flow__in", ["refund", "refund_failure"])), name="line_of_refund"),
        ),
    ]
