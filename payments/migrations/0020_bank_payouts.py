"""Payouts through the merchant's own bank: its accounts, files of transfers, and who may handle them."""

import django.db.models.deletion
import django_fsm
from django.db import migrations, models

from payments.models.banking import BankFile
from payments.models.machines import edges
from payments.models.payouts import Payout
from payments.sql import load

HANDLE = ("payments", "bankfile", "handle_bank_files", "Can make, hand out and withdraw bank files, and read in reports")
SEE = (
    ("payments", "bankfile", "view_bankfile", "Can view bank file"),
    ("payments", "ownbankaccount", "view_ownbankaccount", "Can view own bank account"),
)


def _allowed_transitions() -> str:
    """List what is new of payouts, and the whole machine of files. A new database has the payouts' edges from 0011."""
    found = {("payments_payout", *edge) for edge in edges(Payout)}
    found |= {("payments_bankfile", *edge) for edge in edges(BankFile)}
    found |= {("payments_bankfile", "", str(state)) for state in BankFile.INITIAL}
    values = ", ".join(f"('{machine}', '{source}', '{target}')" for machine, source, target in sorted(found))
    return f"INSERT INTO payments_allowedtransition (machine, source, target) VALUES {values} ON CONFLICT DO NOTHING"  # noqa: S608 - our own names


def let_handle(apps, schema_editor):
    """Let everybody who sees payouts see files, and operators handle them."""
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    rights = apps.get_model("auth", "Permission").objects.using(alias)

    def right(app, model, codename, name):
        content_type = types.get_or_create(app_label=app, model=model)[0]
        return rights.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]

    for name in ("viewer", "operator", "approver"):
        groups.get(name=name).permissions.add(*(right(*one) for one in SEE))
    groups.get(name="operator").permissions.add(right(*HANDLE))


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0013_posting_one"),
        ("payments", "0019_changed_back"),
    ]

    operations = [
        migrations.CreateModel(
            name="BankFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("status", django_fsm.FSMField(choices=[("requires_approval", "Requires Approval"), ("ready", "Ready"), ("handed_out", "Handed Out"), ("answered", "Answered"), ("withdrawn", "Withdrawn")], default="ready", max_length=20, protected=True)),
                ("count", models.IntegerField()),
                ("total_minor", models.BigIntegerField()),
                ("execution_on", models.DateField()),
                ("schema", models.CharField(max_length=15)),
                ("content", models.BinaryField()),
                ("sha256", models.BinaryField(max_length=32)),
                ("made_by", models.CharField(max_length=128)),
                ("made_at", models.DateTimeField()),
                ("approved_by", models.CharField(max_length=128, null=True)),
                ("approved_at", models.DateTimeField(null=True)),
            ],
            options={
                "permissions": [("handle_bank_files", "Can make, hand out and withdraw bank files, and read in reports")],
            },
        ),
        migrations.CreateModel(
            name="BankFileHandOut",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.SmallIntegerField()),
                ("actor", models.CharField(max_length=128)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="BankInstruction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("end_to_end_id", models.CharField(max_length=35)),
                ("amount_minor", models.BigIntegerField()),
                ("withdrawn_at", models.DateTimeField(null=True)),
                ("booked_on", models.DateField(null=True)),
                ("booked_reference", models.CharField(blank=True, db_default="", max_length=100)),
                ("returned_on", models.DateField(null=True)),
                ("returned_reference", models.CharField(blank=True, db_default="", max_length=100)),
                ("refused_on", models.DateField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="OwnBankAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("name", models.CharField(max_length=32)),
                ("holder", models.CharField(max_length=70)),
                ("bic", models.CharField(blank=True, db_default="", max_length=11)),
                ("details", models.BinaryField()),
                ("masked", models.CharField(max_length=40)),
                ("blind_index", models.BinaryField(max_length=32)),
                ("schema", models.CharField(choices=[("pain.001.001.03", "V3"), ("pain.001.001.09", "V9")], default="pain.001.001.09", max_length=15)),
                ("created_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="payout",
            name="payout_that_left_has_its_transfer",
        ),
        migrations.AlterField(
            model_name="payout",
            name="psp_account",
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.pspaccount"),
        ),
        migrations.AddField(
            model_name="bankfile",
            name="book",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book"),
        ),
        migrations.AddField(
            model_name="bankfile",
            name="currency",
            field=models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency"),
        ),
        migrations.AddField(
            model_name="bankfilehandout",
            name="file",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="hand_outs", to="payments.bankfile"),
        ),
        migrations.AddField(
            model_name="bankinstruction",
            name="book",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book"),
        ),
        migrations.AddField(
            model_name="bankinstruction",
            name="destination",
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="payments.payoutdestination"),
        ),
        migrations.AddField(
            model_name="bankinstruction",
            name="file",
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name="instructions", to="payments.bankfile"),
        ),
        migrations.AddField(
            model_name="bankinstruction",
            name="payout",
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name="instructions", to="payments.payout"),
        ),
        migrations.AddField(
            model_name="ownbankaccount",
            name="book",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book"),
        ),
        migrations.AddField(
            model_name="ownbankaccount",
            name="currency",
            field=models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency"),
        ),
        migrations.AddField(
            model_name="bankfile",
            name="bank_account",
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name="files", to="payments.ownbankaccount"),
        ),
        migrations.AddField(
            model_name="payout",
            name="bank_account",
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.ownbankaccount"),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(models.F("bank_account"), models.F("id"), condition=models.Q(("bank_account__isnull", False), ("status__in", ["pending", "sent"])), name="payout_of_the_bank"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("status__in", ["sent", "paid", "failed", "returned"]), _negated=True), models.Q(("transfer_psp_id", ""), _negated=True), ("bank_account__isnull", False), _connector="OR"), name="payout_that_left_has_its_transfer"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(("psp_account__isnull", True), ("bank_account__isnull", True), _connector="XOR"), name="payout_goes_through_a_psp_or_a_bank"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(("bank_account__isnull", True), models.Q(("due_at__isnull", True), ("psp_id__isnull", True), ("transfer_psp_id", ""), models.Q(("status", "failed"), _negated=True)), _connector="OR"), name="bank_payout_is_not_for_the_psp"),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("status", "cancelled"), _negated=True), ("transfer_psp_id", ""), _connector="OR"), name="cancelled_payout_had_no_transfer"),
        ),
        migrations.AddConstraint(
            model_name="bankfilehandout",
            constraint=models.UniqueConstraint(models.F("file"), models.F("number"), name="hand_out_has_its_number"),
        ),
        migrations.AddConstraint(
            model_name="bankinstruction",
            constraint=models.UniqueConstraint(models.F("payout"), condition=models.Q(("withdrawn_at__isnull", True)), name="payout_is_in_one_file_that_counts"),
        ),
        migrations.AddConstraint(
            model_name="bankinstruction",
            constraint=models.UniqueConstraint(models.F("book"), models.F("end_to_end_id"), condition=models.Q(("withdrawn_at__isnull", True)), name="end_to_end_id_is_of_one_payout"),
        ),
        migrations.AddConstraint(
            model_name="bankinstruction",
            constraint=models.CheckConstraint(condition=models.Q(("amount_minor__gt", 0)), name="instruction_amount_is_above_zero"),
        ),
        migrations.AddConstraint(
            model_name="bankinstruction",
            constraint=models.CheckConstraint(condition=models.Q(("refused_on__isnull", True), ("booked_on__isnull", True), _connector="OR"), name="instruction_is_booked_or_refused"),
        ),
        migrations.AddConstraint(
            model_name="bankinstruction",
            constraint=models.CheckConstraint(condition=models.Q(("returned_on__isnull", True), ("booked_on__isnull", False), _connector="OR"), name="instruction_was_booked_before_it_returned"),
        ),
        migrations.AddConstraint(
            model_name="bankinstruction",
            constraint=models.CheckConstraint(condition=models.Q(("withdrawn_at__isnull", True), models.Q(("booked_on__isnull", True), ("refused_on__isnull", True)), _connector="OR"), name="withdrawn_instruction_has_no_outcome"),
        ),
        migrations.AddConstraint(
            model_name="ownbankaccount",
            constraint=models.UniqueConstraint(models.F("book"), models.F("name"), models.F("currency"), name="own_bank_account_name_is_unique_in_its_book"),
        ),
        migrations.AddConstraint(
            model_name="ownbankaccount",
            constraint=models.UniqueConstraint(models.F("book"), models.F("blind_index"), models.F("currency"), name="own_bank_account_is_one_per_iban"),
        ),
        migrations.AddConstraint(
            model_name="ownbankaccount",
            constraint=models.UniqueConstraint(models.F("id"), models.F("book"), name="own_bank_account_belongs_to_one_book"),
        ),
        migrations.AddConstraint(
            model_name="ownbankaccount",
            constraint=models.UniqueConstraint(models.F("book"), models.F("currency"), condition=models.Q(("closed_at__isnull", True)), name="one_bank_account_pays_in_a_currency"),
        ),
        migrations.AddIndex(
            model_name="bankfile",
            index=models.Index(models.F("book"), models.F("id"), name="bank_file_by_book"),
        ),
        migrations.AddConstraint(
            model_name="bankfile",
            constraint=models.UniqueConstraint(models.F("id"), models.F("book"), name="bank_file_belongs_to_one_book"),
        ),
        migrations.AddConstraint(
            model_name="bankfile",
            constraint=models.CheckConstraint(condition=models.Q(("count__gt", 0), ("total_minor__gt", 0)), name="bank_file_pays_something"),
        ),
        migrations.AddConstraint(
            model_name="bankfile",
            constraint=models.CheckConstraint(condition=models.Q(("currency", "EUR")), name="bank_file_is_in_euro"),
        ),
        migrations.AddConstraint(
            model_name="bankfile",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("approved_at__isnull", True), ("approved_by__isnull", True)), models.Q(models.Q(("approved_by", models.F("made_by")), _negated=True), ("approved_at__isnull", False)), _connector="OR"), name="bank_file_is_approved_by_somebody_else"),
        ),
        migrations.RunSQL(_allowed_transitions()),
        migrations.RunSQL(load("0020/bank_payouts")),
        migrations.RunPython(let_handle, migrations.RunPython.noop),
    ]
