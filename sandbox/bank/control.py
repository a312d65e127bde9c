"""The bank's endpoints below `/_sandbox/bank/`: accounts, files of transfers, statements, and mistakes to order.

They take JSON, but for the file of transfers, which is pain.001 as it is. Meant for tests, the demo and people.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, Final

from aiohttp import web

from . import camt_statement, discrepancies, mt940_statement, statements
from .bank import Bank, BankError
from .discrepancies import RuleError

type Json = dict[str, Any]

FORMATS: Final = {"camt053": (camt_statement.write, "application/xml"), "mt940": (mt940_statement.write, "text/plain")}
MAX_SHOWN: Final = 10_000


class Control:
    """Answer the bank's endpoints."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank

    async def books(self, _request: web.Request) -> Json:
        """`GET /_sandbox/bank/books`."""
        return self.bank.books()

    async def open_account(self, request: web.Request) -> Json:
        """`POST /_sandbox/bank/accounts`: {"holder", "currency", "iban", "opening"}; all may be left out."""
        given = await _object(request)
        return self.bank.open_account(
            holder=str(given.get("holder") or ""), currency=str(given.get("currency", "EUR")),
            iban=str(given.get("iban") or "").replace(" ", ""), opening=_whole(given, "opening", 0),
        )  # fmt: skip

    async def account(self, request: web.Request) -> Json:
        """`GET /_sandbox/bank/accounts/{iban}`."""
        return self.bank.account(request.match_info["iban"])

    async def lines(self, request: web.Request) -> Json:
        """`GET /_sandbox/bank/accounts/{iban}/lines`: the newest last."""
        iban = request.match_info["iban"]
        self.bank.account(iban)
        return {
            "lines": self.bank.store.rows("SELECT * FROM lines WHERE iban = ? ORDER BY id LIMIT ?", iban, MAX_SHOWN)
        }

    async def statement(self, request: web.Request) -> web.Response:
        """`GET /_sandbox/bank/accounts/{iban}/statements/{day}?format=camt053&damage=`."""
        self.bank.settle()
        wanted, damage = request.query.get("format", "camt053"), request.query.get("damage", "")
        if wanted not in FORMATS or (damage and damage not in statements.DAMAGES):
            raise BankError(f"format is one of {', '.join(FORMATS)}; damage is one of {', '.join(statements.DAMAGES)}")
        try:
            day = date.fromisoformat(request.match_info["day"])
        except ValueError as problem:
            raise BankError("the day is written as 2026-11-21") from problem
        found = statements.damaged(statements.of(self.bank.store, request.match_info["iban"], day), damage)
        write, content_type = FORMATS[wanted]
        return web.Response(body=statements.spoiled(write(found), damage), content_type=content_type)

    async def enter(self, request: web.Request) -> Json:
        """`POST /_sandbox/bank/entries`: {"iban", "kind", "amount", "name", "text", "other_iban"}."""
        given = await _object(request)
        told = {name: str(given.get(name) or "") for name in ("name", "text", "other_iban")}
        reference = self.bank.enter(str(given.get("iban")), str(given.get("kind")), _whole(given, "amount", 0), **told)
        return {"reference": reference}

    async def credit(self, request: web.Request) -> Json:
        """`POST /_sandbox/bank/credits`: {"iban", "amount", "currency", "source", ...}: a credit from outside."""
        given = await _object(request)
        amount, source = _whole(given, "amount", 0), str(given.get("source") or "")
        if amount < 1 or not source:
            raise BankError("amount is from 1, source tells this credit from others")
        told = {name: str(given.get(name) or "") for name in ("end_to_end", "name", "other_iban", "text")}
        new = self.bank.receive(
            str(given.get("iban")), amount, str(given.get("currency", "EUR")), source=source, **told
        )
        return {"new": new}

    async def reverse(self, request: web.Request) -> Json:
        """`POST /_sandbox/bank/lines/{reference}/reverse`."""
        return {"reference": self.bank.reverse(request.match_info["reference"])}

    async def order(self, request: web.Request) -> web.Response:
        """`POST /_sandbox/bank/orders`: a pain.001 file; answers pain.002."""
        return web.Response(body=self.bank.order(await request.read()).encode(), content_type="application/xml")

    async def report(self, request: web.Request) -> web.Response:
        """`GET /_sandbox/bank/orders/{message}`: the status report of a file by now."""
        return web.Response(
            body=self.bank.report(request.match_info["message"]).encode(), content_type="application/xml"
        )

    async def give_back(self, request: web.Request) -> Json:
        """`POST /_sandbox/bank/transfers/{end_to_end}/return`: {"reason": "AC04"}."""
        given = await _object(request)
        end_to_end, reason = request.match_info["end_to_end"], str(given.get("reason", "AC04"))
        if not (len(reason) == 4 and reason.isascii() and reason.isalnum()):
            raise BankError("reason is a code of four letters and digits, such as AC04")
        if not self.bank.give_back(end_to_end, reason):
            raise LookupError(f"no booked transfer is called {end_to_end}")
        return {"returned": end_to_end}

    async def list_rules(self, _request: web.Request) -> Json:
        """`GET /_sandbox/bank/discrepancies`."""
        return {
            "discrepancies": self.bank.store.rows("SELECT * FROM discrepancies ORDER BY id"),
            "kinds": discrepancies.KINDS,
        }

    async def add_rule(self, request: web.Request) -> Json:
        """`POST /_sandbox/bank/discrepancies`: {"iban", "kind", "direction", "amount", "days", "word", "times"}."""
        return {"id": discrepancies.add(self.bank.store, await _object(request))}

    async def clear_rules(self, request: web.Request) -> Json:
        """`DELETE /_sandbox/bank/discrepancies[?iban=]`."""
        iban = request.query.get("iban", "")
        gone = self.bank.store.db.execute("DELETE FROM discrepancies WHERE iban = ? OR ? = ''", (iban, iban))
        return {"cleared": gone.rowcount}


async def _object(request: web.Request) -> Json:
    text = await request.text()
    try:
        given = json.loads(text) if text else {}
    except json.JSONDecodeError as problem:
        raise BankError(f"the body is not JSON: {problem}") from problem
    if not isinstance(given, dict):
        raise BankError("the body is a JSON object")
    return given


def _whole(given: Json, name: str, default: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**15:
        raise BankError(f"{name} is a whole number of minor units")
    return value


def _answering(
    handler: Callable[[web.Request], Awaitable[Json | web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            result = await handler(request)
        except (BankError, RuleError) as problem:
            return web.json_response({"error": str(problem)}, status=400)
        except LookupError as problem:
            return web.json_response({"error": str(problem)}, status=404)
        return result if isinstance(result, web.Response) else web.json_response(result)

    return answer


def add_routes(router: web.UrlDispatcher, bank: Bank) -> None:
    """Put the bank's endpoints below `/_sandbox/bank/`."""
    control = Control(bank)
    endpoints: tuple[tuple[str, str, Callable[[web.Request], Awaitable[Json | web.Response]]], ...] = (
        ("GET", "books", control.books),
        ("POST", "accounts", control.open_account),
        ("GET", "accounts/{iban}", control.account),
        ("GET", "accounts/{iban}/lines", control.lines),
        ("GET", "accounts/{iban}/statements/{day}", control.statement),
        ("POST", "credits", control.credit),
        ("POST", "entries", control.enter),
        ("POST", "lines/{reference}/reverse", control.reverse),
        ("POST", "orders", control.order),
        ("GET", "orders/{message}", control.report),
        ("POST", "transfers/{end_to_end}/return", control.give_back),
        ("GET", "discrepancies", control.list_rules),
        ("POST", "discrepancies", control.add_rule),
        ("DELETE", "discrepancies", control.clear_rules),
    )
    for method, path, handler in endpoints:
        router.add_route(method, f"/_sandbox/bank/{path}", _answering(handler))
