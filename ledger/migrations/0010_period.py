"""Periods as Django is to know them: 0003 made the table."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0009_regain_dispute"),
    ]

    operations = [
        migrations.CreateModel(
            name="Period",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField()),
                ("status", models.CharField(choices=[("soft_closed", "Soft Closed"), ("closing", "Closing"), ("closed", "Closed")], max_length=11)),
                ("may_post", django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=128))),
                ("changed_at", models.DateTimeField()),
                ("changed_by", models.CharField(max_length=128)),
            ],
            options={
                "permissions": [("close_periods", "Can close periods")],
                "managed": False,
            },
        ),
    ]
