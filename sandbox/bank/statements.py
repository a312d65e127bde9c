"""The statement of an account for one day, from the books; and the damage that is done to one on purpose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from .numbers import new_iban
from .store import Store

MAX_LINES: Final = 100_000
DAMAGES: Final = {
    "omit": "its last entry is missing, the balances are those with it",
    "twin": "its last entry stands there twice, the balances are those with it once",
    "balance": "the closing balance is one minor unit too high",
    "chain": "opening and closing balance are one unit too high: it follows from itself and not from yesterday",
    "truncated": "the second half of the file is missing",
    "other_account": "it says another account",
    "byte_order_mark": "it begins with a byte order mark; the statement is right",
    "entity_bomb": "camt only: a document type with entities that grow",
}


@dataclass(frozen=True, slots=True)
class Day:
    """One account on one day: balances in minor units, and what was booked."""

    iban: str
    holder: str
    bic: str
    currency: str
    day: date
    opening: int
    closing: int
    lines: list[dict[str, Any]]

    @property
    def number(self) -> int:
        """The number of the statement: that of the day in its year."""
        return int(f"{self.day:%j}")

    @property
    def identity(self) -> str:
        """The statement's id."""
        return f"{self.day:%Y}-{self.number:03}-{self.iban[-6:]}"


def of(store: Store, iban: str, day: date) -> Day:
    """Answer what stood on an account on a day. Raises `LookupError` for an account that is not there."""
    account = store.row("SELECT * FROM accounts WHERE iban = ?", iban)
    if account is None:
        raise LookupError(f"no account is called {iban}")
    before = store.row(
        "SELECT coalesce(sum(amount), 0) AS total FROM lines WHERE iban = ? AND booked_on < ?", iban, day.isoformat()
    )
    opening = int(before["total"]) if before else 0
    lines = store.rows(
        "SELECT * FROM lines WHERE iban = ? AND booked_on = ? ORDER BY id LIMIT ?", iban, day.isoformat(), MAX_LINES
    )
    closing = opening + sum(line["amount"] for line in lines)
    return Day(iban, account["holder"], account["bic"], account["currency"], day, opening, closing, lines)


def damaged(day: Day, damage: str) -> Day:
    """Answer a day as a wrong statement would tell it."""
    match damage:
        case "omit":
            return replace(day, lines=day.lines[:-1])
        case "twin":
            return replace(day, lines=[*day.lines, *day.lines[-1:]])
        case "balance":
            return replace(day, closing=day.closing + 1)
        case "chain":
            return replace(day, opening=day.opening + 1, closing=day.closing + 1)
        case "other_account":
            return replace(day, iban=new_iban())
        case _:
            return day


def spoiled(data: bytes, damage: str) -> bytes:
    """Answer the bytes of a statement as they would arrive damaged."""
    match damage:
        case "truncated":
            return data[: len(data) // 2]
        case "byte_order_mark":
            return b"\xef\xbb\xbf" + data
        case "entity_bomb":
            head, _, rest = data.partition(b"\n")
            grown = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
            return head + b'\n<!DOCTYPE Document [<!ENTITY e0 "x">' + grown + b"]>\n" + rest
        case _:
            return data
