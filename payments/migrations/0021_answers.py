"""A dispute can be given up and a payout stopped at the PSP; who may answer disputes, and see terms and reserves."""

from django.db import migrations, models

SEEN = ("merchantbook", "reservehold")
ANSWER = ("dispute", "answer_disputes", "Can answer disputes and give them up")


def let_answer(apps, schema_editor):
    """Let every role see terms and reserves, and operators answer disputes."""
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    rights = apps.get_model("auth", "Permission").objects.using(alias)

    def right(model, codename, name):
        content_type = types.get_or_create(app_label="payments", model=model)[0]
        return rights.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]

    for role in ("viewer", "operator", "approver"):
        groups.get(name=role).permissions.add(*(right(model, f"view_{model}", f"Can view {model}") for model in SEEN))
    groups.get(name="operator").permissions.add(right(*ANSWER))


class Migration(migrations.Migration):

    dependencies = [("payments", "0020_bank_payouts")]

    operations = [
        migrations.AlterModelOptions(
            name="dispute",
            options={"permissions": [("answer_disputes", "Can answer disputes and give them up")]},
        ),
        migrations.RemoveConstraint(model_name="pspoperation", name="one_open_answer_per_dispute"),
        migrations.AlterField(
            model_name="pspoperation",
            name="kind",
            field=models.CharField(choices=[("save_method", "Save Method"), ("register", "Register"), ("hosted_session", "Hosted Session"), ("confirm", "Confirm"), ("capture", "Capture"), ("cancel", "Cancel"), ("refund", "Refund"), ("create_payee", "Create Payee"), ("transfer", "Transfer"), ("payout", "Payout"), ("reverse_transfer", "Reverse Transfer"), ("cancel_payout", "Cancel Payout"), ("submit_evidence", "Submit Evidence"), ("accept_dispute", "Accept Dispute")], max_length=20),
        ),
        migrations.AddConstraint(
            model_name="pspoperation",
            constraint=models.UniqueConstraint(models.F("dispute"), condition=models.Q(("closed_at__isnull", True), ("kind__in", ["submit_evidence", "accept_dispute"])), name="one_open_answer_per_dispute"),
        ),
        migrations.RunPython(let_answer, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index("id", condition=models.Q(("status", "requires_approval")), name="payout_to_approve"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index("kind", models.OrderBy(models.F("finished_at"), descending=True), condition=models.Q(("finished_at__isnull", False)), name="run_finished"),
        ),
        migrations.RunSQL(
            "ALTER TABLE payments_merchantbook ADD CONSTRAINT payout_approval_is_by_amount CHECK"
            " (jsonb_typeof(payout_approval_above) = 'object' AND NOT jsonb_path_exists(payout_approval_above,"
            " '$.* ? (@.type() != \"number\" || @ < 0 || @ != @.floor())'))",
            "ALTER TABLE payments_merchantbook DROP CONSTRAINT payout_approval_is_by_amount",
        ),
    ]
