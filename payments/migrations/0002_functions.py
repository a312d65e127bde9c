"""State machine triggers, tenancy by foreign key, due-row functions, intake, and the runtime role's rights."""

from django.db import migrations

from payments.models.machines import edges
from payments.models.orders import Charge, PaymentOrder
from payments.models.refunds import Refund
from payments.sql import load


def _allowed_transitions() -> str:
    rows = [
        (model._meta.db_table, source, target)
        for model in (PaymentOrder, Charge, Refund)
        for source, target in sorted({("", str(state)) for state in model.INITIAL} | edges(model))
    ]
    values = ", ".join(f"('{machine}', '{source}', '{target}')" for machine, source, target in rows)
    return f"INSERT INTO payments_allowedtransition (machine, source, target) VALUES {values}"  # noqa: S608 - our own names


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial"), ("ledger", "0002_guards")]

    operations = [
        migrations.RunSQL(load("machines")),
        migrations.RunSQL(_allowed_transitions()),
        migrations.RunSQL(load("tenancy")),
        migrations.RunSQL(load("work")),
        migrations.RunSQL(load("intake")),
        migrations.RunSQL(load("grants")),
    ]
