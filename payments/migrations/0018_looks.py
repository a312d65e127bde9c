"""Looks at what has changed at PSPs, and refunds that were found there."""

import django.db.models.deletion
from django.db import migrations, models

from payments.sql import load

SEE = ("payments", "foundrefund", "view_foundrefund", "Can view found refund")
BOOK = ("payments", "foundrefund", "book_found_refunds", "Can book refunds that were made at the PSP")


def let_people_see_and_book(apps, schema_editor):
    """Let everybody with a role see what was found, and approvers book it."""
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    see, book = _right(apps, alias, SEE), _right(apps, alias, BOOK)
    for role in ("viewer", "operator", "approver"):
        groups.get(name=role).permissions.add(see)
    groups.get(name="approver").permissions.add(book)


def _right(apps, alias, right):
    app, model, codename, name = right
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    content_type = types.get_or_create(app_label=app, model=model)[0]
    rights = apps.get_model("auth", "Permission").objects.using(alias)
    return rights.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0011_instants"),
        ("payments", "0017_approver_sees"),
    ]

    operations = [
        migrations.CreateModel(
            name="PspLook",
            fields=[
                ("psp_account", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to="payments.pspaccount")),
                ("looked_until", models.DateTimeField()),
                ("began_at", models.DateTimeField(null=True)),
                ("cursor", models.CharField(blank=True, db_default="", max_length=255)),
                ("due_at", models.DateTimeField()),
                ("lease_until", models.DateTimeField(null=True)),
                ("fence", models.BigIntegerField(db_default=0)),
                ("tries", models.IntegerField(db_default=0)),
            ],
            options={
                "indexes": [models.Index(models.F("due_at"), name="look_due")],
                "constraints": [models.CheckConstraint(condition=models.Q(models.Q(("began_at__isnull", True), ("cursor", "")), models.Q(models.Q(("cursor", ""), _negated=True), ("began_at__isnull", False)), _connector="OR"), name="look_goes_on_from_where_it_began")],
            },
        ),
        migrations.CreateModel(
            name="FoundRefund",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("psp_id", models.CharField(max_length=255)),
                ("psp_status", models.CharField(max_length=20)),
                ("amount_minor", models.BigIntegerField()),
                ("found_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(null=True)),
                ("decided_by", models.CharField(blank=True, db_default="", max_length=128)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("charge", models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name="found_refunds", to="payments.charge")),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency")),
                ("psp_account", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to="payments.pspaccount")),
            ],
            options={
                "permissions": [("book_found_refunds", "Can book refunds that were made at the PSP")],
                "indexes": [models.Index(models.F("id"), condition=models.Q(("decided_at__isnull", True), models.Q(("psp_status__in", ["failed", "cancelled"]), _negated=True)), name="found_refund_needs_a_person")],
                "constraints": [
                    models.UniqueConstraint(models.F("psp_account"), models.F("psp_id"), name="found_refund_is_known_once"),
                    models.CheckConstraint(condition=models.Q(("amount_minor__gt", 0)), name="found_refund_is_above_zero"),
                    models.CheckConstraint(condition=models.Q(models.Q(("decided_at__isnull", True), ("decided_by", "")), models.Q(("decided_at__isnull", False), ("decided_by__startswith", "user:"), models.Q(("decided_by", "user:"), _negated=True)), _connector="OR"), name="found_refund_is_decided_by_a_person"),
                ],
            },
        ),
        migrations.RunSQL(load("0018/looks"), migrations.RunSQL.noop),
        migrations.RunPython(let_people_see_and_book, migrations.RunPython.noop),
    ]
