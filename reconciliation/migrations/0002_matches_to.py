"""How far a run has booked what statements prove."""


from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("reconciliation", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="reconciliationrun",
            name="matches_to",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
    ]
