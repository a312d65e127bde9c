"""The currency that a seller is paid in, and what is due to be changed into it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0011_instants"),
        ("payments", "0011_payouts"),
        ("wallet", "0004_rights"),
    ]

    operations = [
        migrations.AddField(
            model_name="seller",
            name="settlement_currency",
            field=models.ForeignKey(db_column="settlement_currency", db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.currency"),
        ),
        migrations.CreateModel(
            name="OrderConversion",
            fields=[
                ("order", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name="conversion", serialize=False, to="payments.paymentorder")),
                ("amount_minor", models.BigIntegerField()),
                ("due_at", models.DateTimeField(null=True)),
                ("tries", models.IntegerField(db_default=0)),
                ("outcome", models.CharField(blank=True, db_default="", max_length=200)),
                ("done_at", models.DateTimeField(null=True)),
                ("book", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.book")),
                ("quote", models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="wallet.quote")),
            ],
            options={
                "indexes": [models.Index(models.F("due_at"), condition=models.Q(("due_at__isnull", False)), name="conversion_due")],
                "constraints": [models.CheckConstraint(condition=models.Q(("amount_minor__gt", 0)), name="converted_amount_is_above_zero"), models.CheckConstraint(condition=models.Q(models.Q(("done_at__isnull", True), ("due_at__isnull", False), ("quote__isnull", True)), models.Q(("done_at__isnull", False), ("due_at__isnull", True)), _connector="OR"), name="conversion_is_due_or_done")],
            },
        ),
    ]
