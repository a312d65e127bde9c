"""BAI2, as its publication of 2005 says: integers with the currency's own exponent, and totals that must close."""

from __future__ import annotations

from benchmarks.reconciliation.history.outside import BankDay, BankEntry, Entered

_TYPES = {
    Entered.PSP_CREDIT: 142,  # ACH credit received
    Entered.PSP_DEBIT: 455,  # preauthorised ACH debit
    Entered.TRANSFER_OUT: 495,  # outgoing money transfer
    Entered.TRANSFER_RETURNED: 257,  # individual ACH return item, credit
    Entered.CHARGES: 698,  # miscellaneous fees
    Entered.INTEREST: 354,  # interest credit
    Entered.CREDIT: 195,  # incoming money transfer
    Entered.DEBIT: 695,  # miscellaneous debit
}


def statement(day: BankDay, *, off: int = 0) -> bytes:
    """Write one file with one group and one account; `off` falsifies the control totals by so much."""
    booked = [entry for entry in day.entries if not entry.pending]
    ins = sum(entry.amount for entry in booked if entry.amount >= 0)
    outs = -sum(entry.amount for entry in booked if entry.amount < 0)
    summary = f"03,{day.account},{day.currency},010,{day.opening},,,015,{day.closing},,/"
    totals = f"88,100,{ins},{sum(entry.amount >= 0 for entry in booked)},,400,{outs},{_debits(booked)},/"
    records = [summary, totals]
    for entry in booked:
        records += _entry(entry)
    control = day.opening + day.closing + ins + outs + sum(abs(entry.amount) for entry in booked) + off
    account = len(records) + 1
    date = f"{day.day:%y%m%d}"
    return "\n".join(
        [
            f"01,121140399,FLORIN,{date},2215,{day.number},,,2/",
            f"02,FLORIN,121140399,1,{date},2200,{day.currency},2/",
            *records,
            f"49,{control},{account}/",
            f"98,{control},1,{account + 2}/",
            f"99,{control},1,{account + 4}/",
            "",
        ]
    ).encode("ascii")


def _debits(entries: list[BankEntry]) -> int:
    return sum(entry.amount < 0 for entry in entries)


def _entry(entry: BankEntry) -> list[str]:
    own = entry.reference if entry.has_own_reference else ""
    head = f"16,{_TYPES[entry.kind]},{abs(entry.amount)},,{own},{entry.end_to_end},/"
    told = " ".join(part for part in (entry.text, entry.name, entry.account, entry.reason) if part)
    # Commas separate fields and a slash ends a record: a bank leaves both out of its texts.
    text = told.replace(",", " ").replace("/", " ")
    return [head, f"88,{text[:70]}"] if text else [head]
