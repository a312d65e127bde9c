"""The rights on proposals in a file of their own, which a restored database is given again."""

from django.db import migrations

from wallet.sql import load


class Migration(migrations.Migration):
    dependencies = [("wallet", "0003_proposals")]

    operations = [migrations.RunSQL(load("0004/grants"))]
