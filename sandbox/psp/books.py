"""The referee's report: what really happened at the PSP, for comparison with someone else's books."""

from collections import defaultdict
from typing import Final

from .errors import Json
from .ledger import balances, faults_found
from .sandbox import Sandbox

KINDS: Final = (
    "payment_intent", "charge", "refund", "dispute", "transfer", "transfer_reversal", "payout", "customer",
    "payment_method", "setup_intent", "checkout.session", "balance_transaction", "event",
)  # fmt: skip


def report(sandbox: Sandbox, scope: str | None) -> Json:
    """Answer the books of one account, or of all of them together; amounts in minor units."""
    store = sandbox.store
    scopes = (
        [identifier for (identifier,) in store.db.execute("SELECT id FROM accounts ORDER BY id")]
        if scope is None
        else sandbox.scopes_of(scope)
    )
    now = sandbox.clock.now()
    found = [wrong for one in scopes for wrong in faults_found(store, one)]
    answer: Json = {
        "account": scope, "now": int(now), "charges": [], "refunds": [], "disputes": [], "transfers": [],
        "payouts": [],
    }  # fmt: skip
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    balance: dict[str, dict[str, int]] = defaultdict(lambda: {"available": 0, "pending": 0})
    connected: dict[str, dict[str, dict[str, int]]] = {}
    for one in scopes:
        charges, problems = _charges(sandbox, one)
        answer["charges"] += charges
        found += problems
        answer["refunds"] += [
            _part(
                refund,
                "id",
                "charge",
                "payment_intent",
                "amount",
                "currency",
                "status",
                "metadata",
                "created",
            )
            for refund in store.all(one, "refund")
        ]
        answer["disputes"] += [
            {
                **_part(dispute, "id", "charge", "payment_intent", "amount", "currency", "status", "reason", "created"),
                "net": sum(transaction["net"] for transaction in dispute["balance_transactions"]),
            }
            for dispute in store.all(one, "dispute")
        ]
        answer["transfers"] += [
            _part(transfer, "id", "amount", "amount_reversed", "currency", "destination",
            "source_transaction",
                  "transfer_group", "metadata", "created")
            for transfer in store.all(one, "transfer")
        ]  # fmt: skip
        answer["payouts"] += [
            {**_part(payout, "id", "amount", "currency", "status", "metadata", "created"), "account": one}
            for payout in store.all(one, "payout")
        ]
        for currency, held in balances(store, one, now).items():
            if scope is not None and one != scope:
                connected.setdefault(one, {})[currency] = held
                continue
            for name, amount in held.items():
                balance[currency][name] += amount
        for kind in KINDS:
            counts[kind] += store.count(one, kind)
    answer.update(balance=dict(balance), connected=connected, counts=counts, balanced=not found, wrong=found)
    return answer


def _charges(sandbox: Sandbox, scope: str) -> tuple[list[Json], list[str]]:
    """Answer every charge with what was captured and refunded, and what contradicts the ledger."""
    store = sandbox.store
    booked: dict[str, int] = dict(
        store.db.execute(
            "SELECT json_extract(body, '$.source'), sum(json_extract(body, '$.amount')) FROM objects WHERE "
            "scope = ? AND "
            "kind = 'balance_transaction' AND json_extract(body, '$.reporting_category') = 'charge' GROUP "
            "BY 1",
            (scope,),
        ).fetchall()
    )
    refunded: dict[str, int] = defaultdict(int)
    for refund in store.all(scope, "refund"):
        if refund["status"] in ("succeeded", "pending"):
            refunded[refund["charge"]] += refund["amount"]
    charges, wrong = [], []
    for charge in store.all(scope, "charge"):
        captured, back = charge["amount_captured"], refunded[charge["id"]]
        if booked.get(charge["id"], 0) != captured:
            wrong.append(f"{charge['id']}: {captured} captured, {booked.get(charge['id'], 0)} booked")
        if back > captured:
            wrong.append(f"{charge['id']}: {back} refunded of {captured}")
        charges.append(
            {
                "charge": charge["id"],
                "payment_intent": charge["payment_intent"],
                "amount": charge["amount"],
                "captured": captured,
                "refunded": back,
                "currency": charge["currency"],
                "status": charge["status"],
                "disputed": charge["disputed"],
                "created": charge["created"],
                "metadata": charge["metadata"],
            }
        )
    return charges, wrong


def _part(body: Json, *names: str) -> Json:
    return {name: body[name] for name in names}
