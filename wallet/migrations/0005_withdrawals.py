"""Withdrawals of the platform's fees as a kind of proposal, bounded by what the fees hold."""

from django.db import migrations, models

from wallet.sql import load


class Migration(migrations.Migration):
    dependencies = [("ledger", "0013_posting_one"), ("wallet", "0004_rights")]

    operations = [
        migrations.RemoveConstraint(model_name="proposal", name="proposal_kind_and_state_are_known"),
        migrations.AlterField(
            model_name="proposal",
            name="kind",
            field=models.CharField(choices=[("adjust", "Adjust"), ("write_off", "Write Off"), ("reversal", "Reversal"), ("partial_reversal", "Partial Reversal"), ("year_end_close", "Year End Close"), ("withdraw_fees", "Withdraw Fees")], max_length=16),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(condition=models.Q(("kind__in", ("adjust", "write_off", "reversal", "partial_reversal", "year_end_close", "withdraw_fees")), ("state__in", ("awaiting_approval", "approved", "rejected", "expired"))), name="proposal_kind_and_state_are_known"),
        ),
        migrations.RunSQL(load("0005/withdrawals")),
    ]
