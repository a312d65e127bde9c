"""The platform withdraws its fees: proposed by one, approved by another, never more than the fees hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from ledger import accounts, balances, invariants, posting
from ledger.errors import ReferenceConflict
from ledger.models import Side, Transaction, TransactionKind
from ledger.posting import Journal
from tests.database import Clone
from tests.factories import BookFactory
from tests.ledger.desk import at_once, digests, sqlstate_of
from wallet import chart, earnings, legs, movements, proposals, withdrawals
from wallet.errors import InsufficientFees, MakerIsChecker, WrongProposal
from wallet.legs import DraftLeg
from wallet.models import Proposal
from wallet.movements import Heading
from wallet.proposals import Draft

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MAKER, CHECKER = "user:mia", "user:carl"
SELLER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
FEES, BANK = "fees:platform:EUR", "bank:main:EUR"


def open_book() -> int:
    """Make a book with a bank account, in which the platform earned 200."""
    book: int = BookFactory.create().pk
    sale = movements.settle_charge(
        Heading(book, "o1", "EUR", NOW, "tests"), psp_account="stripe", seller=SELLER, captured=1999, fee=200
    )
    with transaction.atomic():
        movements.record([sale], now=NOW)
        accounts.resolve([chart.bank(book, "main", "EUR")])
    return book


@pytest.fixture
def book(db: None) -> int:
    """Give such a book, in the test's transaction."""
    return open_book()


def draft(book: int, amount: int | None = 150, reference: str = "2026-11", **changes: Any) -> Draft:
    given = {"currency": "EUR", "bank": "main", "memo": "fees of November", "maker": MAKER, **changes}
    return withdrawals.fee_withdrawal(book, amount=amount, reference=reference, now=NOW, **given)


def proposed(book: int, amount: int | None = 150, reference: str = "2026-11") -> Proposal:
    return proposals.propose(draft(book, amount, reference), now=NOW)[0]


def rows() -> dict[str, Any]:
    return {**digests(connection), "proposals": list(Proposal.objects.order_by("pk").values())}


def held(book: int, code: str) -> int:
    return balances.of_codes(book, [code])[code].balance


def give_back(book: int, amount: int) -> None:
    """Refund what the platform earned."""
    share = movements.Share()
    refund = movements.request_refund(Heading(book, "r1", "EUR", NOW, "tests"), seller=SELLER, share=share, fee=amount)
    with transaction.atomic():
        movements.record([refund], now=NOW)


def test_fees_leave_through_the_bank_once_somebody_else_approves(book: int) -> None:
    made = proposed(book)
    assert (held(book, FEES), made.state) == (200, "awaiting_approval")
    with pytest.raises(MakerIsChecker):
        proposals.approve(made.pk, checker=MAKER, now=NOW)
    proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert (held(book, FEES), held(book, BANK)) == (50, -150)
    posted = Transaction.objects.get(kind="withdraw_fees")
    assert (posted.reference, posted.actor) == ("withdraw_fees:2026-11", CHECKER)
    assert invariants.violations() == []


def test_everything_is_what_the_fees_hold_when_it_is_proposed(book: int) -> None:
    proposals.approve(proposed(book, None).pk, checker=CHECKER, now=NOW)
    assert (held(book, FEES), earnings.earned(book, "EUR")) == (0, 0)
    before = rows()
    with pytest.raises(InsufficientFees):
        draft(book, None, "again")
    assert rows() == before


def test_a_reference_is_withdrawn_once(book: int) -> None:
    made = proposed(book)
    assert proposals.propose(draft(book), now=NOW) == (made, False)
    with pytest.raises(ReferenceConflict):
        proposals.propose(draft(book, 140), now=NOW)
    proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert proposals.propose(draft(book), now=NOW)[1] is False
    assert Transaction.objects.filter(kind="withdraw_fees").count() == 1


@pytest.mark.parametrize("amount", [201, 0, -5])
def test_no_more_than_the_fees_hold_is_proposed(book: int, amount: int) -> None:
    before = rows()
    with pytest.raises(InsufficientFees):
        proposed(book, amount)
    with pytest.raises(InsufficientFees):
        proposals.rehearse(draft(book, amount), now=NOW)
    assert rows() == before


def test_fees_in_another_currency_pay_nothing(book: int) -> None:
    accounts.resolve([chart.bank(book, "main", "USD")])
    with pytest.raises(InsufficientFees):
        proposals.propose(draft(book, 1, currency="USD"), now=NOW)


def test_a_bank_account_that_the_book_does_not_have_is_refused(book: int) -> None:
    other = open_book()
    accounts.resolve([chart.bank(other, "theirs", "EUR")])
    before = rows()
    for name in ("nobody", "theirs", "main:EUR", ""):
        with pytest.raises(WrongProposal) as refusal:
            draft(book, bank=name)
        assert [(fault.field, fault.code) for fault in refusal.value.faults] == [("bank", "unknown_account")]
    assert rows() == before


def test_fees_that_were_given_back_meanwhile_are_not_withdrawn(book: int) -> None:
    made = proposed(book)
    give_back(book, 60)
    before = rows()
    with pytest.raises(InsufficientFees):
        proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert rows() == before, "it waits on"


def test_two_withdrawals_approved_at_once_take_no_more_than_there_is(committed_db: Clone) -> None:
    book = open_book()
    waiting = [proposed(book, 150, f"w{number}").pk for number in range(4)]
    results = at_once(*(lambda key=key: proposals.approve(key, checker=CHECKER, now=NOW) for key in waiting))
    assert sum(isinstance(one, InsufficientFees) for one in results) == 3
    assert held(book, FEES) == 50
    assert Transaction.objects.filter(kind="withdraw_fees").count() == 1


def test_the_database_refuses_a_withdrawal_with_other_legs(book: int) -> None:
    pairs = [
        (chart.seller(book, SELLER, "pending", "EUR").code, BANK),
        (FEES, "refund:payable:EUR"),
        ("fees:platform:USD", BANK),
        (FEES, "bank:main:USD"),
    ]
    for debit, credit in pairs:
        lines = [DraftLeg(debit, Side.DEBIT, 5, "EUR").data, DraftLeg(credit, Side.CREDIT, 5, "EUR").data]
        made = Proposal(
            public_id=UUID(int=7), book_id=book, kind="withdraw_fees", reference="x", memo="m", maker=MAKER, legs=lines,
            made_at=NOW,
        )  # fmt: skip
        with pytest.raises(DatabaseError, match="fee_withdrawal_has_its_legs"), transaction.atomic():
            made.save(force_insert=True)


def test_the_database_refuses_to_withdraw_more_than_the_fees_hold(book: int) -> None:
    made = proposed(book)
    give_back(book, 60)
    before = rows()
    lines = legs.ready(book, legs.stored(made.legs))
    journal = Journal(book, TransactionKind.WITHDRAW_FEES, str(made), lines, NOW, CHECKER)

    def approve_without_looking() -> None:
        with transaction.atomic():
            (posted,) = posting.post([journal], now=NOW)
            Proposal.objects.filter(pk=made.pk).update(
                state="approved", checker=CHECKER, decided_at=NOW, transaction_id=posted.transaction_id
            )

    with pytest.raises(DatabaseError) as refusal:
        approve_without_looking()
    assert sqlstate_of(refusal.value) == "FL032"
    assert rows() == before
