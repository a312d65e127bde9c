"""django-hordak as an anchor, in an environment of its own: `migrate` makes its tables, otherwise it posts.

It posts the way its manual says: `Account.transfer_to`, one transfer in each database transaction.
"""

from __future__ import annotations

import json
import random
import sys

import django
from django.conf import settings
from django.core.management import call_command

from benchmarks.ledger import clock


def main(socket: str, accounts: int, seconds: float) -> None:
    """Make the tables when `seconds` is 0; otherwise transfer between random accounts until the time is up."""
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "hordak",
                "USER": "postgres",
                "HOST": socket,
                "CONN_MAX_AGE": None,
            }
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "mptt", "djmoney", "hordak"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DEFAULT_CURRENCY="EUR",
        CURRENCIES=("EUR",),
        USE_TZ=True,
        SECRET_KEY="benchmark",
    )
    django.setup()
    if seconds == 0:
        call_command("migrate", verbosity=0)
        return
    from hordak.models import Account  # type: ignore[import-not-found]  # only in its own environment
    from moneyed import Money  # type: ignore[import-not-found]  # the same

    one = Money("1.00", "EUR")
    pairs = [random.sample(range(1, accounts + 1), 2) for _ in range(int(seconds * 2000) + 100)]
    turn = iter(range(len(pairs)))
    chosen = Account.objects.in_bulk({pk for pair in pairs for pk in pair})

    def step() -> int:
        debit, credit = pairs[next(turn)]
        chosen[debit].transfer_to(chosen[credit], one)
        return 1

    clock.work(step, seconds)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
