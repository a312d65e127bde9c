"""Runs as due rows, stops of payouts, and who may see them in the back office."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from payments.sql import load

Q = models.Q


def show_them(apps, schema_editor):
    """Let viewers and operators see runs, stops and the checks of the books."""
    alias = schema_editor.connection.alias
    for app, model in (("ledger", "checkrun"), ("payments", "run"), ("payments", "payoutstop")):
        types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
        content_type = types.get_or_create(app_label=app, model=model)[0]
        right = apps.get_model("auth", "Permission").objects.using(alias).get_or_create(
            content_type=content_type, codename=f"view_{model}", defaults={"name": f"Can view {model}"}
        )[0]
        for role in ("viewer", "operator"):
            apps.get_model("auth", "Group").objects.using(alias).get(name=role).permissions.add(right)


class Migration(migrations.Migration):
    dependencies = [("payments", "0004_money_back"), ("ledger", "0008_checking")]

    operations = [
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("period", models.CharField(max_length=32)),
                ("due_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("fence", models.BigIntegerField(db_default=0)),
                ("tries", models.IntegerField(db_default=0)),
                ("dead_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("error", models.CharField(blank=True, db_default="", max_length=500)),
                ("result", models.JSONField(null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("book", models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "book", "period"), name="one_run_per_kind_book_and_period", nulls_distinct=False
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("dead_at__isnull", True), ("due_at__isnull", False), ("finished_at__isnull", True)),
                            Q(
                                ("dead_at__isnull", False),
                                ("due_at__isnull", True),
                                ("finished_at__isnull", True),
                                ("lease_until__isnull", True),
                            ),
                            Q(
                                ("dead_at__isnull", True),
                                ("due_at__isnull", True),
                                ("finished_at__isnull", False),
                                ("lease_until__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="run_is_due_dead_or_finished",
                    ),
                ],
                "indexes": [
                    models.Index(models.F("due_at"), condition=Q(("due_at__isnull", False)), name="run_due"),
                    models.Index(models.F("id"), condition=Q(("dead_at__isnull", False)), name="run_dead"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PayoutStop",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=64)),
                ("detail", models.CharField(blank=True, max_length=500)),
                ("since", models.DateTimeField()),
                ("stopped_by", models.CharField(max_length=128)),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lifted_by", models.CharField(blank=True, db_default="", max_length=128)),
                ("note", models.CharField(blank=True, db_default="", max_length=500)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("book"), condition=Q(("lifted_at__isnull", True)), name="one_open_payout_stop_per_book"
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("lifted_at__isnull", True), ("lifted_by", ""), ("note", "")),
                            Q(
                                ("lifted_at__isnull", False),
                                ("lifted_by__startswith", "user:"),
                                Q(("lifted_by", "user:"), _negated=True),
                                Q(("note", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="payout_stop_is_lifted_by_somebody_with_a_note",
                    ),
                ],
            },
        ),
        migrations.RunSQL(load("0005/runs")),
        migrations.RunPython(show_them, migrations.RunPython.noop),
    ]
