"""Orders whose money becomes a buyer's stored value."""

import django.db.models.deletion
from django.db import migrations, models

from payments.sql import load


class Migration(migrations.Migration):

    dependencies = [
        ("payments", "0015_stored_value"),
    ]

    operations = [
        migrations.AddField(
            model_name="paymentorder",
            name="top_up_of",
            field=models.ForeignKey(db_column="top_up_of", db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="payments.buyer", to_field="public_id"),
        ),
        migrations.AddConstraint(
            model_name="paymentorder",
            constraint=models.CheckConstraint(condition=models.Q(("top_up_of__isnull", True), models.Q(("fee_minor", 0), ("pending_minor", 0), ("refunded_minor", 0)), _connector="OR"), name="top_up_is_no_sale"),
        ),
        migrations.RunSQL(load("0016/top_ups"), migrations.RunSQL.noop),
    ]
