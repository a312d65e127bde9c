"""Proposals: somebody makes one, somebody else decides once, and only an approval posts. The database insists."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from ledger import accounts, balances, invariants, periods
from ledger.errors import (
    AccountClosed,
    FloorBroken,
    PeriodClosed,
    PersonalData,
    PostingRefused,
    ReferenceConflict,
    ReversalExceeds,
    Unbalanced,
)
from ledger.ids import public_id
from ledger.models import Account, Side, Transaction, TransactionKind
from tests.database import Clone
from tests.factories import BookFactory
from tests.ledger.desk import at_once, digests, sqlstate_of
from wallet import chart, corrections, movements, proposals
from wallet.errors import (
    AlreadyDecided,
    MakerIsChecker,
    ProposalExpired,
    UnknownProposal,
    WrongProposal,
)
from wallet.legs import DraftLeg
from wallet.models import Proposal, Wallet
from wallet.movements import Heading
from wallet.proposals import Draft

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
D, C = Side.DEBIT, Side.CREDIT
MAKER, CHECKER = "user:mia", "user:carl"
SELLER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
AVAILABLE = chart.seller(1, SELLER, "available", "EUR").code


def open_book() -> int:
    """Make a book in which a seller has 1799 available, and the platform earned 200."""
    book: int = BookFactory.create().pk
    sell(book, "o1")
    return book


def heading(book: int, subject: str) -> Heading:
    return Heading(book, subject, "EUR", NOW, "tests")


def sell(book: int, order: str) -> None:
    sale = movements.settle_charge(heading(book, order), psp_account="stripe", seller=SELLER, captured=1999, fee=200)
    free = movements.release(heading(book, order), seller=SELLER, amount=1799, debt=0)
    with transaction.atomic():
        movements.record([sale, free], now=NOW)


@pytest.fixture
def book(db: None) -> int:
    """Give a book with a sale, in the test's transaction."""
    return open_book()


def legs(*lines: tuple[str, Side, int], currency: str = "EUR") -> tuple[DraftLeg, ...]:
    return tuple(DraftLeg(account, side, amount, currency) for account, side, amount in lines)


def draft(book: int, reference: str = "r1", amount: int = 500, **changes: Any) -> Draft:
    """Draft what moves an amount from what a seller has available to what we owe to buyers."""
    lines = legs((AVAILABLE, D, amount), ("refund:payable:EUR", C, amount))
    made = Draft(book, Proposal.Kind.ADJUST, reference, lines, "the buyer paid twice", MAKER)
    return replace(made, **changes)


def proposed(book: int, reference: str = "r1", amount: int = 500, **changes: Any) -> Proposal:
    return proposals.propose(draft(book, reference, amount, **changes), now=NOW)[0]


def rows() -> dict[str, Any]:
    """Return what refusals must leave alone: the books and the proposals."""
    return {**digests(connection), "proposals": list(Proposal.objects.order_by("pk").values())}


def balance(book: int, code: str) -> int:
    return balances.of_codes(book, [code])[code].balance


# --- the life of a proposal ----------------------------------------------------------------------------------------


def test_a_proposal_posts_nothing_until_somebody_else_approves_it(book: int) -> None:
    before = digests(connection)
    made = proposed(book)
    assert made.state == "awaiting_approval"
    assert {**digests(connection), "ledger_account": before["ledger_account"]} == before
    decided = proposals.approve(made.pk, checker=CHECKER, note="seen", now=NOW)
    posted = Transaction.objects.get(pk=decided.transaction_id)
    assert (posted.kind, posted.reference, posted.actor) == ("adjust", "adjust:r1", CHECKER)
    assert posted.metadata == {"maker": MAKER, "proposal": public_id("prp", made.public_id)}
    assert (posted.effective_at, posted.memo) == (NOW, "the buyer paid twice")
    stored = Proposal.objects.get(pk=made.pk)
    assert (stored.state, stored.checker, stored.decided_at, stored.note) == ("approved", CHECKER, NOW, "seen")
    assert (balance(book, AVAILABLE), balance(book, "refund:payable:EUR")) == (1299, 500)
    assert invariants.violations() == []


def test_what_is_approved_without_a_date_takes_effect_then_and_with_one_on_it(book: int) -> None:
    later, earlier = NOW + timedelta(hours=3), NOW - timedelta(days=3)
    now, then = proposed(book, "now"), proposed(book, "then", effective_at=earlier)
    for made in (now, then):
        proposals.approve(made.pk, checker=CHECKER, now=later)
    found = dict(Transaction.objects.filter(kind="adjust").values_list("reference", "effective_at"))
    assert found == {"adjust:now": later, "adjust:then": earlier}


def test_a_rejected_proposal_posts_nothing_and_frees_its_reference(book: int) -> None:
    first = proposed(book)
    before = digests(connection)
    proposals.reject(first.pk, checker=CHECKER, note="wrong seller", now=NOW)
    assert digests(connection) == before
    again, created = proposals.propose(draft(book, amount=300), now=NOW)
    assert created
    assert again.pk != first.pk


def test_the_same_proposal_twice_is_one_and_another_under_its_reference_is_refused(book: int) -> None:
    made = proposed(book)
    before = rows()
    same, created = proposals.propose(draft(book, memo="other words"), now=NOW)
    assert (same.pk, created) == (made.pk, False)
    for other in ({"amount": 501}, {"effective_at": NOW - timedelta(days=1)}):
        with pytest.raises(ReferenceConflict):
            proposed(book, **other)
    assert rows() == before
    assert proposed(book, kind=Proposal.Kind.WRITE_OFF).pk != made.pk
    proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert proposals.propose(draft(book), now=NOW) == (made, False)


def test_references_are_those_of_one_book(book: int) -> None:
    other = open_book()
    assert proposed(book).pk != proposed(other).pk


def test_a_reference_of_the_ledger_that_no_proposal_has_is_refused(book: int) -> None:
    late = movements.late_success(heading(book, "c1"), psp_account="stripe", amount=1)
    movement = replace(late, reference="adjust:r1")
    movements.record([movement], now=NOW)
    before = rows()
    with pytest.raises(ReferenceConflict):
        proposed(book)
    with pytest.raises(ReferenceConflict):
        proposals.rehearse(draft(book), now=NOW)
    assert rows()["proposals"] == before["proposals"]


def test_whoever_made_it_cannot_decide(book: int) -> None:
    made = proposed(book)
    before = rows()
    for decide in (proposals.approve, proposals.reject):
        with pytest.raises(MakerIsChecker):
            decide(made.pk, checker=MAKER, now=NOW)
    assert rows() == before


@pytest.mark.parametrize("first", [proposals.approve, proposals.reject])
@pytest.mark.parametrize("second", [proposals.approve, proposals.reject])
def test_a_decision_is_final(book: int, first: Any, second: Any) -> None:
    made = proposed(book)
    first(made.pk, checker=CHECKER, now=NOW)
    before = rows()
    with pytest.raises(AlreadyDecided, match=CHECKER):
        second(made.pk, checker="user:other", now=NOW)
    assert rows() == before


def test_what_does_not_exist_cannot_be_decided(book: int) -> None:
    with pytest.raises(UnknownProposal):
        proposals.approve(0, checker=CHECKER, now=NOW)


def test_a_proposal_expires_and_frees_its_reference(book: int) -> None:
    old, young = proposed(book, "old"), proposals.propose(draft(book, "young"), now=NOW + timedelta(days=1))[0]
    late = NOW + proposals.LIFE
    with pytest.raises(ProposalExpired):
        proposals.approve(old.pk, checker=CHECKER, now=late)
    assert proposals.expire(now=late - timedelta(seconds=1)) == 0
    assert proposals.expire(now=late) == 1
    assert dict(Proposal.objects.values_list("reference", "state")) == {"old": "expired", "young": "awaiting_approval"}
    with pytest.raises(AlreadyDecided):
        proposals.approve(old.pk, checker=CHECKER, now=late)
    assert proposals.propose(draft(book, "old"), now=late)[1]
    proposals.approve(young.pk, checker=CHECKER, now=late)


# --- what is refused when it is made -------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"legs": legs((AVAILABLE, D, 5))}, {"legs": "too_short"}),
    ({"legs": legs()}, {"legs": "too_short"}),
    ({"legs": legs(*[(AVAILABLE, D, 5)] * 10_001)}, {"legs": "too_long"}),
    ({"legs": legs((AVAILABLE, D, 5), ("nobody:EUR", C, 5))}, {"legs[1].account": "unknown_account"}),
    ({"legs": legs((AVAILABLE, D, 5), ("fees:platform:XXX", C, 5))}, {"legs[1].account": "unknown_account"}),
    (
        {"legs": legs((AVAILABLE, D, 5), ("refund:payable:EUR", C, 5), currency="USD")},
        {"legs[0].currency": "currency_mismatch", "legs[1].currency": "currency_mismatch"},
    ),
    (
        {"legs": legs((AVAILABLE, D, 0), ("refund:payable:EUR", C, 2**63))},
        {"legs[0].amount": "invalid_amount", "legs[1].amount": "invalid_amount"},
    ),
    ({"reference": "", "memo": ""}, {"reference": "invalid_value", "memo": "invalid_value"}),
    ({"reference": "r" * 101}, {"reference": "invalid_value"}),
    ({"memo": "m" * 256}, {"memo": "invalid_value"}),
    ({"effective_at": NOW + timedelta(seconds=1)}, {"effective_at": "invalid_value"}),
]


@pytest.mark.parametrize(("changes", "faults"), WRONG)
def test_every_wrong_field_is_named_and_nothing_written(
    book: int, changes: dict[str, Any], faults: dict[str, str]
) -> None:
    before = rows()
    for attempt in (proposals.propose, proposals.rehearse):
        with pytest.raises(WrongProposal) as caught:
            attempt(draft(book, **changes), now=NOW)
        assert {fault.field: fault.code for fault in caught.value.faults} == faults
    assert rows() == before


REFUSED: list[tuple[dict[str, Any], type[PostingRefused]]] = [
    ({"legs": legs((AVAILABLE, D, 5), ("write_off:EUR", C, 6))}, Unbalanced),
    ({"legs": legs((AVAILABLE, D, 1800), ("write_off:EUR", C, 1800))}, FloorBroken),
    ({"metadata": {"customer_email": "x"}}, PersonalData),
]


@pytest.mark.parametrize(("changes", "refusal"), REFUSED)
def test_what_the_books_would_refuse_is_not_proposed(
    book: int, changes: dict[str, Any], refusal: type[PostingRefused]
) -> None:
    before = rows()
    for attempt in (proposals.propose, proposals.rehearse):
        with pytest.raises(refusal):
            attempt(draft(book, **changes), now=NOW)
    assert rows() == before


def test_unbalanced_legs_say_by_how_much_and_in_which_currency(book: int) -> None:
    uneven = legs((AVAILABLE, D, 5), ("write_off:EUR", C, 6))
    with pytest.raises(Unbalanced, match=r"differ by 0\.01 EUR"):
        proposed(book, legs=uneven)


def test_another_books_account_is_unknown(book: int) -> None:
    stranger = BookFactory.create()
    with pytest.raises(WrongProposal, match="no such account"):
        proposed(stranger.pk)
    assert not Proposal.objects.exists()


# --- what changed between proposal and approval --------------------------------------------------------------------


def spend(book: int) -> Any:
    other = proposed(book, "spend", 1799)
    proposals.approve(other.pk, checker=CHECKER, now=NOW)
    return FloorBroken


def close_account(book: int) -> Any:
    accounts.close(Account.objects.get(book_id=book, code="refund:payable:EUR").pk, now=NOW)
    return AccountClosed


def close_period(book: int) -> Any:
    periods.soft_close(book, ends_at=NOW - timedelta(hours=1), may_post=["user:other"], actor="x", now=NOW)
    return PeriodClosed


@pytest.mark.parametrize("meanwhile", [spend, close_account, close_period])
def test_what_can_no_longer_be_posted_stays_waiting_and_says_why(book: int, meanwhile: Any) -> None:
    made = proposed(book, effective_at=NOW - timedelta(days=1))
    refusal = meanwhile(book)
    before = rows()
    with pytest.raises(refusal):
        proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert rows() == before
    assert Proposal.objects.get(pk=made.pk).state == "awaiting_approval"
    assert isinstance(proposals.preview(made, actor=CHECKER, now=NOW).refusal, refusal)
    assert rows() == before
    proposals.reject(made.pk, checker=CHECKER, now=NOW)


def test_into_a_softly_closed_period_whoever_was_named_approves(book: int) -> None:
    month = NOW - timedelta(hours=1)
    periods.soft_close(book, ends_at=month, may_post=[CHECKER], actor="x", now=NOW)
    made = proposed(book, effective_at=month - timedelta(days=1))
    with pytest.raises(PeriodClosed):
        proposals.approve(made.pk, checker="user:other", now=NOW)
    assert proposals.approve(made.pk, checker=CHECKER, now=NOW).state == "approved"


def test_into_a_closed_period_nobody_proposes(book: int) -> None:
    month = NOW - timedelta(hours=1)
    period = periods.soft_close(book, ends_at=month, may_post=[MAKER, CHECKER], actor="x", now=NOW)
    periods.begin_close(period, actor="x", now=NOW)
    before = rows()
    with pytest.raises(PeriodClosed):
        proposed(book, effective_at=month - timedelta(days=1))
    assert rows() == before


# --- seeing before -------------------------------------------------------------------------------------------------


def test_a_rehearsal_shows_the_balances_and_writes_nothing(book: int) -> None:
    before = rows()
    lines = legs((AVAILABLE, D, 100), (AVAILABLE, D, 20), ("write_off:EUR", C, 120))
    made, seen = proposals.rehearse(draft(book, legs=lines), now=NOW)
    assert made.pk is None
    assert [(one.account, one.before, one.after) for one in seen.changes] == [
        (AVAILABLE, 1799, 1679),
        ("write_off:EUR", 0, -120),
    ]
    assert seen.refusal is None
    assert rows() == before


def test_a_preview_is_what_then_happens(book: int) -> None:
    made = proposed(book)
    seen = proposals.preview(made, actor=CHECKER, now=NOW)
    proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert {one.account: one.after for one in seen.changes} == {
        one.account: balance(book, one.account) for one in seen.changes
    }


# --- corrections ---------------------------------------------------------------------------------------------------


def sale_of(book: int) -> Transaction:
    return Transaction.objects.get(book_id=book, kind="settle_charge")


FLOWS = [chart.seller(1, SELLER, part, "EUR").code for part in ("pending", "reserved", "in_transit")]


@pytest.mark.parametrize("code", FLOWS)
def test_what_follows_orders_disputes_and_payouts_takes_no_manual_journal(book: int, code: str) -> None:
    before = rows()
    with pytest.raises(WrongProposal, match="correct those") as caught:
        proposed(book, legs=legs((code, C, 5), ("write_off:EUR", D, 5)))
    assert [(fault.field, fault.code) for fault in caught.value.faults] == [("legs[0].account", "not_supported")]
    with pytest.raises(WrongProposal, match="correct those"):
        proposals.propose(corrections.reversal(sale_of(book), memo="a test sale", maker=MAKER), now=NOW)
    assert rows() == before
    assert [kept for kept in ("psp:a:clearing:EUR", "psp:a:dispute_held:EUR") if chart.follows_a_flow(kept)] == [
        "psp:a:dispute_held:EUR"
    ]


def three_legs(book: int) -> Transaction:
    """Post what has more than two legs, none of them of a flow."""
    lines = legs((AVAILABLE, D, 900), ("refund:payable:EUR", C, 700), ("fees:platform:EUR", C, 200))
    moved = proposals.approve(proposed(book, "three", legs=lines).pk, checker=CHECKER, now=NOW).transaction
    assert moved is not None
    return moved


def test_a_transaction_is_taken_back_in_full_once(book: int) -> None:
    moved = three_legs(book)
    made, _ = proposals.propose(corrections.reversal(moved, memo="a mistake", maker=MAKER), now=NOW)
    assert (made.kind, made.reference) == ("reversal", public_id("txn", moved.public_id))
    proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert (balance(book, AVAILABLE), balance(book, "refund:payable:EUR")) == (1799, 0)
    again = corrections.reversal(moved, memo="once more", maker=MAKER, reference="again")
    with pytest.raises(ReversalExceeds):
        proposals.propose(again, now=NOW)
    assert invariants.violations() == []


def test_a_transaction_is_taken_back_in_parts(book: int) -> None:
    moved = three_legs(book)
    part = legs((AVAILABLE, C, 700), ("refund:payable:EUR", D, 700))
    wanted = corrections.reversal(moved, memo="part", maker=MAKER, reference="p1", legs=part)
    made, _ = proposals.propose(wanted, now=NOW)
    proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert (made.kind, balance(book, AVAILABLE)) == ("partial_reversal", 1599)
    with pytest.raises(WrongProposal, match="reference of its own"):
        corrections.reversal(moved, memo="part", maker=MAKER, legs=part)
    with pytest.raises(WrongProposal, match="more than two legs"):
        corrections.reversal(moved, memo="part", maker=MAKER, reference="p2", amount=1)


def test_a_part_of_a_transaction_with_two_legs_is_an_amount(book: int) -> None:
    moved = proposals.approve(proposed(book).pk, checker=CHECKER, now=NOW).transaction
    assert moved is not None
    wanted = corrections.reversal(moved, memo="part", maker=MAKER, reference="p1", amount=200)
    proposals.approve(proposals.propose(wanted, now=NOW)[0].pk, checker=CHECKER, now=NOW)
    assert balance(book, AVAILABLE) == 1499


@pytest.mark.parametrize(("side", "after", "cost"), [(C, 250, 250), (D, -250, -250)])
def test_an_adjustment_of_a_wallet_is_the_platforms_cost(book: int, side: Side, after: int, cost: int) -> None:
    wallet = Wallet.objects.get(book_id=book)
    wanted = corrections.adjustment(wallet, side=side, amount=250, reference="a1", reason="goodwill", maker=MAKER)
    proposals.approve(proposals.propose(wanted, now=NOW)[0].pk, checker=CHECKER, now=NOW)
    assert (balance(book, AVAILABLE), balance(book, "write_off:EUR")) == (1799 + after, cost)


def test_an_adjustment_never_takes_a_wallet_below_zero(book: int) -> None:
    wallet = Wallet.objects.get(book_id=book)
    before = rows()
    wanted = corrections.adjustment(wallet, side=D, amount=1800, reference="a1", reason="oops", maker=MAKER)
    with pytest.raises(FloorBroken):
        proposals.propose(wanted, now=NOW)
    assert rows() == before


# --- many at once --------------------------------------------------------------------------------------------------


@pytest.fixture
def committed_book(committed_db: Clone) -> int:
    """Give a committed book with a sale."""
    return open_book()


def test_of_many_checkers_at_once_one_wins(committed_book: int) -> None:
    made = proposed(committed_book)
    decide = [proposals.approve, proposals.reject] * 4
    results = at_once(
        *(
            lambda run=run, place=place: run(made.pk, checker=f"user:{place}", now=NOW).state
            for place, run in enumerate(decide)
        )
    )
    won = [one for one in results if isinstance(one, str)]
    assert len(won) == 1
    assert all(isinstance(one, AlreadyDecided) for one in results if not isinstance(one, str))
    stored = Proposal.objects.get()
    assert stored.state == won[0]
    assert Transaction.objects.filter(kind="adjust").count() == (stored.state == "approved")
    assert invariants.violations() == []


def test_of_many_approvals_that_share_a_balance_only_as_many_as_it_holds_are_posted(committed_book: int) -> None:
    made = [proposed(committed_book, f"r{n}", 600) for n in range(5)]
    results = at_once(*(lambda one=one: proposals.approve(one.pk, checker=CHECKER, now=NOW).state for one in made))
    assert sorted(str(one) if isinstance(one, str) else type(one).__name__ for one in results) == [
        "FloorBroken",
        "FloorBroken",
        "FloorBroken",
        "approved",
        "approved",
    ]
    assert balance(committed_book, AVAILABLE) == 599
    assert invariants.violations() == []


def test_of_many_that_propose_the_same_at_once_one_makes_it(committed_book: int) -> None:
    results = at_once(*(lambda: proposals.propose(draft(committed_book), now=NOW)[1] for _ in range(6)))
    assert sorted(map(str, results)) == ["False"] * 5 + ["True"]
    assert Proposal.objects.count() == 1


# --- raw SQL as the runtime role -----------------------------------------------------------------------------------

GUARD, MISMATCH, CHECK, DENIED, UNIQUE = "FL030", "FL031", "23514", "42501", "23505"
_DECIDE = "UPDATE wallet_proposal SET state = 'approved', checker = '{who}', decided_at = now(), transaction_id = {txn}"
_INSERT = (
    "INSERT INTO wallet_proposal (public_id, book_id, kind, reference, memo, metadata, legs, maker, made_at, state)"
    " VALUES (gen_random_uuid(), {book}, '{kind}', 'x', '{memo}', '{{}}', '{legs}', '{maker}', now(), '{state}')"
)
SOUND = [
    {"account": "a", "side": "D", "amount": 5, "currency": "EUR"},
    {"account": "b", "side": "C", "amount": 5, "currency": "EUR"},
]


def attacked(url: str, *statements: str) -> str:
    """Run statements as the runtime role, roll back, and return the SQLSTATE of the refusal."""
    before = rows()
    with psycopg.connect(url) as attacker:
        for statement in statements[:-1]:
            attacker.execute(statement)
        with pytest.raises(psycopg.Error) as caught:
            attacker.execute(statements[-1])
        attacker.rollback()
    assert rows() == before
    return caught.value.sqlstate or ""


def insertion(book: int, lines: Any = SOUND, **changes: str) -> str:
    words = {"kind": "adjust", "memo": "m", "maker": "user:x", "state": "awaiting_approval", **changes}
    return _INSERT.format(book=book, legs=json.dumps(lines), **words)


def test_the_database_refuses_every_other_way_to_decide(committed_book: int, clone: Clone) -> None:
    made = proposed(committed_book)
    sale = sale_of(committed_book).pk
    url = clone.app_url
    assert attacked(url, _DECIDE.format(who=MAKER, txn=sale)) in (MISMATCH, CHECK)
    assert attacked(url, _DECIDE.format(who=CHECKER, txn=sale)) == MISMATCH
    assert attacked(url, _DECIDE.format(who=CHECKER, txn="NULL")) == MISMATCH
    rejected = "UPDATE wallet_proposal SET state = 'rejected', decided_at = now(), checker = '{}'"
    assert attacked(url, rejected.format(MAKER)) == CHECK
    assert attacked(url, rejected.format("")) == CHECK
    assert attacked(url, "UPDATE wallet_proposal SET state = 'gone', checker = 'x', decided_at = now()") == CHECK
    assert attacked(url, "UPDATE wallet_proposal SET note = 'hm'") == GUARD
    proposals.approve(made.pk, checker=CHECKER, now=NOW)
    assert attacked(url, "UPDATE wallet_proposal SET state = 'rejected', transaction_id = NULL") == GUARD
    assert attacked(url, "UPDATE wallet_proposal SET note = 'other'") == GUARD


@pytest.mark.parametrize(
    "change",
    [
        "legs = '[]'",
        "maker = 'user:other'",
        "book_id = 0",
        "kind = 'write_off'",
        "reference = 'other'",
        "memo = 'other'",
        'metadata = \'{"a": "b"}\'',
        "effective_at = now()",
        "made_at = now()",
        "public_id = gen_random_uuid()",
        "id = id + 1",
    ],
)
def test_what_a_proposal_says_cannot_be_changed(committed_book: int, clone: Clone, change: str) -> None:
    proposed(committed_book)
    statement = f"UPDATE wallet_proposal SET {change}"
    assert attacked(clone.app_url, statement) == DENIED
    decided = ", state = 'rejected', checker = 'x', decided_at = now()"
    assert attacked(clone.owner_url, statement + decided) == GUARD  # who has the right, and meets the guard


@pytest.mark.parametrize("statement", ["DELETE FROM wallet_proposal", "TRUNCATE wallet_proposal"])
def test_proposals_are_kept(committed_book: int, clone: Clone, statement: str) -> None:
    proposed(committed_book)
    assert attacked(clone.app_url, statement) == DENIED
    assert attacked(clone.owner_url, statement) == GUARD


def leg(**changes: Any) -> list[dict[str, Any]]:
    return [{**SOUND[0], **changes}, SOUND[1]]


@pytest.mark.parametrize(
    "lines",
    [
        {},
        "text",
        [],
        SOUND[:1],
        [1, 2],
        leg(amount=6),
        leg(amount="5"),
        leg(amount=5.5),
        leg(amount=0),
        leg(amount=-5),
        leg(amount=None),
        leg(side="X"),
        leg(side=None),
        leg(currency="USD"),
        leg(currency=7),
        leg(account=None),
        leg(more=1),
        [{"account": "a", "side": "D", "amount": 5}, SOUND[1]],
        [{**one, "amount": 2**63} for one in SOUND],
        [SOUND[0]] * 5001 + [SOUND[1]] * 5001,
    ],
)
def test_legs_that_are_not_sound_cannot_be_stored(committed_book: int, clone: Clone, lines: Any) -> None:
    assert attacked(clone.app_url, insertion(committed_book, lines)) == CHECK


def test_a_proposal_cannot_be_born_decided_or_without_a_maker(committed_book: int, clone: Clone) -> None:
    url = clone.app_url
    assert attacked(url, insertion(committed_book, state="approved")) == GUARD
    assert attacked(url, insertion(committed_book, maker="")) == CHECK
    assert attacked(url, insertion(committed_book, memo="")) == CHECK
    assert attacked(url, insertion(committed_book, kind="settle_charge")) == CHECK
    assert attacked(url, insertion(committed_book, kind="reversal")) == CHECK
    assert attacked(url, insertion(committed_book), insertion(committed_book)) == UNIQUE


def test_an_approval_needs_the_proposals_own_legs_posted_with_it(committed_book: int, clone: Clone) -> None:
    """Somebody posts other legs under the proposal's reference, and names that transaction as its approval."""
    made = proposed(committed_book)
    adjust = movements.late_success(heading(committed_book, "x"), psp_account="stripe", amount=501)
    other = replace(adjust, kind=TransactionKind.ADJUST, reference="adjust:r1", actor=CHECKER)
    before = rows()

    def approve() -> None:
        with transaction.atomic():
            (posted,) = movements.record([other], now=NOW)
            Proposal.objects.filter(pk=made.pk).update(
                state="approved", checker=CHECKER, decided_at=NOW, transaction_id=posted.transaction_id
            )

    with pytest.raises(DatabaseError) as caught:
        approve()
    assert sqlstate_of(caught.value) == MISMATCH
    assert rows() == before
