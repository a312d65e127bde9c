"""The sandbox's endpoints about its settlement: where payouts go, when they are made, and the files about them."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from sandbox.bank.bank import BankError

from . import automatic_payouts, reports
from .errors import Json
from .identifiers import account_id_of
from .sandbox import Sandbox
from .store import shown

TEST_KEY: Final = "sk_test_"


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

    async def report(self, request: web.Request) -> web.Response:
        """`GET /_sandbox/reports/{name}?account=&day=&time_zone=UTC`: a day's settlement file as CSV."""
        name, query = request.match_info["name"], request.query
        if name not in reports.REPORTS:
            raise SettlingError(f"a report is one of {', '.join(reports.REPORTS)}")
        scope = self._scope(query.get("account"))
        try:
            day, zone = date.fromisoformat(query.get("day", "")), ZoneInfo(query.get("time_zone", "UTC"))
        except (ValueError, ZoneInfoNotFoundError, OSError) as problem:
            raise SettlingError("day is written as 2026-11-21, time_zone as Europe/Berlin") from problem
        data = reports.REPORTS[name](self.sandbox, scope, day, zone)
        return web.Response(body=data, content_type="text/csv", charset="utf-8")

    def _scope(self, key: object) -> str:
        if not isinstance(key, str) or not key.startswith(TEST_KEY):
            raise SettlingError("account is a secret key such as sk_test_shop")
        self.sandbox.account(key)
        return account_id_of(key)
