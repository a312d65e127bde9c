"""Proposals: manual journals that wait for a second person, guarded by constraints and a trigger."""

import django.db.models.deletion
from django.db import migrations, models

import wallet.models
from wallet.sql import load


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0006_unconvert"),
        ("wallet", "0002_exchange"),
    ]

    operations = [
        migrations.RunSQL(load("0003/legs")),
        migrations.CreateModel(
            name="Proposal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("kind", models.CharField(choices=[("adjust", "Adjust"), ("write_off", "Write Off"), ("reversal", "Reversal"), ("partial_reversal", "Partial Reversal"), ("year_end_close", "Year End Close")], max_length=16)),
                ("reference", models.CharField(max_length=100)),
                ("effective_at", models.DateTimeField(null=True)),
                ("memo", models.CharField(max_length=255)),
                ("metadata", models.JSONField(default=dict)),
                ("legs", models.JSONField()),
                ("maker", models.CharField(max_length=128)),
                ("made_at", models.DateTimeField()),
                ("state", models.CharField(choices=[("awaiting_approval", "Awaiting Approval"), ("approved", "Approved"), ("rejected", "Rejected"), ("expired", "Expired")], default="awaiting_approval", max_length=17)),
                ("checker", models.CharField(blank=True, db_default="", max_length=128)),
                ("decided_at", models.DateTimeField(null=True)),
                ("note", models.CharField(blank=True, db_default="", max_length=255)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("reverses", models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.transaction")),
                ("transaction", models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="proposal", to="ledger.transaction")),
            ],
            options={
                "permissions": [("make_proposals", "Can propose journals"), ("check_proposals", "Can approve and reject journals")],
                "indexes": [models.Index(models.F("book"), models.F("id"), name="proposal_by_book"), models.Index(models.F("made_at"), condition=models.Q(("state", "awaiting_approval")), name="proposal_awaiting")],
                "constraints": [models.UniqueConstraint(models.F("book"), models.F("kind"), models.F("reference"), condition=models.Q(("state__in", ("awaiting_approval", "approved"))), name="proposal_reference_is_unique_in_its_book"), models.CheckConstraint(condition=models.Q(("kind__in", ("adjust", "write_off", "reversal", "partial_reversal", "year_end_close")), ("state__in", ("awaiting_approval", "approved", "rejected", "expired"))), name="proposal_kind_and_state_are_known"), models.CheckConstraint(condition=wallet.models.SoundLegs(models.F("legs")), name="proposal_legs_are_sound"), models.CheckConstraint(condition=models.Q(models.Q(("maker", ""), _negated=True), models.Q(("memo", ""), _negated=True)), name="proposal_says_who_and_why"), models.CheckConstraint(condition=models.Q(("checker", models.F("maker")), _negated=True), name="maker_is_never_checker"), models.CheckConstraint(condition=models.Q(models.Q(("checker", ""), ("decided_at__isnull", True), ("state", "awaiting_approval")), models.Q(models.Q(("state", "awaiting_approval"), _negated=True), models.Q(("checker", ""), _negated=True), ("decided_at__isnull", False)), _connector="OR"), name="proposal_is_decided_by_someone"), models.CheckConstraint(condition=models.Q(models.Q(("state", "approved"), ("transaction__isnull", False)), models.Q(models.Q(("state", "approved"), _negated=True), ("transaction__isnull", True)), _connector="OR"), name="proposal_is_posted_when_approved"), models.CheckConstraint(condition=models.Q(models.Q(("kind__in", ("reversal", "partial_reversal")), ("reverses__isnull", False)), models.Q(models.Q(("kind__in", ("reversal", "partial_reversal")), _negated=True), ("reverses__isnull", True)), _connector="OR"), name="proposal_reverses_when_it_is_a_reversal")],
            },
        ),
        migrations.RunSQL(load("0003/proposals")),
    ]
