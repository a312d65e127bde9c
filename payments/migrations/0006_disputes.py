"""Disputes and their parts, a machine of their own; an order knows what of its fee disputes took."""

import django.db.models.deletion
import django.db.models.expressions
import django_fsm
from django.db import migrations, models

from payments.models.disputes import Dispute
from payments.models.machines import edges
from payments.sql import load


def _allowed_transitions() -> str:
    rows = sorted({("", str(state)) for state in Dispute.INITIAL} | edges(Dispute))
    values = ", ".join(f"('payments_dispute', '{source}', '{target}')" for source, target in rows)
    return f"INSERT INTO payments_allowedtransition (machine, source, target) VALUES {values}"  # noqa: S608 - our own names


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0009_regain_dispute"),
        ("payments", "0005_runs"),
    ]

    operations = [
        migrations.CreateModel(
            name="Dispute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("psp_id", models.CharField(max_length=255)),
                ("status", django_fsm.FSMField(choices=[("inquiry_open", "Inquiry Open"), ("inquiry_review", "Inquiry Review"), ("inquiry_closed", "Inquiry Closed"), ("needs_response", "Needs Response"), ("under_review", "Under Review"), ("lost", "Lost"), ("won", "Won")], default="needs_response", max_length=20, protected=True)),
                ("reason", models.CharField(blank=True, db_default="", max_length=64)),
                ("network_reason", models.CharField(blank=True, db_default="", max_length=32)),
                ("amount_minor", models.BigIntegerField()),
                ("taken_minor", models.BigIntegerField(db_default=0, default=0)),
                ("returned_minor", models.BigIntegerField(db_default=0, default=0)),
                ("lost_minor", models.BigIntegerField(db_default=0, default=0)),
                ("regained_minor", models.BigIntegerField(db_default=0, default=0)),
                ("cost_minor", models.BigIntegerField(db_default=0, default=0)),
                ("cost_returned_minor", models.BigIntegerField(db_default=0, default=0)),
                ("evidence_due_at", models.DateTimeField(null=True)),
                ("evidence_count", models.IntegerField(db_default=0, default=0)),
                ("evidence_status", models.CharField(choices=[("none", "None"), ("pending", "Pending"), ("submitted", "Submitted"), ("refused", "Refused")], db_default="none", default="none", max_length=9)),
                ("evidence_at", models.DateTimeField(null=True)),
                ("evidence_message", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("quarantined_at", models.DateTimeField(null=True)),
                ("quarantine_reason", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("version", models.IntegerField(db_default=1, default=1)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("fence", models.BigIntegerField(db_default=0, default=0)),
                ("tries", models.IntegerField(db_default=0, default=0)),
            ],
        ),
        migrations.CreateModel(
            name="DisputePart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.SmallIntegerField()),
                ("amount_minor", models.BigIntegerField()),
                ("excess_minor", models.BigIntegerField()),
                ("fee_minor", models.BigIntegerField()),
                ("pending_minor", models.BigIntegerField(default=0)),
                ("available_minor", models.BigIntegerField(default=0)),
                ("debt_minor", models.BigIntegerField(default=0)),
                ("returned_minor", models.BigIntegerField(default=0)),
                ("lost_minor", models.BigIntegerField(default=0)),
                ("regained_minor", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name="paymentorder",
            name="fee_disputed_minor",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="pspnotification",
            name="charge_psp_id",
            field=models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
        migrations.AddConstraint(
            model_name="paymentorder",
            constraint=models.CheckConstraint(condition=models.Q(("fee_disputed_minor__gte", 0), ("fee_disputed_minor__lte", models.F("fee_minor"))), name="fee_disputed_is_within_fee"),
        ),
        migrations.AddField(
            model_name="dispute",
            name="book",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book"),
        ),
        migrations.AddField(
            model_name="dispute",
            name="charge",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="disputes", to="payments.charge"),
        ),
        migrations.AddField(
            model_name="dispute",
            name="currency",
            field=models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency"),
        ),
        migrations.AddField(
            model_name="dispute",
            name="psp_account",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="payments.pspaccount"),
        ),
        migrations.AddField(
            model_name="disputepart",
            name="dispute",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="parts", to="payments.dispute"),
        ),
        migrations.AddField(
            model_name="disputepart",
            name="order",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="dispute_parts", to="payments.paymentorder"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(models.F("book"), models.F("id"), name="dispute_by_book"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(models.F("due_at"), condition=models.Q(("due_at__isnull", False)), name="dispute_to_poll"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(models.F("id"), condition=models.Q(("quarantined_at__isnull", False)), name="dispute_in_quarantine"),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(models.F("evidence_due_at"), condition=models.Q(("status__in", ["inquiry_open", "needs_response"])), name="dispute_to_answer"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.UniqueConstraint(models.F("psp_account"), models.F("psp_id"), name="psp_dispute_is_known_once"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.UniqueConstraint(models.F("id"), models.F("book"), name="dispute_belongs_to_one_book"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(condition=models.Q(("amount_minor__gte", 0)), name="disputed_amount_is_not_negative"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(condition=models.Q(("lost_minor__gte", 0), ("returned_minor__gte", 0), ("taken_minor__gte", django.db.models.expressions.CombinedExpression(models.F("returned_minor"), "+", models.F("lost_minor")))), name="dispute_gives_back_no_more_than_it_took"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(condition=models.Q(("regained_minor__gte", 0), ("regained_minor__lte", models.F("lost_minor"))), name="dispute_regains_no_more_than_was_lost"),
        ),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(condition=models.Q(("cost_returned_minor__gte", 0), ("cost_returned_minor__lte", models.F("cost_minor"))), name="dispute_cost_returned_is_within_its_cost"),
        ),
        migrations.AddConstraint(
            model_name="disputepart",
            constraint=models.UniqueConstraint(models.F("dispute"), models.F("position"), name="dispute_part_position_is_unique"),
        ),
        migrations.AddConstraint(
            model_name="disputepart",
            constraint=models.UniqueConstraint(models.F("dispute"), models.F("order"), name="dispute_has_one_part_per_order"),
        ),
        migrations.AddConstraint(
            model_name="disputepart",
            constraint=models.CheckConstraint(condition=models.Q(("amount_minor", django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F("excess_minor"), "+", models.F("fee_minor")), "+", models.F("pending_minor")), "+", models.F("available_minor")), "+", models.F("debt_minor"))), ("available_minor__gte", 0), ("debt_minor__gte", 0), ("excess_minor__gte", 0), ("fee_minor__gte", 0), ("pending_minor__gte", 0)), name="dispute_part_is_split_exactly"),
        ),
        migrations.AddConstraint(
            model_name="disputepart",
            constraint=models.CheckConstraint(condition=models.Q(("lost_minor__gte", 0), ("regained_minor__gte", 0), ("returned_minor__gte", 0), ("regained_minor__lte", models.F("lost_minor")), ("amount_minor__gte", django.db.models.expressions.CombinedExpression(models.F("returned_minor"), "+", models.F("lost_minor")))), name="dispute_part_gives_back_no_more_than_it_took"),
        ),
        migrations.RunSQL(load("0006/disputes")),
        migrations.RunSQL(_allowed_transitions()),
    ]
