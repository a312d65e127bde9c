"""Each verb's legs are those of docs/reference/movements.md, and recording is idempotent and set-based."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from config import seam
from ledger import accounts, invariants, posting
from ledger import balances as ledger_balances
from ledger.errors import FloorBroken, ReferenceConflict
from ledger.ids import public_id
from ledger.models import Account, Balance, Entry, PostingMode, Side, Transaction, TransactionKind
from ledger.posting import Journal, Leg
from tests.factories import NOW, BookFactory, SellerFactory
from tests.ledger.desk import Desk, at_once, digests
from wallet import balances, chart, movements
from wallet.models import Wallet
from wallet.movements import Heading, Movement, Share

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SELLER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
BUYER = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
SHARE = Share(pending=700, available=400, debt=100)
VALUES = {
    "captured": 1999,
    "fee": 200,
    "amount": 1999,
    "debt": 150,
    "cost": 1500,
    "loss": 30,
    "reserved": 1200,
    "margin": 11,
    "rounding": 1,
    "bought": 1700,
    "gain": 40,
    "p": SHARE.pending,
    "a": SHARE.available,
    "d": SHARE.debt,
}

VERBS: dict[str, Callable[..., Movement]] = {
    name: verb
    for name, verb in inspect.getmembers(movements, inspect.isfunction)
    if not name.startswith("_") and get_type_hints(verb).get("return") is Movement
}


def table(page: str, first_column: str) -> list[list[str]]:
    """Return the rows of the page's table that starts with a column of this name."""
    lines = (REFERENCE / page).read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def call(name: str, **changes: Any) -> Movement:
    """Call a verb with 1999 minor units, a fee of 200 where it takes one, and everything else that it asks for."""
    about = {"book_id": 1, "subject": "r1", "currency": "EUR", "effective_at": NOW, "actor": "tests"}
    known = {
        **VALUES,
        "heading": Heading(**{word: changes.get(word, value) for word, value in about.items()}),
        "psp_account": "stripe",
        "bank": "house",
        "place": "psp:stripe:clearing",
        "to_currency": "USD",
        "seller": SELLER,
        "buyer": BUYER,
        "share": SHARE,
        **changes,
    }
    return VERBS[name](**{word: known[word] for word in inspect.signature(VERBS[name]).parameters})


ALIASES = {
    "clearing": "psp:stripe:clearing:EUR",
    "connected": "psp:stripe:connected:EUR",
    "held": "psp:stripe:dispute_held:EUR",
    **{part: f"seller:{public_id('sel', SELLER)}:{part}:EUR" for part in chart.SELLER_PARTS},
    "stored": f"buyer:{public_id('buy', BUYER)}:stored:EUR",
    "fees": "fees:platform:EUR",
    "dispute_fees": "fees:dispute:EUR",
    "loss": "chargeback:loss:EUR",
    "payable": "refund:payable:EUR",
    "bank": "bank:house:EUR",
    "way": "bank:in_transit:EUR",
    "bank_charges": "bank:charges:EUR",
    "psp_fees": "fees:psp:EUR",
    "rounding": "rounding:EUR",
    "unknown": "suspense:credit:EUR",
    "fx": "fx:clearing:EUR",
    "gain_loss": "fx:gain_loss:EUR",
    **{f"{part}2": f"seller:{public_id('sel', SELLER)}:{part}:USD" for part in ("available", "debt")},
    "fx2": "fx:clearing:USD",
    "fx_fees2": "fees:fx:USD",
    "rounding2": "rounding:USD",
    "clearing2": "psp:stripe:clearing:USD",
}


def documented(cell: str, side: Side) -> list[tuple[Side, str, int]]:
    """Read `` `pending` captured - fee, `fees` fee `` as legs."""
    legs = []
    for part in cell.split(", "):
        found = re.fullmatch(r"`(\w+)` (\w+(?: [+-] \w+)*)", part)
        assert found is not None, part
        terms = re.findall(r"([+-]?) ?(\w+)", found[2])
        legs.append(
            (side, ALIASES[found[1]], sum(-VALUES[word] if sign == "-" else VALUES[word] for sign, word in terms))
        )
    return legs


@pytest.mark.parametrize("row", table("movements.md", "verb"), ids=lambda row: row[0])
def test_the_legs_of_a_verb_are_the_documented_ones(row: list[str]) -> None:
    name = row[0].strip("`")
    movement = call(name)
    assert movement.kind == TransactionKind(name)
    lines = sorted(movement.lines, key=lambda line: line[0] == Side.CREDIT)
    assert [(side, spec.code, amount) for side, spec, amount in lines] == [
        *documented(row[1], Side.DEBIT),
        *documented(row[2], Side.CREDIT),
    ]
    sums: dict[str, int] = {}
    for side, spec, amount in lines:
        sums[spec.currency] = sums.get(spec.currency, 0) + (amount if side == Side.DEBIT else -amount)
    assert set(sums.values()) == {0}


def test_every_verb_is_documented_and_a_kind_of_transaction() -> None:
    names = [row[0].strip("`") for row in table("movements.md", "verb")]
    assert sorted(names) == sorted(VERBS)
    assert set(VERBS) <= {str(kind) for kind in TransactionKind}


@pytest.mark.django_db
def test_the_database_knows_exactly_the_kinds_of_the_code() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'ledger_knows_kind'")
        (source,) = cursor.fetchone()
        assert set(re.findall(r"'(\w+)'", source)) == {str(kind) for kind in TransactionKind}
        cursor.execute("SELECT ledger_knows_kind('settle_charge'), ledger_knows_kind('gift')")
        assert cursor.fetchone() == (True, False)


def test_the_chart_is_the_documented_one() -> None:
    made = [
        chart.psp_clearing(1, "{account}", "EUR"),
        chart.psp_connected(1, "{account}", "EUR"),
        chart.dispute_held(1, "{account}", "EUR"),
        chart.bank(1, "{name}", "EUR"),
        chart.bank_in_transit(1, "EUR"),
        chart.suspense_debit(1, "EUR"),
        chart.suspense_credit(1, "EUR"),
        *(chart.seller(1, SELLER, part, "EUR") for part in chart.SELLER_PARTS),
        chart.buyer_stored(1, BUYER, "EUR"),
        chart.platform_fees(1, "EUR"),
        chart.psp_fees(1, "EUR"),
        chart.fee_variance(1, "EUR"),
        chart.bank_charges(1, "EUR"),
        chart.dispute_fees(1, "EUR"),
        chart.chargeback_loss(1, "EUR"),
        chart.fx_clearing(1, "EUR"),
        chart.fx_fees(1, "EUR"),
        chart.fx_gain_loss(1, "EUR"),
        chart.rounding(1, "EUR"),
        chart.refund_payable(1, "EUR"),
        chart.write_off(1, "EUR"),
        chart.retained(1, "EUR"),
    ]
    shown = [
        [
            f"`{re.sub('(sel|buy)_[0-9a-z]{26}', '{id}', spec.code).removesuffix('EUR')}{{currency}}`",
            str(spec.type),
            str(spec.mode),
            "" if spec.floor is None else str(spec.floor),
        ]
        for spec in made
    ]
    assert shown == [row[:4] for row in table("chart-of-accounts.md", "code")]


@given(captured=st.integers(1, 10**14), share=st.floats(0, 1))
@pytest.mark.parametrize("verb", ["settle_charge", "stored_pay"])
def test_every_split_of_a_sale_balances(verb: str, captured: int, share: float) -> None:
    fee = min(captured, round(captured * share))
    lines = call(verb, captured=captured, fee=fee).lines
    assert sum(amount if side == Side.DEBIT else -amount for side, _, amount in lines) == 0
    assert all(amount > 0 for _, _, amount in lines)
    assert len(lines) == 1 + (fee > 0) + (fee < captured)


def fund(book_id: int) -> None:
    """Put something on each account of the seller's wallets and the buyer's, so that any verb can take from it."""
    legs = []
    for currency in ("EUR", "USD"):
        parts = {part: chart.seller(book_id, SELLER, part, currency) for part in chart.SELLER_PARTS}
        bank, stored = chart.bank(book_id, "house", currency), chart.buyer_stored(book_id, BUYER, currency)
        ids = accounts.resolve([*parts.values(), bank, stored])
        legs += [
            Leg(ids[book_id, spec.code], currency, Side.DEBIT if part == "debt" else Side.CREDIT, 10_000)
            for part, spec in parts.items()
        ]
        legs.append(Leg(ids[book_id, stored.code], currency, Side.CREDIT, 10_000))
        legs.append(Leg(ids[book_id, bank.code], currency, Side.DEBIT, 40_000))
    funding = Journal(book_id, TransactionKind.ADJUST, "funding", tuple(legs), NOW, "tests")
    with transaction.atomic():
        posting.post([funding], now=NOW)


@pytest.mark.django_db
@pytest.mark.parametrize("name", VERBS)
def test_a_movement_recorded_twice_is_posted_once(name: str) -> None:
    book = BookFactory.create()
    fund(book.pk)
    (first,) = movements.record([call(name, book_id=book.pk)], now=NOW)
    after = digests(connection)
    (again,) = movements.record([call(name, book_id=book.pk, effective_at=NOW + timedelta(days=1))], now=NOW)
    assert (first.created, again.created) == (True, False)
    assert first.transaction_id == again.transaction_id
    assert digests(connection) == after
    assert Transaction.objects.filter(book=book).exclude(kind=TransactionKind.ADJUST).count() == 1
    assert invariants.violations() == []


@pytest.mark.django_db
def test_a_movement_with_other_amounts_under_its_reference_is_refused() -> None:
    book = BookFactory.create()
    movements.record([call("settle_charge", book_id=book.pk)], now=NOW)
    before = digests(connection)
    with pytest.raises(ReferenceConflict), transaction.atomic():
        movements.record([call("settle_charge", book_id=book.pk, fee=201)], now=NOW)
    assert digests(connection) == before


@pytest.mark.django_db
def test_nothing_to_record_is_no_statement() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert movements.record([], now=NOW) == []
    assert len(queries) == 0


@pytest.mark.django_db
def test_the_first_movement_opens_the_wallet_and_its_five_accounts() -> None:
    seller = SellerFactory.create()
    movements.record([call("settle_charge", book_id=seller.book_id, seller=seller.public_id)], now=NOW)
    wallet = Wallet.objects.get(book=seller.book, seller=seller.public_id)
    assert wallet.currency_id == "EUR"
    name = public_id("sel", seller.public_id)
    opened = Account.objects.filter(book=seller.book, code__startswith=f"seller:{name}:")
    assert sorted(opened.values_list("code", flat=True)) == sorted(
        f"seller:{name}:{part}:EUR" for part in chart.SELLER_PARTS
    )
    assert set(opened.values_list("mode", flat=True)) == {PostingMode.AUTHORIZING}
    assert set(Balance.objects.filter(account__in=opened).values_list("floor", flat=True)) == {0}


@pytest.mark.django_db
def test_a_wallet_is_opened_once_per_seller_and_currency() -> None:
    book = BookFactory.create()
    sellers = [seam.new_uuid() for _ in range(3)]
    batch = [
        call("settle_charge", book_id=book.pk, seller=seller, currency=currency, subject=f"{n}{seller}{currency}")
        for n in range(3)
        for seller in sellers
        for currency in ("EUR", "USD", "JPY")
    ]
    movements.record(batch[:9], now=NOW)
    movements.record(batch, now=NOW)
    assert Wallet.objects.filter(book=book).count() == 9
    assert Transaction.objects.filter(book=book).count() == 27
    assert invariants.violations() == []


def test_a_wallet_opened_by_many_at_once_exists_once(committed_desk_book: int) -> None:
    sellers = [seam.new_uuid() for _ in range(6)]

    def sell(worker: int) -> None:
        order = sellers if worker % 2 else sellers[::-1]
        with transaction.atomic():
            movements.record(
                [
                    call("settle_charge", book_id=committed_desk_book, seller=seller, subject=f"{worker}:{seller}")
                    for seller in order
                ],
                now=NOW,
            )

    assert at_once(*(lambda worker=worker: sell(worker) for worker in range(4))) == [None] * 4
    assert Wallet.objects.count() == 6
    assert Transaction.objects.count() == 24
    assert {wallet.pending for wallet in balances.of_wallets(list(Wallet.objects.all()))} == {4 * 1799}
    assert invariants.violations() == []


@pytest.fixture
def committed_desk_book(committed_db: object) -> int:
    """Give a committed book."""
    return Desk.open().book.pk


def statements(batch: list[Movement]) -> int:
    """Return how many statements recording a batch takes."""
    with CaptureQueriesContext(connection) as queries:
        movements.record(batch, now=NOW)
    return len(queries)


@pytest.mark.django_db
def test_the_number_of_statements_does_not_grow_with_the_batch() -> None:
    book = BookFactory.create()

    def batch(size: int) -> list[Movement]:
        return [
            call("settle_charge", book_id=book.pk, seller=seam.new_uuid(), subject=str(seam.new_uuid()))
            for _ in range(size)
        ]

    first = statements(batch(1))
    assert statements(batch(2)) <= first
    assert statements(batch(200)) == statements(batch(20)) <= first


def test_sellers_that_are_known_cost_one_statement(committed_desk_book: int) -> None:
    def sale(reference: str) -> Movement:
        return call("settle_charge", book_id=committed_desk_book, subject=reference)

    with transaction.atomic():
        movements.record([sale("r1")], now=NOW)
    with transaction.atomic():
        assert statements([sale("r2"), sale("r3")]) == 1


@pytest.mark.django_db
def test_balances_are_what_the_entries_say() -> None:
    book = BookFactory.create()
    seller, other = seam.new_uuid(), seam.new_uuid()
    movements.record(
        [
            call("settle_charge", book_id=book.pk, seller=seller, subject="1", captured=1000, fee=100),
            call("settle_charge", book_id=book.pk, seller=seller, subject="2", captured=500, fee=0),
            call("settle_charge", book_id=book.pk, seller=seller, subject="3", captured=700, fee=700),
            call("settle_charge", book_id=book.pk, seller=other, subject="4", captured=70, fee=7),
            call("settle_charge", book_id=book.pk, seller=seller, subject="5", captured=9, fee=1, currency="JPY"),
        ],
        now=NOW,
    )
    wallets = {(row.seller, row.currency_id): row for row in Wallet.objects.filter(book=book)}
    with CaptureQueriesContext(connection) as queries:
        found = {(b.wallet.seller, b.wallet.currency_id): b for b in balances.of_wallets(list(wallets.values()))}
    assert len(queries) == 1
    eur = found[seller, "EUR"]
    assert (eur.pending, eur.available, eur.reserved, eur.in_transit, eur.debt, eur.balance) == (1400, 0, 0, 0, 0, 1400)
    assert found[other, "EUR"].pending == 63
    assert found[seller, "JPY"].balance == 8
    assert balances.of_wallets([]) == []


@pytest.mark.django_db
def test_a_fee_of_everything_leaves_the_seller_nothing_and_a_fee_of_nothing_two_legs() -> None:
    book = BookFactory.create()
    movements.record(
        [
            call("settle_charge", book_id=book.pk, subject="all", captured=100, fee=100),
            call("settle_charge", book_id=book.pk, subject="none", captured=100, fee=0),
        ],
        now=NOW,
    )
    legs = {
        subject: list(
            Entry.objects.filter(transaction__reference=f"settle_charge:{subject}")
            .order_by("leg")
            .values_list("side", "amount")
        )
        for subject in ("all", "none")
    }
    assert legs == {"all": [("D", 100), ("C", 100)], "none": [("D", 100), ("C", 100)]}
    assert invariants.violations() == []


@pytest.mark.django_db
def test_a_late_success_that_is_refunded_leaves_nothing() -> None:
    book = BookFactory.create()
    movements.record([call("late_success", book_id=book.pk, subject="in")], now=NOW)
    movements.record([call("settle_refund", book_id=book.pk, subject="out")], now=NOW)
    sums: dict[str, int] = {}
    for entry in Entry.objects.filter(book=book).select_related("account"):
        sums[entry.account.code] = sums.get(entry.account.code, 0) + entry.signed
    assert sums == {"psp:stripe:clearing:EUR": 0, "refund:payable:EUR": 0}
    assert not Wallet.objects.filter(book=book).exists()


@pytest.mark.django_db
def test_stored_value_is_never_paid_below_zero() -> None:
    book = BookFactory.create()
    movements.record([call("stored_top_up", book_id=book.pk, amount=1999)], now=NOW)
    before = digests(connection)
    with pytest.raises(FloorBroken), transaction.atomic():
        movements.record([call("stored_pay", book_id=book.pk, captured=2000)], now=NOW)
    assert digests(connection) == before
    movements.record([call("stored_pay", book_id=book.pk, captured=1999)], now=NOW)
    movements.record([call("stored_refund", book_id=book.pk, amount=500)], now=NOW)
    spec = chart.buyer_stored(book.pk, BUYER, "EUR")
    assert ledger_balances.of_codes(book.pk, [spec.code])[spec.code].balance == 500
    assert invariants.violations() == []
