"""The sandbox's endpoints about its settlement: where payouts go, when they are made, and the files about them."""

import re
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from sandbox.bank.bank import BankError

from . import automatic_payouts, reports
from .currencies import currency_of
from .damages import DAMAGES
from .errors import Json
from .identifiers import account_id_of
from .ledger import FEES, record
from .sandbox import Sandbox
from .store import shown

TEST_KEY: Final = "sk_test_"
MAX_AMOUNT: Final = 10**12
CATEGORY: Final = re.compile(r"[a-z][a-z_]{1,39}")
# What stands for an object of the API, which has to be there.
OF_OBJECTS: Final = frozenset(
    {"charge", "refund", "refund_failure", "dispute", "dispute_reversal", "transfer", "transfer_reversal", "payout",
     "payout_reversal"}
)  # fmt: skip


class SettlingError(ValueError):
    """A request that cannot be understood; the message says why."""


class Settling:
    """Answer them; `object_of` reads the body of a request."""

    def __init__(self, sandbox: Sandbox, object_of: Callable[[web.Request], Awaitable[Json]]) -> None:
        self.sandbox = sandbox
        self.object_of = object_of

    async def arrange(self, request: web.Request) -> Json:
        """`POST /_sandbox/banking`: {"account", "currency", "iban", "automatic"}: where payouts go, and when."""
        given = await self.object_of(request)
        call = self.sandbox.call(self._scope(given.get("account")))
        try:
            with self.sandbox.store.transaction():
                return automatic_payouts.arrange(call, given)
        except (BankError, LookupError) as problem:
            raise SettlingError(str(problem)) from problem

    async def pay_out(self, request: web.Request) -> Json:
        """`POST /_sandbox/banking/pay_out`: {"account"}: make the payouts now that the night would make."""
        given = await self.object_of(request)
        call = self.sandbox.call(self._scope(given.get("account")))
        with self.sandbox.store.transaction():
            made = automatic_payouts.pay_out(call, only_automatic=False)
        return {"payouts": [shown(one) for one in made]}

    async def adjust(self, request: web.Request) -> Json:
        """`POST /_sandbox/adjustments`: {"account", "category", "amount", "currency", "description"}: a fee, say."""
        given = await self.object_of(request)
        call = self.sandbox.call(self._scope(given.get("account")))
        amount, category = given.get("amount"), given.get("category")
        if not isinstance(amount, int) or isinstance(amount, bool) or amount == 0 or abs(amount) > MAX_AMOUNT:
            raise SettlingError("amount is a whole number of minor units, as it changes the balance; not zero")
        if not isinstance(category, str) or not CATEGORY.fullmatch(category) or category in OF_OBJECTS:
            raise SettlingError(f"category is a word of small letters, and none of {', '.join(sorted(OF_OBJECTS))}")
        with self.sandbox.store.transaction():
            return record(
                call.store, call.scope, source=None, kind="adjustment", category=category, amount=amount,
                currency=currency_of(str(given.get("currency", "eur"))), against=(call.scope, FEES),
                available_on=call.now, now=call.now, description=str(given.get("description") or category),
            )  # fmt: skip

    async def report(self, request: web.Request) -> web.Response:
        """`GET /_sandbox/reports/{name}?account=&day=&time_zone=UTC&damage=&source=`: a day's file as CSV."""
        name, query = request.match_info["name"], request.query
        damage = query.get("damage", "")
        if name not in reports.REPORTS or (damage and damage not in DAMAGES):
            raise SettlingError(f"a report is one of {', '.join(reports.REPORTS)}; damage one of {', '.join(DAMAGES)}")
        scope = self._scope(query.get("account"))
        try:
            day, zone = date.fromisoformat(query.get("day", "")), ZoneInfo(query.get("time_zone", "UTC"))
        except (ValueError, ZoneInfoNotFoundError, OSError) as problem:
            raise SettlingError("day is written as 2026-11-21, time_zone as Europe/Berlin") from problem
        source = query.get("source", "")
        data = reports.write(self.sandbox, name, scope, day, zone, damage=damage, source=source)
        return web.Response(body=data, content_type="text/csv", charset="utf-8")

    def _scope(self, key: object) -> str:
        if not isinstance(key, str) or not key.startswith(TEST_KEY):
            raise SettlingError("account is a secret key such as sk_test_shop")
        self.sandbox.account(key)
        return account_id_of(key)
