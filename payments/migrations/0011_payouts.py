"""Payouts, the bank accounts they go to, what they pay, and operations that are about a payout."""

import django.db.models.deletion
import django_fsm
from django.db import migrations, models

from payments.models.machines import edges
from payments.models.payouts import Payout
from payments.sql import load

APPROVE = ("payments", "payout", "approve_payouts", "Can approve payouts that somebody else asked for")
SEE = ("payments", "payout", "view_payout", "Can view payout")


def _allowed_transitions() -> str:
    born = {("", str(state)) for state in Payout.INITIAL}
    values = ", ".join(f"('payments_payout', '{source}', '{target}')" for source, target in sorted(born | edges(Payout)))
    return f"INSERT INTO payments_allowedtransition (machine, source, target) VALUES {values}"  # noqa: S608 - our own names


def let_approve(apps, schema_editor):
    """Let viewers, operators and approvers see payouts, and approvers agree to one."""
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    rights = apps.get_model("auth", "Permission").objects.using(alias)

    def right(app, model, codename, name):
        content_type = types.get_or_create(app_label=app, model=model)[0]
        return rights.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]

    for name in ("viewer", "operator", "approver"):
        groups.get(name=name).permissions.add(right(*SEE))
    groups.get(name="approver").permissions.add(right(*APPROVE))


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0004_kinds"),
        ("payments", "0010_invoices"),
    ]

    operations = [
        migrations.CreateModel(
            name="PayoutAllocation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_id", models.BigIntegerField()),
                ("entry_id", models.BigIntegerField()),
                ("entry_version", models.BigIntegerField()),
                ("position_minor", models.BigIntegerField()),
                ("offset_minor", models.BigIntegerField()),
                ("amount_minor", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="PayoutDestination",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("type", models.CharField(choices=[("iban", "Iban"), ("us_bank", "Us Bank"), ("gb_bank", "Gb Bank")], max_length=10)),
                ("country", models.CharField(max_length=2)),
                ("details", models.BinaryField()),
                ("masked", models.CharField(max_length=40)),
                ("blind_index", models.BinaryField(max_length=32)),
                ("set_by", models.CharField(max_length=128)),
                ("created_at", models.DateTimeField()),
                ("usable_at", models.DateTimeField()),
                ("superseded_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="PspFunding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("available_minor", models.BigIntegerField(null=True)),
                ("asked_at", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("fence", models.BigIntegerField(db_default=0)),
                ("tries", models.IntegerField(db_default=0)),
            ],
        ),
        migrations.AddField(
            model_name="merchantbook",
            name="payout_approval_above",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="seller",
            name="closed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="seller",
            name="kyc_reference",
            field=models.CharField(blank=True, db_default="", max_length=255),
        ),
        migrations.AlterField(
            model_name="pspoperation",
            name="event",
            field=models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="operations", to="payments.paymentevent"),
        ),
        migrations.AlterField(
            model_name="pspoperation",
            name="kind",
            field=models.CharField(choices=[("save_method", "Save Method"), ("register", "Register"), ("hosted_session", "Hosted Session"), ("confirm", "Confirm"), ("capture", "Capture"), ("cancel", "Cancel"), ("refund", "Refund"), ("create_payee", "Create Payee"), ("transfer", "Transfer"), ("payout", "Payout"), ("reverse_transfer", "Reverse Transfer")], max_length=20),
        ),
        migrations.CreateModel(
            name="Payee",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("psp_id", models.CharField(blank=True, db_default="", max_length=255)),
                ("psp_account", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="payments.pspaccount")),
            ],
        ),
        migrations.CreateModel(
            name="Payout",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("status", django_fsm.FSMField(choices=[("requires_approval", "Requires Approval"), ("pending", "Pending"), ("sent", "Sent"), ("paid", "Paid"), ("failed", "Failed"), ("returned", "Returned"), ("cancelled", "Cancelled")], default="pending", max_length=20, protected=True)),
                ("amount_minor", models.BigIntegerField()),
                ("reference", models.CharField(max_length=255, null=True)),
                ("requested_by", models.CharField(max_length=128)),
                ("approved_by", models.CharField(max_length=128, null=True)),
                ("waiting_for", models.CharField(blank=True, db_default="", max_length=20)),
                ("failure", models.JSONField(null=True)),
                ("transfer_psp_id", models.CharField(blank=True, db_default="", max_length=255)),
                ("psp_id", models.CharField(max_length=255, null=True)),
                ("version", models.IntegerField(db_default=1)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("paid_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("fence", models.BigIntegerField(db_default=0)),
                ("tries", models.IntegerField(db_default=0)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency")),
                ("psp_account", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="payments.pspaccount")),
                ("seller", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="payouts", to="payments.seller")),
            ],
            options={
                "permissions": [("approve_payouts", "Can approve payouts that somebody else asked for")],
            },
        ),
        migrations.AddField(
            model_name="pspoperation",
            name="payout",
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="operations", to="payments.payout"),
        ),
        migrations.AddConstraint(
            model_name="pspoperation",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("event__isnull", False), ("payout__isnull", True)), models.Q(("charge__isnull", True), ("event__isnull", True), ("payout__isnull", False), ("refund__isnull", True)), _connector="OR"), name="operation_is_about_a_payment_or_a_payout"),
        ),
        migrations.AddConstraint(
            model_name="pspoperation",
            constraint=models.UniqueConstraint(models.F("payout"), models.F("kind"), condition=models.Q(("payout__isnull", False), models.Q(("closed_at__isnull", True), ("outcome__in", ["succeeded", "pending"]), _connector="OR")), name="one_operation_per_payout_and_kind"),
        ),
        migrations.AddField(
            model_name="payoutallocation",
            name="payout",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="allocations", to="payments.payout"),
        ),
        migrations.AddField(
            model_name="payoutdestination",
            name="book",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book"),
        ),
        migrations.AddField(
            model_name="payoutdestination",
            name="currency",
            field=models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency"),
        ),
        migrations.AddField(
            model_name="payoutdestination",
            name="seller",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="destinations", to="payments.seller"),
        ),
        migrations.AddField(
            model_name="payout",
            name="destination",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="payouts", to="payments.payoutdestination"),
        ),
        migrations.AddField(
            model_name="payee",
            name="destination",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="payees", to="payments.payoutdestination"),
        ),
        migrations.AddField(
            model_name="pspfunding",
            name="currency",
            field=models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency"),
        ),
        migrations.AddField(
            model_name="pspfunding",
            name="psp_account",
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="payments.pspaccount"),
        ),
        migrations.AddConstraint(
            model_name="payoutallocation",
            constraint=models.CheckConstraint(condition=models.Q(("amount_minor__gt", 0), ("offset_minor__gte", 0)), name="allocation_amount_is_above_zero"),
        ),
        migrations.AddConstraint(
            model_name="payoutallocation",
            constraint=models.UniqueConstraint(models.F("account_id"), models.F("position_minor"), name="allocation_takes_its_own_stretch"),
        ),
        migrations.AddIndex(
            model_name="payoutdestination",
            index=models.Index(models.F("book"), models.F("blind_index"), name="destination_by_account"),
        ),
        migrations.AddConstraint(
            model_name="payoutdestination",
            constraint=models.UniqueConstraint(models.F("id"), models.F("book"), name="destination_belongs_to_one_book"),
        ),
        migrations.AddConstraint(
            model_name="payoutdestination",
            constraint=models.UniqueConstraint(models.F("seller"), models.F("currency"), condition=models.Q(("superseded_at__isnull", True)), name="seller_has_one_destination_per_currency"),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(models.F("book"), models.F("id"), name="payout_by_book"),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(models.F("seller"), models.F("id"), name="payout_by_seller"),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(models.F("due_at"), condition=models.Q(("due_at__isnull", False)), name="payout_due"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(("amount_minor__gt", 0)), name="payout_amount_is_above_zero"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.UniqueConstraint(models.F("book"), models.F("reference"), name="payout_reference_is_unique_in_its_book"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.UniqueConstraint(models.F("psp_account"), models.F("psp_id"), name="psp_payout_pays_one_payout"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.UniqueConstraint(models.F("id"), models.F("book"), name="payout_belongs_to_one_book"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(("approved_by__isnull", True), models.Q(("approved_by", models.F("requested_by")), _negated=True), _connector="OR"), name="payout_is_approved_by_somebody_else"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("status__in", ["sent", "paid", "failed", "returned"]), _negated=True), models.Q(("transfer_psp_id", ""), _negated=True), _connector="OR"), name="payout_that_left_has_its_transfer"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("status", "paid"), _negated=True), ("paid_at__isnull", False), _connector="OR"), name="paid_payout_has_its_time"),
        ),
        migrations.AddConstraint(
            model_name="payee",
            constraint=models.UniqueConstraint(models.F("destination"), models.F("psp_account"), name="destination_has_one_payee_at_a_psp_account"),
        ),
        migrations.AddConstraint(
            model_name="pspfunding",
            constraint=models.UniqueConstraint(models.F("psp_account"), models.F("currency"), name="funding_is_one_per_psp_account_and_currency"),
        ),
        migrations.RunSQL(_allowed_transitions()),
        migrations.RunSQL(load("0011/payouts")),
        migrations.RunPython(let_approve, migrations.RunPython.noop),
    ]
