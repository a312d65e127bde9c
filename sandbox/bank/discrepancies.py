"""Mistakes that a bank makes: which booking goes wrong next, and how.

A rule is used up as it fires. What it does is carried out by `booking`; here is only which rule a booking meets.
"""

from __future__ import annotations

from typing import Any, Final

from .store import Store

KINDS: Final = {
    "missing": "is never booked; the bank keeps the money in suspense",
    "wrong_amount": "is booked with `amount` more (or less); the difference stays in suspense",
    "charged": "arrives less `amount`, and the statement says that they are charges",
    "duplicate": "is booked twice",
    "late": "is booked `days` days later",
    "other_account": "is booked with another account of the other side",
}
DIRECTIONS: Final = ("in", "out")
FIELDS: Final = frozenset({"iban", "direction", "kind", "amount", "days", "word", "times"})
MAX_RULES: Final = 1000
MAX_DAYS: Final = 400


class RuleError(ValueError):
    """A rule that cannot be understood; the message says why."""


def add(store: Store, given: dict[str, Any]) -> int:
    """Take a rule and answer its number."""
    if unknown := set(given) - FIELDS:
        raise RuleError(f"unknown fields: {', '.join(sorted(unknown))}; known are {', '.join(sorted(FIELDS))}")
    kind, direction = given.get("kind"), given.get("direction", "in")
    if kind not in KINDS or direction not in DIRECTIONS:
        raise RuleError(f"kind is one of {', '.join(KINDS)}; direction is in or out")
    if kind == "charged" and direction == "out":
        raise RuleError("only what comes in is charged on its way")
    amount, days, times = given.get("amount", 0), given.get("days", 1), given.get("times", 1)
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in (amount, days, times)):
        raise RuleError("amount, days and times are whole numbers")
    if (kind in ("wrong_amount", "charged")) != (amount != 0) or (kind == "charged" and amount < 0):
        raise RuleError("wrong_amount has an amount that is not zero, charged one above zero, the others have none")
    if not 1 <= days <= MAX_DAYS or times < 1:
        raise RuleError(f"days is 1 to {MAX_DAYS}, times is from 1")
    if store.row("SELECT 1 FROM accounts WHERE iban = ?", str(given.get("iban"))) is None:
        raise RuleError("iban names an account of the bank")
    if (row := store.row("SELECT count(*) AS many FROM discrepancies")) and row["many"] >= MAX_RULES:
        raise RuleError(f"at most {MAX_RULES} rules at a time")
    return store.insert(
        "discrepancies", iban=given["iban"], direction=direction, kind=kind, amount=amount, days=days,
        word=str(given.get("word", "")), times=times,
    )  # fmt: skip


def take(store: Store, iban: str, direction: str, *words: str) -> dict[str, Any] | None:
    """Answer the rule that a booking meets, and use it up once."""
    for rule in store.rows(
        "SELECT * FROM discrepancies WHERE iban = ? AND direction = ? AND fired < times ORDER BY id", iban, direction
    ):
        if not rule["word"] or any(rule["word"] in word for word in words):
            store.db.execute("UPDATE discrepancies SET fired = fired + 1 WHERE id = ?", (rule["id"],))
            return rule
    return None
