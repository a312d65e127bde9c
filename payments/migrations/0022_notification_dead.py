"""Notifications that were given up are found by their own index."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("payments", "0021_answers"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="pspnotification",
            index=models.Index(models.F("psp_account"), models.F("id"), condition=models.Q(("dead_at__isnull", False)), name="notification_dead"),
        ),
    ]
