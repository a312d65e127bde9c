"""The running bank: its memory, its clock, and what is due."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from . import booking, books, orders, status_report, transfers
from .booking import Movement, day_of
from .numbers import BIC, is_iban, new_iban
from .store import Store

ENTRY_KINDS: Final = {"credit": 1, "debit": -1, "charge": -1, "interest": 1}
MAX_SHOWN: Final = 1000


class BankError(ValueError):
    """A request that the bank does not carry out; the message says why."""


class Bank:
    """Accounts, what moves on them, and what is known about it."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.store = Store(path)
        self.clock = clock

    def close(self) -> None:
        """Close its memory."""
        self.store.close()

    def settle(self) -> int:
        """Do what became due, at the time at which it was due, and answer how much that was."""
        done, now = 0, self.clock()
        while done < booking.MAX_DUE:
            with self.store.transaction():
                found = booking.next_due(self.store, now)
                if found is None:
                    break
                what, at, given = found
                if what == "book":
                    booking.write(self.store, Movement(**given), now=at)
                elif what == "payment":
                    transfers.carry_out(self.store, given, now=at)
                else:
                    transfers.give_back(self.store, given["message"], given["end_to_end"], given["reason"], now=at)
            done += 1
        return done

    def open_account(self, *, holder: str, currency: str, iban: str = "", opening: int = 0) -> dict[str, Any]:
        """Open an account, with money on it if wanted; the same IBAN again is the same account."""
        self.settle()
        if iban and not is_iban(iban):
            raise BankError(f"{iban[:34]!r} is no IBAN")
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha()) or opening < 0:
            raise BankError("currency is a code of three letters, opening an amount from zero")
        with self.store.transaction():
            number = iban or new_iban()
            if self.store.row("SELECT 1 FROM accounts WHERE iban = ?", number) is None:
                now = self.clock()
                self.store.insert(
                    "accounts", iban=number, holder=holder, currency=currency.upper(), bic=BIC, opened_on=day_of(now)
                )
                if opening:
                    movement = Movement(
                        iban=number, kind="credit", amount=opening, currency=currency.upper(), text="OPENING PAYMENT",
                        source=f"opening of {number}",
                    )  # fmt: skip
                    booking.write(self.store, movement, now=now)
        return self.account(number)

    def account(self, iban: str) -> dict[str, Any]:
        """Answer an account with its balance in minor units. Raises `LookupError`."""
        self.settle()
        found = self.store.row("SELECT * FROM accounts WHERE iban = ?", iban)
        if found is None:
            raise LookupError(f"no account is called {iban}")
        return {**found, "balance": books.balance(self.store, books.customer(iban))}

    def receive(
        self, iban: str, amount: int, currency: str, *, source: str,
        name: str = "", text: str = "", end_to_end: str = "", other_iban: str = "",
    ) -> bool:  # fmt: skip
        """Take money for an account from outside, once for each source; say whether it was new."""
        if self.account(iban)["currency"] != currency.upper():
            raise BankError(f"the account is not kept in {currency.upper()}")
        movement = Movement(
            iban=iban, kind="credit", amount=amount, currency=currency.upper(), source=source, name=name, text=text,
            end_to_end=end_to_end, other_iban=other_iban,
        )  # fmt: skip
        return booking.receive(self.store, movement, now=self.clock())

    def take_back(self, source: str) -> bool:
        """Give a credit back to its sender, once; say whether it was there."""
        self.settle()
        return booking.take_back(self.store, source, now=self.clock())

    def enter(self, iban: str, kind: str, amount: int, *, name: str = "", text: str = "", other_iban: str = "") -> str:
        """Book something of the bank's own, or of somebody unknown; answer the line's reference."""
        account = self.account(iban)
        if kind not in ENTRY_KINDS or amount < 1:
            raise BankError(f"kind is one of {', '.join(ENTRY_KINDS)}, amount is from 1")
        movement = Movement(
            iban=iban, kind=kind, amount=ENTRY_KINDS[kind] * amount, currency=account["currency"],
            source=f"{kind} by hand", name=name, text=text or kind.upper(), other_iban=other_iban,
        )  # fmt: skip
        return booking.write(self.store, movement, now=self.clock())

    def reverse(self, reference: str) -> str:
        """Take one line back by another; answer the other's reference."""
        self.settle()
        line = self.store.row("SELECT * FROM lines WHERE reference = ?", reference)
        if line is None:
            raise LookupError(f"no line is called {reference}")
        with self.store.transaction():
            return booking.reverse(self.store, line, now=self.clock())

    def order(self, data: bytes) -> str:
        """Take a file of credit transfers and answer its status report; the same file again is the same answer.

        A file whose control totals are wrong, or another one under a known message id, is refused as a whole.
        """
        self.settle()
        now = self.clock()
        try:
            order = orders.parse(data)
        except orders.OrderError as problem:
            raise BankError(str(problem)) from problem
        owner = order.payments[0].iban if order.payments else ""
        with self.store.transaction():
            known = self.store.row("SELECT answer FROM files WHERE iban = ? AND message = ?", owner, order.message)
            if known is not None:
                return str(known["answer"])
            fault, count = order.fault(), len(list(order.transfers()))
            if not fault:
                transfers.execute(self.store, order, now=now)
            answer = self._report(order.message, owner, count, now, fault=fault)
            self.store.insert(
                "files", iban=owner, message=order.message, received_at=now, count=count, fault=fault, answer=answer
            )
        return answer

    def report(self, message: str) -> str:
        """Answer the status report of a file as it would be written now. Raises `LookupError`."""
        self.settle()
        file = self.store.row("SELECT * FROM files WHERE message = ? ORDER BY received_at DESC LIMIT 1", message)
        if file is None:
            raise LookupError(f"no file is called {message}")
        return self._report(message, file["iban"], file["count"], self.clock(), fault=file["fault"])

    def _report(self, message: str, owner: str, count: int, now: float, *, fault: str) -> str:
        told = self.store.rows("SELECT * FROM transfers WHERE message = ? ORDER BY id", message)
        number = f"{owner[-6:]}-{now:.0f}"
        return status_report.report(message, told, count=count, number=number, now=now, fault=fault)

    def give_back(self, end_to_end: str, reason: str) -> bool:
        """Let the other bank return a transfer now; say whether it was booked."""
        self.settle()
        with self.store.transaction():
            return transfers.give_back(self.store, "", end_to_end, reason, now=self.clock())

    def books(self) -> dict[str, Any]:
        """Answer what the bank has: balances of every account in its books, its transfers, and what is wrong."""
        self.settle()
        wrong = books.faults_found(self.store)
        balances = self.store.rows(
            "SELECT account, currency, sum(amount) AS balance FROM postings GROUP BY 1, 2 ORDER BY 1, 2"
        )
        sent = self.store.rows("SELECT * FROM transfers ORDER BY id DESC LIMIT ?", MAX_SHOWN)
        return {"balances": balances, "transfers": sent, "balanced": not wrong, "wrong": wrong}
