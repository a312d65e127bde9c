"""What the database itself enforces, the functions that write the books, the currencies, and the runtime role's rights."""

from django.db import migrations

from ledger.money import EXPONENTS
from ledger.sql import load

_rows = ", ".join(f"('{code}', {exponent})" for code, exponent in sorted(EXPONENTS.items()))
_CURRENCIES = f"INSERT INTO ledger_currency (code, exponent) VALUES {_rows}"  # noqa: S608 - constants of ours


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        migrations.RunSQL(load("roles")),
        migrations.RunSQL(load("guards")),
        migrations.RunSQL(load("functions")),
        migrations.RunSQL(_CURRENCIES),
        migrations.RunSQL(load("grants")),
    ]
