"""What releases, reserves and refunds need: a merchant's terms, what is held back, and whose money a refund is."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

from payments.sql import load


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0004_kinds"),
        ("payments", "0008_fx_margin"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReserveHold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("amount_minor", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(null=True)),
                ("freed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="merchantbook",
            name="business_calendar",
            field=models.CharField(db_default="target2", max_length=10),
        ),
        migrations.AddField(
            model_name="merchantbook",
            name="capture_days_are_business_days",
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name="merchantbook",
            name="refund_fee_policy",
            field=models.CharField(choices=[("keep", "Keep"), ("return", "Return"), ("proportional", "Proportional")], db_default="keep", max_length=12),
        ),
        migrations.AddField(
            model_name="merchantbook",
            name="release_days_after_capture",
            field=models.SmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="merchantbook",
            name="release_days_after_delivery",
            field=models.SmallIntegerField(db_default=0, null=True),
        ),
        migrations.AddField(
            model_name="merchantbook",
            name="time_zone",
            field=models.CharField(db_default="UTC", max_length=64),
        ),
        migrations.AddField(
            model_name="refund",
            name="attention_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="refund",
            name="failure",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="refund",
            name="fee_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="refund",
            name="fee_policy",
            field=models.CharField(blank=True, db_default="", max_length=12),
        ),
        migrations.AddField(
            model_name="refund",
            name="from_available_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="refund",
            name="from_debt_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="refund",
            name="from_pending_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="refund",
            name="reference",
            field=models.CharField(blank=True, db_default="", max_length=255),
        ),
        migrations.AddField(
            model_name="refund",
            name="settled_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="seller",
            name="reserve_basis_points",
            field=models.IntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="seller",
            name="reserve_days",
            field=models.SmallIntegerField(db_default=0),
        ),
        migrations.AlterField(
            model_name="refund",
            name="reason",
            field=models.CharField(choices=[("requested_by_customer", "Requested By Customer"), ("duplicate", "Duplicate"), ("fraudulent", "Fraudulent"), ("late_success", "Late Success")], max_length=25),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(models.F("book"), models.F("id"), name="refund_by_book"),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(models.F("attention_at"), condition=models.Q(("attention_at__isnull", False)), name="refund_needs_a_person"),
        ),
        # What was paid out so far was so when the history says it.
        migrations.RunSQL(
            "UPDATE payments_refund r SET settled_at = t.at FROM payments_transition t"
            " WHERE t.machine = 'payments_refund' AND t.object_id = r.id AND t.target = 'succeeded'",
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name="merchantbook",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("release_days_after_delivery__isnull", True), models.Q(("release_days_after_delivery__gte", 0), ("release_days_after_delivery__lte", 365)), _connector="OR"), models.Q(("release_days_after_capture__isnull", True), models.Q(("release_days_after_capture__gte", 0), ("release_days_after_capture__lte", 365)), _connector="OR")), name="release_waits_at_most_a_year"),
        ),
        migrations.AddConstraint(
            model_name="merchantbook",
            constraint=models.CheckConstraint(condition=models.Q(("refund_fee_policy__in", ["keep", "return", "proportional"])), name="refund_fee_policy_is_known"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.UniqueConstraint(models.F("book"), models.F("reference"), condition=models.Q(("reference", ""), _negated=True), name="refund_reference_is_unique_in_its_book"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("fee_minor", 0), ("from_available_minor", 0), ("from_debt_minor", 0), ("from_pending_minor", 0), ("order__isnull", True), ("reason", "late_success")), models.Q(models.Q(("reason", "late_success"), _negated=True), ("amount_minor", django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F("fee_minor"), "+", models.F("from_pending_minor")), "+", models.F("from_available_minor")), "+", models.F("from_debt_minor"))), ("fee_minor__gte", 0), ("from_available_minor__gte", 0), ("from_debt_minor__gte", 0), ("from_pending_minor__gte", 0), ("order__isnull", False)), _connector="OR"), name="refund_is_split_exactly"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("status", "succeeded"), _negated=True), ("settled_at__isnull", False), _connector="OR"), name="refund_is_settled_when_it_succeeded"),
        ),
        migrations.AddConstraint(
            model_name="seller",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("reserve_basis_points", 0), ("reserve_days", 0)), models.Q(("reserve_basis_points__gte", 1), ("reserve_basis_points__lte", 10000), ("reserve_days__gte", 1), ("reserve_days__lte", 365)), _connector="OR"), name="reserve_is_a_share_for_a_while"),
        ),
        migrations.AddField(
            model_name="reservehold",
            name="book",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book"),
        ),
        migrations.AddField(
            model_name="reservehold",
            name="currency",
            field=models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency"),
        ),
        migrations.AddField(
            model_name="reservehold",
            name="order",
            field=models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name="reserve_hold", to="payments.paymentorder"),
        ),
        migrations.AddField(
            model_name="reservehold",
            name="seller",
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to="payments.seller"),
        ),
        migrations.AddIndex(
            model_name="reservehold",
            index=models.Index(models.F("due_at"), condition=models.Q(("due_at__isnull", False)), name="reserve_to_free"),
        ),
        migrations.AddConstraint(
            model_name="reservehold",
            constraint=models.CheckConstraint(condition=models.Q(("amount_minor__gt", 0)), name="reserve_amount_is_above_zero"),
        ),
        migrations.AddConstraint(
            model_name="reservehold",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("due_at__isnull", False), ("freed_at__isnull", True)), models.Q(("due_at__isnull", True), ("freed_at__isnull", False)), _connector="OR"), name="reserve_is_held_or_freed"),
        ),
        migrations.RunSQL(load("0009/guards"), migrations.RunSQL.noop),
    ]
