"""The sandbox's double-entry books and the balance transactions that stand on them.

Every movement is one journal whose entries sum to zero per currency; a merchant's balance is the sum of
the entries of its account `merchant`. The sandbox is the referee of the fault campaign, so a journal that
does not balance is refused here and the whole request with it.
"""

from collections import defaultdict

from .errors import Json
from .identifiers import new_id
from .store import Store

MERCHANT = "merchant"
NETWORKS = "outside:networks"
BANK = "outside:bank"
FEES = "psp:fees"

SETTLES_AFTER_SECONDS = 2 * 24 * 3600

type Entry = tuple[str, str, int]  # scope, account, amount in minor units (+ credits the account)


class UnbalancedError(AssertionError):
    """A journal whose entries do not sum to zero: a bug of the sandbox."""


def post(store: Store, *, source: str, kind: str, currency: str, entries: list[Entry], now: int) -> None:
    """Write one journal; zero entries are left out."""
    if sum(amount for _, _, amount in entries) != 0:
        raise UnbalancedError(f"{kind} of {source}: {entries}")
    journal = store.db.execute(
        "INSERT INTO journals (source, type, created) VALUES (?, ?, ?)", (source, kind, now)
    ).lastrowid
    store.db.executemany(
        "INSERT INTO entries (journal, scope, account, currency, amount) VALUES (?, ?, ?, ?, ?)",
        [(journal, scope, account, currency, amount) for scope, account, amount in entries if amount],
    )


def record(
    store: Store,
    scope: str,
    *,
    source: str | None,
    kind: str,
    category: str,
    amount: int,
    fee: int = 0,
    currency: str,
    against: tuple[str, str] | None,
    available_on: int,
    now: int,
    description: str | None = None,
    fee_description: str = "Stripe processing fees",
) -> Json:
    """Write one balance transaction and its journal; `against` is the other side (None: it was written
    already).
    """
    net = amount - fee
    transaction: Json = {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": available_on,
        "balance_type": "payments",
        "created": now,
        "currency": currency,
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [
            {"amount": fee, "application": None, "currency": currency, "description": fee_description,
             "type": "stripe_fee"}
        ]
        if fee
        else [],
        "net": net,
        "reporting_category": category,
        "source": source,
        "status": "available" if available_on <= now else "pending",
        "type": kind,
    }  # fmt: skip
    store.add(scope, transaction, parent=source)
    if against is not None:
        entries = [(scope, MERCHANT, net), (scope, FEES, fee), (*against, -amount)]
        post(store, source=source or transaction["id"], kind=kind, currency=currency, entries=entries, now=now)
    return transaction


def fresh(transaction: Json, now: float) -> Json:
    """Answer a balance transaction with its status as of now."""
    if transaction["status"] == "pending" and transaction["available_on"] <= now:
        return {**transaction, "status": "available"}
    return transaction


def balances(store: Store, scope: str, now: float) -> dict[str, dict[str, int]]:
    """Answer available and pending funds of an account by currency, in minor units."""
    rows = store.db.execute(
        "SELECT json_extract(body, '$.currency'), json_extract(body, '$.available_on') <= ?, "
        "sum(json_extract(body, '$.net')) FROM objects WHERE scope = ? AND kind = 'balance_transaction' "
        "GROUP BY 1, 2",
        (now, scope),
    )
    held: dict[str, dict[str, int]] = defaultdict(lambda: {"available": 0, "pending": 0})
    for currency, available, net in rows:
        held[currency]["available" if available else "pending"] += net
    return dict(held)


def faults_found(store: Store, scope: str | None) -> list[str]:
    """Check the books of one account (or all) and answer what is wrong with them: nothing, if they are
    right.
    """
    where, given = ("", ()) if scope is None else ("WHERE scope = ?", (scope,))
    wrong = [
        f"journal {journal} is off by {total} {currency}"
        for journal, currency, total in store.db.execute(
            "SELECT journal, currency, sum(amount) FROM entries WHERE journal IN "
            f"(SELECT journal FROM entries {where}) GROUP BY 1, 2 HAVING sum(amount) <> 0",
            given,
        )
    ]
    ledger = dict.fromkeys(
        store.db.execute(
            f"SELECT scope, currency, sum(amount) FROM entries {where or 'WHERE 1'} AND account = "
            f"'{MERCHANT}' "
            "GROUP BY 1, 2 HAVING sum(amount) <> 0",
            given,
        )
    )
    shown_to_merchants = dict.fromkeys(
        store.db.execute(
            "SELECT scope, json_extract(body, '$.currency'), sum(json_extract(body, '$.net')) FROM objects "
            f"{where or 'WHERE 1'} AND kind = 'balance_transaction' GROUP BY 1, 2 HAVING sum("
            "json_extract(body, '$.net')) <> 0",
            given,
        )
    )
    wrong += [
        f"balance of {whose} in {currency}: {total} on one side only"
        for whose, currency, total in sorted(set(ledger) ^ set(shown_to_merchants))
    ]
    return wrong
