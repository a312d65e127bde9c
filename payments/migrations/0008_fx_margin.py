"""What the platform keeps when it changes a seller's money into another currency."""
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("ledger", "0007_seals"),
        ("payments", "0007_approvers"),
    ]

    operations = [
        migrations.AddField(
            model_name="merchantbook",
            name="fx_margin_basis_points",
            field=models.SmallIntegerField(db_default=0),
        ),
        migrations.AddConstraint(
            model_name="merchantbook",
            constraint=models.CheckConstraint(condition=models.Q(("fx_margin_basis_points__gte", 0), ("fx_margin_basis_points__lte", 2000)), name="fx_margin_is_0_to_20_percent"),
        ),
    ]
