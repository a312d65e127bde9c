"""Sources, files, lines, items, runs, matches and breaks; what was said stays said."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models

from reconciliation.sql import load


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ("ledger", "0013_posting_one"),
        ("payments", "0017_approver_sees"),
    ]

    operations = [
        migrations.CreateModel(
            name="Break",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("identity", models.BinaryField()),
                ("code", models.CharField(max_length=3)),
                ("state", models.CharField(choices=[("open", "Open"), ("proposed", "Proposed"), ("resolved", "Resolved")], default="open", max_length=8)),
                ("priority", models.SmallIntegerField(choices=[(1, "Money At Risk"), (2, "Amounts Differ"), (3, "Cash Not Applied"), (4, "To Investigate")])),
                ("amount_minor", models.BigIntegerField(db_default=0, default=0)),
                ("reference", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("detail", models.CharField(max_length=500)),
                ("evidence", models.JSONField(db_default={}, default=dict)),
                ("line_ids", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), db_default=[], default=list)),
                ("item_ids", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), db_default=[], default=list)),
                ("owner", models.CharField(blank=True, db_default="", default="", max_length=128)),
                ("break_on", models.DateField()),
                ("resolution", models.CharField(blank=True, db_default="", default="", max_length=40)),
                ("resolved_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency")),
                ("transaction", models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="ledger.transaction")),
            ],
            options={
                "permissions": [("handle_breaks", "Can take, note, propose for and resolve breaks")],
            },
        ),
        migrations.CreateModel(
            name="ReconciliationRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("day", models.DateField()),
                ("state", models.CharField(choices=[("queued", "Queued"), ("running", "Running"), ("finished", "Finished"), ("failed", "Failed")], default="queued", max_length=8)),
                ("verdict", models.CharField(blank=True, choices=[("INCOMPLETE", "Incomplete"), ("BREAKS", "Breaks"), ("WITH_WARNINGS", "With Warnings"), ("WITH_PENDING", "With Pending"), ("RECONCILED", "Reconciled")], db_default="", default="", max_length=13)),
                ("rules_version", models.SmallIntegerField(db_default=1, default=1)),
                ("look", models.SmallIntegerField(db_default=0, default=0)),
                ("lines_to", models.BigIntegerField(db_default=0, default=0)),
                ("items_to", models.BigIntegerField(db_default=0, default=0)),
                ("transitions_to", models.BigIntegerField(db_default=0, default=0)),
                ("counts", models.JSONField(db_default={}, default=dict)),
                ("error", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
            ],
        ),
        migrations.CreateModel(
            name="BreakEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("what", models.CharField(max_length=16)),
                ("code", models.CharField(max_length=3)),
                ("actor", models.CharField(max_length=128)),
                ("detail", models.CharField(blank=True, max_length=1000)),
                ("at", models.DateTimeField()),
                ("break_found", models.ForeignKey(db_column="break_id", on_delete=django.db.models.deletion.PROTECT, related_name="events", to="reconciliation.break")),
                ("run", models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.reconciliationrun")),
            ],
        ),
        migrations.AddField(
            model_name="break",
            name="first_run",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="reconciliation.reconciliationrun"),
        ),
        migrations.AddField(
            model_name="break",
            name="last_run",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="reconciliation.reconciliationrun"),
        ),
        migrations.CreateModel(
            name="Source",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("code", models.CharField(max_length=64)),
                ("side", models.CharField(choices=[("psp", "Psp"), ("bank", "Bank")], max_length=4)),
                ("bank_name", models.CharField(blank=True, db_default="", default="", max_length=32)),
                ("account", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("currencies", django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=3), db_default=[], default=list)),
                ("location", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("format", models.CharField(blank=True, db_default="", default="", max_length=32)),
                ("columns", models.JSONField(db_default={}, default=dict)),
                ("fee_schedule", models.JSONField(db_default={}, default=dict)),
                ("starts_on", models.DateField()),
                ("grace_days", models.SmallIntegerField(db_default=3, default=3)),
                ("active", models.BooleanField(db_default=True, default=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("psp_account", models.OneToOneField(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="payments.pspaccount")),
            ],
        ),
        migrations.CreateModel(
            name="SettlementFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("format", models.CharField(max_length=32)),
                ("name", models.CharField(blank=True, max_length=255)),
                ("sha256", models.BinaryField()),
                ("size", models.BigIntegerField()),
                ("state", models.CharField(choices=[("ingested", "Ingested"), ("quarantined", "Quarantined")], max_length=11)),
                ("identity", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("first_day", models.DateField(null=True)),
                ("last_day", models.DateField(null=True)),
                ("line_count", models.IntegerField(db_default=0, default=0)),
                ("new_count", models.IntegerField(db_default=0, default=0)),
                ("known_count", models.IntegerField(db_default=0, default=0)),
                ("changed_count", models.IntegerField(db_default=0, default=0)),
                ("declared", models.JSONField(db_default={}, default=dict)),
                ("errors", models.JSONField(db_default=[], default=list)),
                ("received_at", models.DateTimeField()),
                ("received_from", models.CharField(max_length=128)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("revises", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="revisions", to="reconciliation.settlementfile")),
                ("source", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="files", to="reconciliation.source")),
            ],
        ),
        migrations.AddField(
            model_name="reconciliationrun",
            name="source",
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="reconciliation.source"),
        ),
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("flow", models.CharField(choices=[("charge", "Charge"), ("refund", "Refund"), ("refund_failure", "Refund Failure"), ("dispute", "Dispute"), ("dispute_reversal", "Dispute Reversal"), ("transfer", "Transfer"), ("transfer_reversal", "Transfer Reversal"), ("fee", "Fee"), ("reserve", "Reserve"), ("payout", "Payout"), ("payout_reversal", "Payout Reversal"), ("top_up", "Top Up"), ("conversion", "Conversion"), ("credit", "Credit"), ("debit", "Debit"), ("return", "Return"), ("interest", "Interest"), ("other", "Other")], max_length=17)),
                ("reference", models.CharField(max_length=255)),
                ("part", models.SmallIntegerField(db_default=0, default=0)),
                ("currency", models.CharField(max_length=3)),
                ("amount_minor", models.BigIntegerField()),
                ("fee_minor", models.BigIntegerField(db_default=0, default=0)),
                ("subject_kind", models.CharField(max_length=10)),
                ("subject_id", models.BigIntegerField()),
                ("counterparty", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("occurred_at", models.DateTimeField()),
                ("expected_by", models.DateField()),
                ("source", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.source")),
            ],
        ),
        migrations.AddField(
            model_name="break",
            name="source",
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.source"),
        ),
        migrations.CreateModel(
            name="StatementLine",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.IntegerField()),
                ("key", models.CharField(max_length=128)),
                ("revision", models.SmallIntegerField(db_default=0, default=0)),
                ("flow", models.CharField(choices=[("charge", "Charge"), ("refund", "Refund"), ("refund_failure", "Refund Failure"), ("dispute", "Dispute"), ("dispute_reversal", "Dispute Reversal"), ("transfer", "Transfer"), ("transfer_reversal", "Transfer Reversal"), ("fee", "Fee"), ("reserve", "Reserve"), ("payout", "Payout"), ("payout_reversal", "Payout Reversal"), ("top_up", "Top Up"), ("conversion", "Conversion"), ("credit", "Credit"), ("debit", "Debit"), ("return", "Return"), ("interest", "Interest"), ("other", "Other")], max_length=17)),
                ("category", models.CharField(max_length=64)),
                ("currency", models.CharField(max_length=3)),
                ("gross_minor", models.BigIntegerField()),
                ("fee_minor", models.BigIntegerField(db_default=0, default=0)),
                ("booked_on", models.DateField()),
                ("occurred_at", models.DateTimeField(null=True)),
                ("available_on", models.DateField(null=True)),
                ("reference", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("charge_reference", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("batch", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("own_reference", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("paid_currency", models.CharField(blank=True, db_default="", default="", max_length=3)),
                ("paid_minor", models.BigIntegerField(null=True)),
                ("counterparty", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("text", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("file", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.settlementfile")),
                ("source", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.source")),
            ],
        ),
        migrations.CreateModel(
            name="Match",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("rule", models.CharField(choices=[("reference", "Reference"), ("group", "Group"), ("payout", "Payout"), ("tolerance", "Tolerance"), ("amount_date", "Amount And Date"), ("netted", "Netted"), ("posted", "Posted"), ("break", "Break"), ("person", "Person")], max_length=11)),
                ("rules_version", models.SmallIntegerField(db_default=1, default=1)),
                ("group", models.BigIntegerField(null=True)),
                ("actor", models.CharField(blank=True, db_default="", default="", max_length=128)),
                ("undone_at", models.DateTimeField(null=True)),
                ("undone_by", models.CharField(blank=True, db_default="", default="", max_length=128)),
                ("note", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("item", models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.item")),
                ("run", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.reconciliationrun")),
                ("source", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.source")),
                ("line", models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="reconciliation.statementline")),
            ],
        ),
        migrations.CreateModel(
            name="Identity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(choices=[("bridge", "Bridge"), ("open_items", "Open Items"), ("balance", "Balance"), ("sub_ledger", "Sub Ledger")], max_length=10)),
                ("left_minor", models.BigIntegerField()),
                ("right_minor", models.BigIntegerField()),
                ("terms", models.JSONField()),
                ("proven", models.BooleanField(default=True)),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency")),
                ("run", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="identities", to="reconciliation.reconciliationrun")),
            ],
            options={
                "constraints": [models.UniqueConstraint(models.F("run"), models.F("name"), models.F("currency"), name="a_run_has_each_identity_once")],
            },
        ),
        migrations.CreateModel(
            name="RepairCap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=3)),
                ("item_minor", models.BigIntegerField()),
                ("day_minor", models.BigIntegerField()),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency")),
            ],
            options={
                "constraints": [models.UniqueConstraint(models.F("book"), models.F("code"), models.F("currency"), name="a_cap_is_one_per_class_and_currency"), models.CheckConstraint(condition=models.Q(("day_minor__gte", models.F("item_minor")), ("item_minor__gte", 0)), name="a_cap_of_a_day_covers_an_item")],
            },
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(models.F("book"), models.F("code"), name="source_code_is_unique_in_its_book"),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(models.F("id"), models.F("book"), name="source_belongs_to_one_book"),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("bank_name", ""), ("psp_account__isnull", False), ("side", "psp")), models.Q(("psp_account__isnull", True), ("side", "bank"), models.Q(("bank_name", ""), _negated=True), models.Q(("account", ""), _negated=True)), _connector="OR"), name="source_is_a_psp_account_or_a_bank_account"),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.CheckConstraint(condition=models.Q(("grace_days__gte", 0), ("grace_days__lte", 60)), name="grace_is_0_to_60_days"),
        ),
        migrations.AddIndex(
            model_name="settlementfile",
            index=models.Index(models.F("book"), models.F("id"), name="settlement_file_by_book"),
        ),
        migrations.AddIndex(
            model_name="settlementfile",
            index=models.Index(models.F("source"), models.F("identity"), name="settlement_file_by_identity"),
        ),
        migrations.AddConstraint(
            model_name="settlementfile",
            constraint=models.UniqueConstraint(models.F("source"), models.F("format"), models.F("sha256"), name="a_file_is_received_once"),
        ),
        migrations.AddConstraint(
            model_name="settlementfile",
            constraint=models.UniqueConstraint(models.F("id"), models.F("source"), name="file_belongs_to_one_source"),
        ),
        migrations.AddConstraint(
            model_name="settlementfile",
            constraint=models.CheckConstraint(condition=models.Q(("line_count", django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F("new_count"), "+", models.F("known_count")), "+", models.F("changed_count")))), name="every_line_of_a_file_is_accounted_for"),
        ),
        migrations.AddConstraint(
            model_name="settlementfile",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("errors", []), ("state", "ingested")), models.Q(("line_count", 0), ("state", "quarantined"), models.Q(("errors", []), _negated=True)), _connector="OR"), name="a_quarantined_file_has_errors_and_no_lines"),
        ),
        migrations.AddIndex(
            model_name="reconciliationrun",
            index=models.Index(models.F("book"), models.F("id"), name="reconciliation_run_by_book"),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.UniqueConstraint(fields=("book", "source", "day"), name="a_day_of_a_source_is_one_run", nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("finished_at__isnull", False), ("state", "finished"), models.Q(("verdict", ""), _negated=True)), models.Q(models.Q(("state", "finished"), _negated=True), ("verdict", "")), _connector="OR"), name="a_finished_run_has_a_verdict"),
        ),
        migrations.AddIndex(
            model_name="item",
            index=models.Index(models.F("subject_kind"), models.F("subject_id"), name="item_by_subject"),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.UniqueConstraint(models.F("source"), models.F("flow"), models.F("reference"), models.F("part"), name="an_item_is_expected_once"),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.CheckConstraint(condition=models.Q(("reference", ""), _negated=True), name="an_item_has_a_reference"),
        ),
        migrations.AddIndex(
            model_name="break",
            index=models.Index(models.F("book"), models.F("state"), models.F("code"), models.F("id"), name="break_by_state"),
        ),
        migrations.AddIndex(
            model_name="break",
            index=models.Index(models.F("source"), models.F("id"), condition=models.Q(("state", "resolved"), _negated=True), name="break_unresolved"),
        ),
        migrations.AddConstraint(
            model_name="break",
            constraint=models.UniqueConstraint(models.F("book"), models.F("identity"), name="a_break_has_one_identity"),
        ),
        migrations.AddConstraint(
            model_name="break",
            constraint=models.CheckConstraint(condition=models.Q(("code__regex", "^[A-D][0-9]{2}$")), name="break_code_has_its_form"),
        ),
        migrations.AddConstraint(
            model_name="break",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("resolved_at__isnull", False), ("state", "resolved"), models.Q(("resolution", ""), _negated=True)), models.Q(models.Q(("state", "resolved"), _negated=True), ("resolution", ""), ("resolved_at__isnull", True)), _connector="OR"), name="a_resolved_break_says_how"),
        ),
        migrations.AddIndex(
            model_name="statementline",
            index=models.Index(models.F("source"), models.F("batch"), condition=models.Q(("batch", ""), _negated=True), name="line_by_batch"),
        ),
        migrations.AddIndex(
            model_name="statementline",
            index=models.Index(models.F("source"), models.F("reference"), condition=models.Q(("reference", ""), _negated=True), name="line_by_reference"),
        ),
        migrations.AddConstraint(
            model_name="statementline",
            constraint=models.UniqueConstraint(models.F("source"), models.F("key"), models.F("revision"), name="a_line_is_kept_once"),
        ),
        migrations.AddIndex(
            model_name="match",
            index=models.Index(models.F("source"), models.F("id"), condition=models.Q(("undone_at__isnull", False)), name="match_undone"),
        ),
        migrations.AddConstraint(
            model_name="match",
            constraint=models.UniqueConstraint(models.F("line"), condition=models.Q(("line__isnull", False), ("undone_at__isnull", True)), name="a_line_is_matched_once"),
        ),
        migrations.AddConstraint(
            model_name="match",
            constraint=models.UniqueConstraint(models.F("item"), condition=models.Q(("item__isnull", False), ("undone_at__isnull", True)), name="an_item_is_matched_once"),
        ),
        migrations.AddConstraint(
            model_name="match",
            constraint=models.CheckConstraint(condition=models.Q(("line__isnull", False), ("item__isnull", False), _connector="OR"), name="a_match_is_of_something"),
        ),
        migrations.AddConstraint(
            model_name="match",
            constraint=models.CheckConstraint(condition=models.Q(("group__isnull", False), models.Q(("item__isnull", False), ("line__isnull", False)), _connector="OR"), name="a_match_without_a_group_has_both_sides"),
        ),
        migrations.AddConstraint(
            model_name="match",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("undone_at__isnull", True), ("undone_by", "")), models.Q(("undone_at__isnull", False), models.Q(("undone_by", ""), _negated=True)), _connector="OR"), name="a_match_is_undone_by_somebody"),
        ),
        migrations.RunSQL(load("0001/guards")),
        migrations.RunSQL(load("0001/grants")),
    ]
