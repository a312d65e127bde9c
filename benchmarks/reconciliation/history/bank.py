"""The bank of a history: one account for each currency, each with statements in a format of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from benchmarks.reconciliation.history import days
from benchmarks.reconciliation.history.outside import BankDay, BankEntry, Entered, PspLine
from benchmarks.reconciliation.history.writers import bai2, camt, declared, mt940

# The word of each format is Florin's; the writer is ours.
FORMATS: Final = {"EUR": "camt053", "USD": "bai2", "JPY": "mt940", "KWD": "csv"}
ACCOUNTS: Final = {
    "EUR": "DE75512108001245126199",
    "USD": "1234567890",
    "JPY": "0017290041",
    "KWD": "KW81CBKU0000000000001234560101",
}
ARRIVES_AFTER: Final = 1


@dataclass(slots=True)
class Account:
    """One account: what was entered, day by day, and what each statement said."""

    currency: str
    entries: list[BankEntry] = field(default_factory=list)
    statements: dict[date, BankDay] = field(default_factory=dict)
    reuses_ids: bool = False

    @property
    def name(self) -> str:
        """Return what Florin calls it."""
        return f"main-{self.currency.lower()}"

    @property
    def number(self) -> str:
        """Return the account as its statements write it."""
        return ACCOUNTS[self.currency]

    @property
    def format(self) -> str:
        """Return the format of its statements."""
        return FORMATS[self.currency]

    @property
    def balance(self) -> int:
        """Return what is on the account."""
        return sum(entry.amount for entry in self.entries if not entry.pending)

    def close(self, day: date) -> BankDay:
        """Close a business day: its statement has what was entered, and opens with what the one before closed with."""
        last = max(self.statements, default=None)
        opening = self.statements[last].closing if last is not None else 0
        entries = [entry for entry in self.entries if entry.day == day]
        number = day.timetuple().tm_yday
        # Some banks begin anew each year, this one each week: an id alone is no identity.
        identity = f"STMT{day.isoweekday()}" if self.reuses_ids else f"{day:%Y}{number:03}{self.currency}"
        found = BankDay(identity, number, day, self.currency, self.number, opening, entries)
        found.closing = opening + sum(entry.amount for entry in entries if not entry.pending)
        self.statements[day] = found
        return found


@dataclass(slots=True)
class Bank:
    """All accounts of the merchant."""

    seed: int
    accounts: dict[str, Account]
    written: int = 0

    def enter(self, kind: Entered, currency: str, amount: int, day: date, **more: object) -> BankEntry:
        """Write an entry."""
        self.written += 1
        entry = BankEntry(kind, currency, amount, day, f"BNK{self.seed:03}{self.written:06}")
        for name, value in more.items():
            setattr(entry, name, value)
        self.accounts[currency].entries.append(entry)
        return entry

    def take_payout(self, payout: PspLine, day: date, psp: str, *, names_payout: bool, **more: object) -> BankEntry:
        """Credit a PSP's payout on the next business day; one below zero is debited."""
        amount = -payout.net
        kind = Entered.PSP_CREDIT if amount >= 0 else Entered.PSP_DEBIT
        told = payout.source if names_payout else payout.trace
        text = f"{psp} PAYOUT {told}"
        return self.enter(
            kind, payout.currency, amount, days.after(day, ARRIVES_AFTER), text=text, name=f"{psp} PAYMENTS", **more
        )


def write(statement: BankDay) -> bytes:
    """Render a statement in the format of its account."""
    writers: dict[str, Callable[[BankDay], bytes]] = {
        "camt053": camt.statement,
        "bai2": bai2.statement,
        "mt940": mt940.statement,
        "csv": declared.statement,
    }
    return writers[FORMATS[statement.currency]](statement)
