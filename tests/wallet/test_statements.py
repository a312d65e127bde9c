"""A wallet's statement adds up: every line, every page, from any start to any end."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from config import seam
from ledger import accounts, posting
from ledger.models import Side, TransactionKind
from ledger.posting import Journal, Leg
from tests.factories import NOW, BookFactory
from wallet import balances, chart, holdings, movements, statements
from wallet.models import Wallet
from wallet.movements import Heading
from wallet.statements import Line, Parts

HOUR = timedelta(hours=1)


def live(book_id: int, seller: UUID, *, steps: int, seed: int) -> None:
    """Let a seller sell, be released, refunded, disputed and paid, an hour or nothing apart."""
    draw = random.Random(seed)
    now = NOW
    pending = 0
    for step in range(steps):
        now += draw.choice((HOUR, timedelta(0)))
        heading = Heading(book_id, f"s{step}", "EUR", now, "tests")
        with transaction.atomic():
            owner = (book_id, seller, "EUR")
            held = holdings.lock([owner])[owner]
            verb = draw.choice(("sale", "sale", "release", "refund", "payout", "reserve"))
            if verb == "sale":
                amount = draw.randrange(1, 5000)
                made = movements.settle_charge(heading, psp_account="stripe", seller=seller, captured=amount, fee=0)
                pending += amount
            elif verb == "release" and held.pending:
                amount = draw.randrange(1, held.pending + 1)
                given = held.give(amount)
                made = movements.release(heading, seller=seller, amount=amount, debt=given.debt)
            elif verb == "refund":
                share = held.take(draw.randrange(1, 3000), pending_of_order=draw.randrange(0, held.pending + 1))
                made = movements.request_refund(heading, seller=seller, share=share, fee=draw.randrange(0, 3))
            elif verb == "payout" and held.available:
                made = movements.reserve_payout(heading, seller=seller, amount=draw.randrange(1, held.available + 1))
            elif verb == "reserve" and held.available:
                made = movements.hold_reserve(heading, seller=seller, amount=draw.randrange(1, held.available + 1))
            else:
                continue
            movements.record([made], now=now)


@pytest.fixture
def wallet(db: None) -> Wallet:
    """Give a wallet with a history, beside another one in the same book and another currency of the same seller."""
    book_id, seller = BookFactory.create().pk, seam.new_uuid()
    live(book_id, seller, steps=60, seed=1)
    live(book_id, seam.new_uuid(), steps=10, seed=2)
    other = movements.settle_charge(
        Heading(book_id, "x", "USD", NOW, "tests"), psp_account="stripe", seller=seller, captured=5, fee=0
    )
    movements.record([other], now=NOW)
    return Wallet.objects.get(book_id=book_id, seller=seller, currency="EUR")


def held_now(wallet: Wallet) -> Parts:
    (row,) = balances.of_wallets([wallet])
    return Parts(row.pending, row.available, row.reserved, row.in_transit, row.debt)


START, END = NOW, NOW + timedelta(days=30)


@pytest.mark.django_db
def test_a_whole_statement_starts_at_nothing_and_ends_in_what_is_there(wallet: Wallet) -> None:
    whole = statements.page(wallet, start=START, end=END, limit=1000)
    assert whole.opening == Parts()
    assert whole.closing == held_now(wallet)
    assert not whole.more
    assert len(whole.lines) > 30
    held = Parts()
    for line in whole.lines:
        held += line.change
        assert line.after == held
        assert line.change != Parts()
        assert line.reference == f"{line.kind}:{line.subject}"
    assert held.balance == held.pending + held.available + held.reserved - held.debt
    assert [line.place for line in whole.lines] == sorted(line.place for line in whole.lines)


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_pages_give_each_line_once_whatever_their_size(wallet: Wallet, limit: int) -> None:
    whole = statements.page(wallet, start=START, end=END, limit=1000).lines
    found: list[Line] = []
    after = None
    while True:
        page = statements.page(wallet, start=START, end=END, after=after, limit=limit)
        assert page.opening == (found[-1].after if found else Parts())
        found += page.lines
        if not page.more:
            break
        after = page.lines[-1].place
    assert tuple(found) == whole
    assert tuple(statements.lines(wallet, start=START, end=END, most=10_000)) == whole
    assert tuple(statements.lines(wallet, start=START, end=END, most=5)) == whole[:5]


@pytest.mark.django_db
def test_two_periods_that_meet_are_one(wallet: Wallet) -> None:
    whole = statements.page(wallet, start=START, end=END, limit=1000)
    instants: list[datetime] = sorted({line.posted_at for line in whole.lines})
    for cut in (*instants[::5], instants[-1] + HOUR, START - HOUR):
        first = statements.page(wallet, start=START - HOUR, end=cut, limit=1000)
        second = statements.page(wallet, start=cut, end=END, limit=1000)
        assert first.closing == second.opening
        assert first.lines + second.lines == whole.lines
        assert second.closing == whole.closing


@pytest.mark.django_db
def test_a_page_is_two_statements_that_scan_no_table(wallet: Wallet) -> None:
    with CaptureQueriesContext(connection) as queries:
        statements.page(wallet, start=START, end=END, limit=10)
    assert len(queries) == 2
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + queries[1]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "entry_by_account" in plan
    assert "Seq Scan on ledger_entry" not in plan


@pytest.mark.django_db
def test_an_empty_wallet_has_an_empty_statement() -> None:
    book_id = BookFactory.create().pk
    wallet = Wallet.objects.create(
        public_id=seam.new_uuid(), book_id=book_id, seller=seam.new_uuid(), currency_id="EUR"
    )
    assert statements.page(wallet, start=START, end=END) == statements.Page(Parts(), (), Parts(), more=False)


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_a_transaction_that_meets_an_account_twice_is_one_line(limit: int) -> None:
    book_id, seller = BookFactory.create().pk, seam.new_uuid()
    heading = Heading(book_id, "s1", "EUR", NOW, "tests")
    sale = movements.settle_charge(heading, psp_account="stripe", seller=seller, captured=5000, fee=0)
    movements.record([sale], now=NOW)
    wallet = Wallet.objects.get(book_id=book_id, seller=seller)
    parts = {part: chart.seller(book_id, seller, part, "EUR") for part in ("pending", "available")}
    ids = accounts.resolve(parts.values())
    pending, available = (ids[book_id, spec.code] for spec in parts.values())
    moves = (
        Leg(available, "EUR", Side.CREDIT, 7),
        Leg(available, "EUR", Side.CREDIT, 5),
        Leg(available, "EUR", Side.DEBIT, 2),
        Leg(pending, "EUR", Side.DEBIT, 4),
        Leg(pending, "EUR", Side.DEBIT, 6),
    )
    now = NOW + 10 * HOUR
    for number in range(4):
        journal = Journal(book_id, TransactionKind.ADJUST, f"twice-{number}", moves, now, "tests")
        with transaction.atomic():
            posting.post([journal], now=now + number * HOUR)
    found = list(statements.lines(wallet, start=START, end=END, most=1000))
    paged: list[Line] = []
    after = None
    for _ in range(100):
        page = statements.page(wallet, start=START, end=END, after=after, limit=limit)
        paged += page.lines
        if not page.more:
            break
        after = page.lines[-1].place if page.lines else after
    assert paged == found
    assert [line.change for line in found[-4:]] == [Parts(pending=-10, available=10)] * 4
    assert found[-1].after == held_now(wallet)
