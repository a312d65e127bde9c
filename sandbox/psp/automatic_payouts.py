"""Automatic payouts of a platform's balance to its bank, and which balance transactions each of them pays out.

A batch takes every available balance transaction that no earlier batch took, so that its lines sum to its amount. What
does not come to a positive sum waits for the next one. Where an account of the sandbox's bank is named, the money
arrives there, in the bank's own books.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

from . import payouts
from .banking import arrangements
from .call import Call
from .currencies import currency_of
from .errors import Json, RefusalError

DAY_SECONDS: Final = 86_400
_OPEN: Final = (
    "scope = ? AND kind = 'balance_transaction' AND json_extract(body, '$.currency') = ?"
    " AND json_extract(body, '$.available_on') <= ? AND json_extract(body, '$._.payout') IS NULL"
)


def arrange(call: Call, given: Json) -> Json:
    """Say where payouts of one currency go and whether they are made by themselves after every midnight (UTC)."""
    currency = currency_of(str(given.get("currency", "eur")))
    iban, automatic = str(given.get("iban") or ""), given.get("automatic") is True
    if iban:
        account = call.sandbox.bank.account(iban)
        if account["currency"] != currency.upper():
            raise RefusalError(f"The account is not kept in {currency.upper()}.", param="iban")
    call.store.db.execute("DELETE FROM banking WHERE scope = ? AND currency = ?", (call.scope, currency))
    if iban or automatic:
        call.store.db.execute(
            "INSERT INTO banking (scope, currency, iban, automatic) VALUES (?, ?, ?, ?)",
            (call.scope, currency, iban, int(automatic)),
        )
    call.sandbox.jobs.cancel(call, "payout.batch", call.scope)
    if any(one["automatic"] for one in arrangements(call.store, call.scope)):
        _tomorrow(call)
    return {"account": call.scope, "payouts": arrangements(call.store, call.scope)}


def pay_out(call: Call, *, only_automatic: bool) -> list[Json]:
    """Make one payout for each currency that has something to pay out, and answer them."""
    made = []
    for one in arrangements(call.store, call.scope):
        if only_automatic and not one["automatic"]:
            continue
        amount, count = _open_sum(call, one["currency"])
        if amount <= 0 or count == 0:
            continue
        payout = payouts.begin(
            call, amount=amount, currency=one["currency"], destination=None, bounces=False, automatic=True,
            description="STRIPE PAYOUT", metadata={},
        )  # fmt: skip
        # The payout's own balance transaction is among them by now: together they sum to nothing.
        mark = json.dumps({"payout": payout["id"]})
        call.store.db.execute(
            f"UPDATE objects SET body = json_set(body, '$._', json(?)) WHERE {_OPEN}",
            (mark, call.scope, one["currency"], call.now),
        )
        left, _ = _open_sum(call, one["currency"])
        if left:
            raise AssertionError(f"{payout['id']} leaves {left}")
        made.append(payout)
    return made


def batch_job(call: Call, _target: str, _word: str) -> None:
    """Due: a day is over."""
    pay_out(call, only_automatic=True)
    _tomorrow(call)


def _open_sum(call: Call, currency: str) -> tuple[int, int]:
    row: Any = call.store.db.execute(
        f"SELECT coalesce(sum(json_extract(body, '$.net')), 0), count(*) FROM objects WHERE {_OPEN}",
        (call.scope, currency, call.now),
    ).fetchone()
    return int(row[0]), int(row[1])


def _tomorrow(call: Call) -> None:
    now = datetime.fromtimestamp(call.now, UTC)
    seconds = DAY_SECONDS - (now.hour * 3600 + now.minute * 60 + now.second)
    call.sandbox.jobs.schedule(call, "payout.batch", call.scope, after_seconds=seconds)
