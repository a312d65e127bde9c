"""The day that scheduled payouts looked at a seller last, and sellers by when they are paid."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("payments", "0012_settlement_currency"),
    ]

    operations = [
        migrations.AddField(
            model_name="seller",
            name="payouts_scheduled_through",
            field=models.DateField(null=True),
        ),
        migrations.RunSQL(
            "CREATE INDEX seller_by_payout_interval ON payments_seller ((payout_schedule ->> 'interval'), book_id, id)",
            "DROP INDEX seller_by_payout_interval",
        ),
    ]
