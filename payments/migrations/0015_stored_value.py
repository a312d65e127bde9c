"""Buyers who keep stored value, charges that it pays, refunds that it takes, and the merchant's switch."""

import django.db.models.deletion
from django.db import migrations, models

from payments.sql import load


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0011_instants"),
        ("payments", "0014_evidence"),
    ]

    operations = [
        migrations.AddField(
            model_name="merchantbook",
            name="stored_value",
            field=models.BooleanField(db_default=False),
        ),
        migrations.CreateModel(
            name="Buyer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("external_id", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField()),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
            ],
        ),
        migrations.AddField(
            model_name="charge",
            name="stored_value_of",
            field=models.ForeignKey(db_column="stored_value_of", db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="payments.buyer", to_field="public_id"),
        ),
        migrations.AddField(
            model_name="refund",
            name="stored_value_of",
            field=models.ForeignKey(db_column="stored_value_of", db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="payments.buyer", to_field="public_id"),
        ),
        migrations.AddConstraint(
            model_name="charge",
            constraint=models.CheckConstraint(condition=models.Q(("stored_value_of__isnull", True), models.Q(("psp_id__isnull", True), ("session_id", ""), ("status", "SUCCEEDED")), _connector="OR"), name="stored_value_pays_without_a_psp"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(condition=models.Q(("stored_value_of__isnull", True), models.Q(models.Q(("status", "failed"), _negated=True), ("psp_id__isnull", True)), _connector="OR"), name="stored_value_takes_refunds_without_a_psp"),
        ),
        migrations.AddConstraint(
            model_name="buyer",
            constraint=models.UniqueConstraint(models.F("book"), models.F("external_id"), name="buyer_external_id_is_unique_in_its_book"),
        ),
        migrations.AddConstraint(
            model_name="buyer",
            constraint=models.UniqueConstraint(models.F("public_id"), models.F("book"), name="buyer_belongs_to_one_book"),
        ),
        migrations.RunSQL(load("0015/stored_value"), migrations.RunSQL.noop),
    ]
