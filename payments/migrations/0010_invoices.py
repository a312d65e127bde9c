"""Who bills sellers, rates of value added tax, and invoices, which are never changed."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0010_period"),
        ("payments", "0009_refunds"),
    ]

    operations = [
        migrations.CreateModel(
            name="BillingProfile",
            fields=[
                ("book", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to="ledger.book")),
                ("name", models.CharField(max_length=200)),
                ("address", models.CharField(max_length=500)),
                ("country", models.CharField(max_length=2)),
                ("vat_id", models.CharField(blank=True, max_length=20)),
                ("prefix", models.CharField(default="INV-", max_length=12)),
                ("next_number", models.IntegerField(default=1)),
                ("issued_until", models.DateField(null=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("next_number__gte", 1)), name="invoice_numbers_count_from_one"), models.CheckConstraint(condition=models.Q(("issued_until__isnull", True), ("issued_until__day", 1), _connector="OR"), name="invoices_are_of_whole_months")],
            },
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("number", models.CharField(max_length=24)),
                ("month", models.DateField()),
                ("gross_minor", models.BigIntegerField()),
                ("net_minor", models.BigIntegerField()),
                ("vat_minor", models.BigIntegerField()),
                ("vat_basis_points", models.SmallIntegerField()),
                ("lines", models.JSONField()),
                ("issuer", models.JSONField()),
                ("recipient", models.JSONField()),
                ("issued_at", models.DateTimeField()),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.currency")),
                ("seller", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="payments.seller")),
            ],
            options={
                "indexes": [models.Index(models.F("book"), models.F("id"), name="invoice_by_book")],
                "constraints": [models.UniqueConstraint(models.F("book"), models.F("number"), name="invoice_number_is_unique_in_its_book"), models.UniqueConstraint(models.F("book"), models.F("seller"), models.F("currency"), models.F("month"), name="a_month_is_billed_once"), models.CheckConstraint(condition=models.Q(("gross_minor", django.db.models.expressions.CombinedExpression(models.F("net_minor"), "+", models.F("vat_minor"))), models.Q(("gross_minor", 0), _negated=True)), name="invoice_adds_up"), models.CheckConstraint(condition=models.Q(("month__day", 1)), name="invoice_is_of_a_whole_month")],
            },
        ),
        migrations.CreateModel(
            name="VatRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("country", models.CharField(max_length=2)),
                ("valid_from", models.DateField()),
                ("basis_points", models.SmallIntegerField()),
                ("note", models.CharField(blank=True, max_length=200)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
            ],
            options={
                "constraints": [models.UniqueConstraint(models.F("book"), models.F("country"), models.F("valid_from"), name="vat_rate_is_one_per_country_and_day"), models.CheckConstraint(condition=models.Q(models.Q(("basis_points__gt", 0), ("basis_points__lte", 5000)), models.Q(("basis_points", 0), models.Q(("note", ""), _negated=True)), _connector="OR"), name="vat_rate_is_sane_and_zero_is_explained")],
            },
        ),
        migrations.RunSQL(
            "REVOKE UPDATE, DELETE, TRUNCATE ON payments_invoice, payments_vatrate FROM florin_app;"
            "REVOKE DELETE, TRUNCATE ON payments_billingprofile FROM florin_app;",
            migrations.RunSQL.noop,
        ),
    ]
