"""What of a margin the platform kept when a conversion was changed back: the seller bore it."""

from django.db import migrations, models
from django.db.models import F, Q

from wallet.sql import load


class Migration(migrations.Migration):
    dependencies = [("wallet", "0005_withdrawals"), ("ledger", "0015_reconvert")]

    operations = [
        migrations.AddField("quote", "undone_kept_minor", models.BigIntegerField(db_default=0)),
        migrations.AddConstraint(
            "quote",
            models.CheckConstraint(
                condition=Q(undone_kept_minor__gte=0, undone_kept_minor__lte=F("undone_margin_minor")),
                name="no_more_margin_is_kept_than_was_undone",
            ),
        ),
        migrations.RunSQL(load("0006/rights")),
    ]
