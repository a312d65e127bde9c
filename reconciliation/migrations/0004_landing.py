"""The landing table makes room for the next file of the same transaction."""

from django.db import migrations

from reconciliation.sql import load


class Migration(migrations.Migration):

    dependencies = [("reconciliation", "0003_masking")]

    operations = [migrations.RunSQL(load("0004/landing"))]
