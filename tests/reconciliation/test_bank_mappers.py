"""What independent writers write, the mappers read back: two readings of each format's publication agree."""

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.reconciliation.history.outside import BankDay, BankEntry, Entered
from benchmarks.reconciliation.history.writers import bai2, camt, mt940
from reconciliation.formats.bai2 import Bai2
from reconciliation.formats.camt import Camt
from reconciliation.formats.mt940 import Mt940
from tests.reconciliation.bank_documents import DAY, IBAN, OTHER_IBAN, lines_of, read

FLOWS = {
    Entered.PSP_CREDIT: "credit", Entered.PSP_DEBIT: "debit", Entered.TRANSFER_OUT: "debit",
    Entered.TRANSFER_RETURNED: "return", Entered.CHARGES: "fee", Entered.INTEREST: "interest", Entered.CREDIT: "credit",
    Entered.DEBIT: "debit",
}  # fmt: skip
NEGATIVE = (Entered.PSP_DEBIT, Entered.TRANSFER_OUT, Entered.CHARGES, Entered.DEBIT)
type Written = tuple[Camt | Mt940 | Bai2, Callable[[BankDay], bytes]]
FORMATS: dict[str, Written] = {
    "camt 02": (Camt(), lambda day: camt.statement(day, version=2)),
    "camt 08": (Camt(), camt.statement),
    "camt without a summary": (Camt(), lambda day: camt.statement(day, sums=False, copy=True)),
    "mt940": (Mt940(), mt940.statement),
    "bai2": (Bai2(), bai2.statement),
}


def day_of(entries: list[BankEntry], opening: int = 5_000, currency: str = "EUR") -> BankDay:
    day = BankDay("2026324EUR", 324, DAY, currency, IBAN, opening, entries)
    day.closing = opening + sum(entry.amount for entry in entries if not entry.pending)
    return day


words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=30).map(lambda text: f"x{text}")


@st.composite
def entries(draw: st.DrawFn) -> BankEntry:
    """Give an entry whose sign is that of its kind."""
    kind = draw(st.sampled_from(sorted(FLOWS)))
    amount = draw(st.integers(1, 10**11))
    ours = kind in (Entered.TRANSFER_OUT, Entered.TRANSFER_RETURNED)
    return BankEntry(
        kind, "EUR", -amount if kind in NEGATIVE else amount, DAY,
        draw(st.from_regex(r"[A-Z][A-Z0-9]{1,14}", fullmatch=True)),
        end_to_end=draw(words) if ours else "", text=draw(st.sampled_from(["", "PAYOUT po 17", "Invoice 4"])),
        name="Anna" if ours else "", account=OTHER_IBAN if ours else "", value_day=draw(st.sampled_from([None, DAY])),
        reason="AC04" if kind == Entered.TRANSFER_RETURNED else "", has_own_reference=draw(st.booleans()),
    )  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
@given(wanted=st.lists(entries(), max_size=6), opening=st.integers(-(10**6), 10**6))
@settings(max_examples=40, deadline=None)
def test_every_entry_is_read_as_it_was_written(name: str, wanted: list[BankEntry], opening: int) -> None:
    reader, write = FORMATS[name]
    (statement,) = read(reader, write(day_of(wanted, opening)))
    lines = list(statement.lines)
    assert [(one.flow, one.gross_minor, one.currency, one.booked_on) for one in lines] == [
        (FLOWS[entry.kind], entry.amount, "EUR", DAY) for entry in wanted
    ]
    assert [one.reference for one in lines] == [entry.reference if entry.has_own_reference else "" for entry in wanted]
    assert [one.own_reference for one in lines] == [entry.end_to_end for entry in wanted]
    assert (statement.declared["EUR"].opening, statement.declared["EUR"].closing) == (
        opening, opening + sum(entry.amount for entry in wanted),
    )  # fmt: skip
    if not isinstance(reader, Bai2):
        assert [one.counterparty for one in lines] == [entry.account for entry in wanted]
        assert all(one.category.endswith(":AC04") == (one.flow == "return") for one in lines)


@pytest.mark.parametrize("name", ["camt 02", "camt 08"])
def test_charges_that_the_writer_tells_are_split_off(name: str) -> None:
    reader, write = FORMATS[name]
    entry = BankEntry(Entered.PSP_CREDIT, "EUR", 9_850, DAY, "R1", text="PAYOUT po 1", charges=150)
    lines = lines_of(read(reader, write(day_of([entry]))))
    assert [(one.flow, one.gross_minor) for one in lines] == [("credit", 10_000), ("fee", -150)]
    assert all("PAYOUT po 1" in one.text for one in lines)


def test_pending_entries_are_left_out_and_batches_keep_their_name() -> None:
    pending = BankEntry(Entered.CREDIT, "EUR", 700, DAY, "P1", pending=True)
    batch = BankEntry(Entered.TRANSFER_OUT, "EUR", -900, DAY, "B1", batch="bfl-1")
    (line,) = lines_of(read(Camt(), camt.statement(day_of([pending, batch]))))
    assert (line.gross_minor, line.batch, line.own_reference) == (-900, "bfl-1", "")


@pytest.mark.parametrize("currency", ["JPY", "KWD", "EUR"])
@pytest.mark.parametrize("name", FORMATS)
def test_amounts_have_the_decimals_of_their_currency(name: str, currency: str) -> None:
    reader, write = FORMATS[name]
    entry = BankEntry(Entered.CREDIT, currency, 1_999, DAY, "R1", value_day=date(2026, 11, 23))
    (line,) = lines_of(read(reader, write(day_of([entry], currency=currency))))
    assert (line.currency, line.gross_minor) == (currency, 1_999)


def test_totals_that_the_writer_falsifies_are_found() -> None:
    entry = BankEntry(Entered.CREDIT, "EUR", 700, DAY, "R1")
    with pytest.raises(Exception, match="wrong_total"):
        read(Bai2(), bai2.statement(day_of([entry]), off=1))
