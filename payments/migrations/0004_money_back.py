"""What an order needs for releases, refunds and disputes: what of it is pending, given back, and taken by disputes."""

import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0004_kinds"),
        ("payments", "0003_roles"),
    ]

    operations = [
        migrations.AddField(
            model_name="paymentorder",
            name="disputed_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="paymentorder",
            name="fee_refunded_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="paymentorder",
            name="pending_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="paymentorder",
            name="release_due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="paymentorder",
            name="released_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="paymentorder",
            index=models.Index(models.F("release_due_at"), condition=models.Q(("release_due_at__isnull", False)), name="payment_order_to_release"),
        ),
        # Nothing was released, refunded or disputed so far: the whole share of the seller is pending.
        migrations.RunSQL(
            "UPDATE payments_paymentorder SET pending_minor = captured_minor - fee_minor WHERE status = 'SUCCESS'",
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name="paymentorder",
            constraint=models.CheckConstraint(condition=models.Q(("fee_refunded_minor__gte", 0), ("fee_refunded_minor__lte", models.F("fee_minor"))), name="fee_refunded_is_within_fee"),
        ),
        migrations.AddConstraint(
            model_name="paymentorder",
            constraint=models.CheckConstraint(condition=models.Q(("pending_minor", 0), models.Q(("pending_minor__gt", 0), ("pending_minor__lte", django.db.models.expressions.CombinedExpression(models.F("captured_minor"), "-", models.F("fee_minor")))), _connector="OR"), name="pending_is_within_the_sellers_share"),
        ),
        migrations.AddConstraint(
            model_name="paymentorder",
            constraint=models.CheckConstraint(condition=models.Q(("disputed_minor__gte", 0)), name="disputed_is_not_negative"),
        ),
        migrations.AddConstraint(
            model_name="paymentorder",
            constraint=models.CheckConstraint(condition=models.Q(("released_at__isnull", True), models.Q(("pending_minor", 0), ("release_due_at__isnull", True)), _connector="OR"), name="released_order_has_nothing_pending"),
        ),
    ]
