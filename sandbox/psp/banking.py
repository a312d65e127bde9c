"""Where an account's payouts go at the sandbox's bank, and which balance transactions an automatic payout paid out."""

import json
from typing import Final

from .call import Call
from .errors import Json
from .store import Store

PAYER: Final = "STRIPE PAYMENTS"


def arrangements(store: Store, scope: str) -> list[Json]:
    """Answer where an account's payouts go, by currency, and whether they are made every day."""
    rows = store.db.execute("SELECT currency, iban, automatic FROM banking WHERE scope = ? ORDER BY currency", (scope,))
    return [{"currency": currency, "iban": iban, "automatic": bool(automatic)} for currency, iban, automatic in rows]


def bring_to_bank(call: Call, payout: Json) -> None:
    """Let the money of a payout that is paid arrive at the bank account that was named for its currency."""
    for one in arrangements(call.store, call.scope):
        if one["iban"] and one["currency"] == payout["currency"] and not call.connected:
            text = f"{PAYER} {payout['id']}"
            trace = str(payout["trace_id"]["value"] or "")
            call.sandbox.bank.receive(
                one["iban"], payout["amount"], payout["currency"], source=payout["id"], name=PAYER, text=text,
                end_to_end=trace,
            )  # fmt: skip


def lines_of(store: Store, scope: str, payout: str) -> list[Json]:
    """Answer the balance transactions of an automatic payout, oldest first, its own at the end."""
    rows = store.db.execute(
        "SELECT body FROM objects WHERE scope = ? AND kind = 'balance_transaction'"
        " AND json_extract(body, '$._.payout') = ? ORDER BY seq",
        (scope, payout),
    )
    return [json.loads(body) for (body,) in rows]
