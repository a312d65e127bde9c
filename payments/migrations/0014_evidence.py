"""Evidence of disputes and the operation that hands it in; disputes may be seen in the back office."""

import django.db.models.deletion
from django.db import migrations, models


def show_them(apps, schema_editor):
    """Let viewers and operators see disputes. Evidence is seen by nobody: it is personal data of buyers."""
    alias = schema_editor.connection.alias
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    content_type = types.get_or_create(app_label="payments", model="dispute")[0]
    right = apps.get_model("auth", "Permission").objects.using(alias).get_or_create(
        content_type=content_type, codename="view_dispute", defaults={"name": "Can view dispute"}
    )[0]
    for role in ("viewer", "operator"):
        apps.get_model("auth", "Group").objects.using(alias).get(name=role).permissions.add(right)


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0011_instants"),
        ("payments", "0013_schedules"),
    ]

    operations = [
        migrations.CreateModel(
            name="DisputeEvidence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("texts", models.JSONField()),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="EvidenceFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("media_type", models.CharField(max_length=40)),
                ("size_bytes", models.IntegerField()),
                ("sha256", models.BinaryField()),
                ("content", models.BinaryField()),
            ],
        ),
        migrations.AddField(
            model_name="pspoperation",
            name="dispute",
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="operations", to="payments.dispute"),
        ),
        migrations.AlterField(
            model_name="pspoperation",
            name="kind",
            field=models.CharField(choices=[("save_method", "Save Method"), ("register", "Register"), ("hosted_session", "Hosted Session"), ("confirm", "Confirm"), ("capture", "Capture"), ("cancel", "Cancel"), ("refund", "Refund"), ("create_payee", "Create Payee"), ("transfer", "Transfer"), ("payout", "Payout"), ("reverse_transfer", "Reverse Transfer"), ("submit_evidence", "Submit Evidence")], max_length=20),
        ),
        migrations.AddConstraint(
            model_name="pspoperation",
            constraint=models.UniqueConstraint(models.F("dispute"), condition=models.Q(("closed_at__isnull", True), ("kind", "submit_evidence")), name="one_open_answer_per_dispute"),
        ),
        migrations.AddField(
            model_name="disputeevidence",
            name="dispute",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="evidence", to="payments.dispute"),
        ),
        migrations.AddField(
            model_name="evidencefile",
            name="evidence",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="files", to="payments.disputeevidence"),
        ),
        migrations.AddConstraint(
            model_name="evidencefile",
            constraint=models.UniqueConstraint(models.F("evidence"), models.F("kind"), name="evidence_has_one_file_of_a_kind"),
        ),
        migrations.AddConstraint(
            model_name="evidencefile",
            constraint=models.CheckConstraint(condition=models.Q(("size_bytes__gt", 0), ("size_bytes__lte", 5000000)), name="evidence_is_small"),
        ),
        migrations.RunPython(show_them, migrations.RunPython.noop),
    ]
