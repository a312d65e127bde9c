"""Booking: how money comes to an account and leaves it, and the line that the statement shows of it."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from . import books
from .discrepancies import take
from .numbers import new_iban
from .store import Store

MAX_DUE: Final = 100_000
DAY_SECONDS: Final = 86_400
# The account in the books against which each kind is booked.
AGAINST: Final = {
    "credit": books.CLEARING, "debit": books.CLEARING, "transfer": books.CLEARING, "return": books.CLEARING,
    "charge": books.INCOME, "interest": books.EXPENSE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Movement:
    """What is to be booked: `amount` as it moves the customer's account, minor units."""

    iban: str
    kind: str
    amount: int
    currency: str
    source: str
    end_to_end: str = ""
    batch: str = ""
    name: str = ""
    other_iban: str = ""
    text: str = ""
    reason: str = ""
    charges: int = 0


def day_of(moment: float) -> str:
    """Answer the bank's day of a moment (its books are kept in UTC)."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def book(store: Store, movement: Movement, *, now: float) -> None:
    """Book a movement as it is, or as the next mistake has it."""
    direction = "in" if movement.amount > 0 else "out"
    rule = None
    if movement.kind in ("credit", "transfer"):
        rule = take(store, movement.iban, direction, movement.end_to_end, movement.text, movement.source)
    kind = rule["kind"] if rule else ""
    if rule is not None and kind == "late":
        postpone(store, "book", now + rule["days"] * DAY_SECONDS, asdict(movement))
        return
    if kind == "missing" and direction == "out":
        return  # neither taken nor sent
    if kind == "missing":
        postings = {books.CLEARING: -movement.amount, books.SUSPENSE: movement.amount}
        books.post(
            store,
            kind="missing",
            source=movement.source,
            currency=movement.currency,
            day=day_of(now),
            postings=postings,
        )
        return
    if rule is not None and kind == "wrong_amount":
        write(store, movement, now=now, shown=movement.amount + rule["amount"])
        return
    if rule is not None and kind == "charged":
        write(store, replace(movement, charges=rule["amount"]), now=now, shown=movement.amount - rule["amount"])
        return
    if kind == "other_account":
        movement = replace(movement, other_iban=new_iban())
    write(store, movement, now=now)
    if kind == "duplicate":
        write(store, movement, now=now)


def write(store: Store, movement: Movement, *, now: float, shown: int | None = None, reversal: bool = False) -> str:
    """Write journal and line and answer the line's reference. `shown` is what the customer gets, if not all of it."""
    amount = movement.amount if shown is None else shown
    rest = movement.amount - amount
    day = day_of(now)
    postings = {books.customer(movement.iban): amount, AGAINST[movement.kind]: -movement.amount}
    if rest:
        postings[books.INCOME if movement.charges else books.SUSPENSE] = rest
    with store.transaction():
        journal = books.post(
            store, kind=movement.kind, source=movement.source, currency=movement.currency, day=day, postings=postings
        )
        reference = f"{date.fromisoformat(day):%y%m%d}{secrets.token_hex(5).upper()}"
        store.insert(
            "lines", iban=movement.iban, journal=journal, reference=reference, kind=movement.kind, booked_on=day,
            value_on=day, amount=amount, currency=movement.currency, charges=movement.charges,
            end_to_end=movement.end_to_end, batch=movement.batch, name=movement.name, other_iban=movement.other_iban,
            text=movement.text, reason=movement.reason, reversal=int(reversal),
        )  # fmt: skip
    return reference


def reverse(store: Store, line: dict[str, Any], *, now: float) -> str:
    """Take a line back as the bank's own mistake, by one that is marked as a reversal; answer its reference."""
    movement = Movement(
        iban=line["iban"], kind=line["kind"], amount=-line["amount"], currency=line["currency"],
        source=f"reversal of {line['reference']}", end_to_end=line["end_to_end"], batch=line["batch"],
        name=line["name"], other_iban=line["other_iban"], text=line["text"],
    )  # fmt: skip
    return write(store, movement, now=now, reversal=True)


def receive(store: Store, movement: Movement, *, now: float) -> bool:
    """Book a credit from outside once; say whether it was new. Its source tells it from others."""
    with store.transaction():
        if store.row("SELECT 1 FROM credits WHERE source = ?", movement.source) is not None:
            return False
        store.insert("credits", source=movement.source, iban=movement.iban, amount=movement.amount)
        book(store, movement, now=now)
    return True


def take_back(store: Store, source: str, *, now: float) -> bool:
    """Book that the sender took a credit back, if there was one; say whether."""
    with store.transaction():
        row = store.row("SELECT * FROM lines WHERE kind = 'credit' AND journal IN"
                        " (SELECT id FROM journals WHERE source = ?) ORDER BY id LIMIT 1", source)  # fmt: skip
        back = f"{source} taken back"
        if row is None or store.row("SELECT 1 FROM credits WHERE source = ?", back) is not None:
            return False
        store.insert("credits", source=back, iban=row["iban"], amount=-row["amount"])
        movement = Movement(
            iban=row["iban"], kind="debit", amount=-row["amount"], currency=row["currency"], source=back,
            end_to_end=row["end_to_end"], name=row["name"], other_iban=row["other_iban"],
            text=f"RETURNED {row['text']}",
        )  # fmt: skip
        write(store, movement, now=now)
    return True


def postpone(store: Store, what: str, at: float, given: dict[str, Any]) -> None:
    """Do something later; it is done then even if the process was away meanwhile."""
    store.insert("due", at=at, what=what, given=json.dumps(given))


def next_due(store: Store, now: float) -> tuple[str, float, dict[str, Any]] | None:
    """Take the next thing that is due out of the list and answer it."""
    row = store.row("SELECT * FROM due WHERE at <= ? ORDER BY at, id LIMIT 1", now)
    if row is None:
        return None
    store.db.execute("DELETE FROM due WHERE id = ?", (row["id"],))
    return row["what"], row["at"], json.loads(row["given"])


def next_day(day: str) -> str:
    """Answer the day after a day."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
