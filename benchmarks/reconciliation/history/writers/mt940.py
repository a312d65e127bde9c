"""MT940, as SWIFT publishes it: references cut to 16 characters, a comma for the decimals, lines ended with CRLF."""

from __future__ import annotations

from benchmarks.reconciliation.history.money import major
from benchmarks.reconciliation.history.outside import BankDay, BankEntry, Entered

_TYPES = {
    Entered.PSP_CREDIT: "NTRF",
    Entered.PSP_DEBIT: "NDDT",
    Entered.TRANSFER_OUT: "NTRF",
    Entered.TRANSFER_RETURNED: "NRTI",
    Entered.CHARGES: "NCHG",
    Entered.INTEREST: "NINT",
    Entered.CREDIT: "NTRF",
    Entered.DEBIT: "NDDT",
}
_REFERENCE = 16
_TEXT_LINE, _TEXT_LINES = 65, 6


def statement(day: BankDay) -> bytes:
    """Write one statement of one account. What is pending is not in it."""
    lines = [
        f":20:{day.identity[:_REFERENCE]}",
        f":25:{day.account}",
        f":28C:{day.number:05}/001",
        f":60F:{_balance(day, day.opening)}",
    ]
    for entry in day.entries:
        if not entry.pending:
            lines += _entry(entry)
    lines += [f":62F:{_balance(day, day.closing)}", f":64:{_balance(day, day.closing)}", "-"]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _amount(minor: int, currency: str) -> str:
    written = major(abs(minor), currency, ",")
    return written if "," in written else f"{written},"


def _balance(day: BankDay, minor: int) -> str:
    return f"{'D' if minor < 0 else 'C'}{day.day:%y%m%d}{day.currency}{_amount(minor, day.currency)}"


def _entry(entry: BankEntry) -> list[str]:
    side = "D" if entry.amount < 0 else "C"
    customer = (entry.end_to_end or entry.batch or "NONREF")[:_REFERENCE]
    own = f"//{entry.reference[:_REFERENCE]}" if entry.has_own_reference else ""
    value = entry.value_day or entry.day
    head = f":61:{value:%y%m%d}{entry.day:%m%d}{side}{_amount(entry.amount, entry.currency)}{_TYPES[entry.kind]}"
    return [f"{head}{customer}{own}", *_text(entry)]


def _text(entry: BankEntry) -> list[str]:
    told = [
        f"/EREF/{entry.end_to_end}" if entry.end_to_end else "",
        f"/REMI/{entry.text}" if entry.text else "",
        f"/NAME/{entry.name}" if entry.name else "",
        f"/IBAN/{entry.account}" if entry.account else "",
        f"/RTRN/{entry.reason}" if entry.reason else "",
    ]
    text = "".join(told)
    if not text:
        return []
    pieces = [text[start : start + _TEXT_LINE] for start in range(0, len(text), _TEXT_LINE)][:_TEXT_LINES]
    return [f":86:{pieces[0]}", *pieces[1:]]
