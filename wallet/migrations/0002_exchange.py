"""Exchange rates, and quotes: what was changed from one currency into another, by which rate."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

from wallet.sql import load


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0006_unconvert"),
        ("wallet", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ExchangeRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source", models.CharField(max_length=20)),
                ("observed_on", models.DateField()),
                ("value", models.DecimalField(decimal_places=10, max_digits=22)),
                ("loaded_at", models.DateTimeField()),
                ("base", models.ForeignKey(db_column="base", db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.currency")),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.currency")),
            ],
            options={
                "constraints": [models.UniqueConstraint(models.F("source"), models.F("currency"), models.F("observed_on"), name="exchange_rate_is_one_per_source_currency_and_day"), models.CheckConstraint(condition=models.Q(("value__gt", 0)), name="exchange_rate_is_above_zero"), models.CheckConstraint(condition=models.Q(("base", models.F("currency")), _negated=True), name="exchange_rate_is_between_two_currencies")],
            },
        ),
        migrations.CreateModel(
            name="Quote",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.UUIDField(unique=True)),
                ("seller", models.UUIDField()),
                ("subject", models.CharField(blank=True, db_default="", max_length=64)),
                ("amount_minor", models.BigIntegerField()),
                ("mid_minor", models.BigIntegerField()),
                ("received_minor", models.BigIntegerField()),
                ("margin_minor", models.BigIntegerField()),
                ("rounding_minor", models.SmallIntegerField()),
                ("margin_basis_points", models.SmallIntegerField()),
                ("source", models.CharField(max_length=20)),
                ("observed_on", models.DateField()),
                ("rate_numerator", models.DecimalField(decimal_places=0, max_digits=60)),
                ("rate_denominator", models.DecimalField(decimal_places=0, max_digits=60)),
                ("quoted_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("executed_at", models.DateTimeField(null=True)),
                ("undone_minor", models.BigIntegerField(db_default=0)),
                ("undone_received_minor", models.BigIntegerField(db_default=0)),
                ("undone_margin_minor", models.BigIntegerField(db_default=0)),
                ("undone_rounding_minor", models.SmallIntegerField(db_default=0)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("currency", models.ForeignKey(db_column="currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.currency")),
                ("to_currency", models.ForeignKey(db_column="to_currency", db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.currency")),
            ],
            options={
                "indexes": [models.Index(models.F("book"), models.F("seller"), models.F("id"), name="quote_by_seller")],
                "constraints": [models.CheckConstraint(condition=models.Q(("amount_minor__gt", 0), ("margin_minor__gte", 0), ("received_minor__gt", 0)), name="quote_amounts_are_money"), models.CheckConstraint(condition=models.Q(("mid_minor", django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F("received_minor"), "+", models.F("margin_minor")), "+", models.F("rounding_minor")))), name="quote_adds_up"), models.CheckConstraint(condition=models.Q(("currency", models.F("to_currency")), _negated=True), name="quote_is_between_two_currencies"), models.CheckConstraint(condition=models.Q(("margin_basis_points__gte", 0), ("margin_basis_points__lte", 2000)), name="margin_is_0_to_20_percent"), models.CheckConstraint(condition=models.Q(models.Q(("executed_at__isnull", True), ("undone_minor", 0)), models.Q(("executed_at__gte", models.F("quoted_at")), ("executed_at__lte", models.F("expires_at"))), _connector="OR"), name="quote_is_executed_before_it_expires"), models.CheckConstraint(condition=models.Q(("undone_margin_minor__gte", 0), ("undone_margin_minor__lte", models.F("margin_minor")), ("undone_minor__gte", 0), ("undone_minor__lte", models.F("amount_minor")), ("undone_received_minor__gte", 0), ("undone_received_minor__lte", models.F("received_minor"))), name="no_more_is_undone_than_was_converted"), models.UniqueConstraint(models.F("book"), models.F("subject"), condition=models.Q(("executed_at__isnull", False), models.Q(("subject", ""), _negated=True)), name="a_subject_is_converted_once")],
            },
        ),
        migrations.RunSQL(load("evidence"), migrations.RunSQL.noop),
    ]
