"""Each month's invoices are what the books say the platform kept: to the cent, numbered without a gap, issued once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from config import seam
from ledger import balances
from ledger.ids import public_id
from payments import billing, invoices
from payments.api import answers
from payments.errors import Conflict, InvalidState, NotFound, Unprocessable
from payments.models import BillingProfile, Invoice, Run, Seller
from tests.factories import Tenant, tenant
from tests.ledger.desk import at_once
from tests.payments.api.conftest import Api, content, fields, problem
from wallet import movements
from wallet.movements import Heading, Share

OCTOBER = date(2026, 10, 1)
IN_OCTOBER = datetime(2026, 10, 5, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 4, tzinfo=UTC)
PROFILE = {"name": "Market Ltd", "address": "Street 1, Vienna", "country": "AT", "vat_id": "ATU12345678"}
RATES = [billing.Rate("DE", date(2020, 1, 1), 2000, ""), billing.Rate("FR", date(2020, 1, 1), 0, "reverse charge")]


def sell(
    shop: Tenant, seller: UUID, *, captured: int, fee: int, at: datetime = IN_OCTOBER, currency: str = "EUR"
) -> None:
    heading = Heading(shop.book.pk, str(seam.new_uuid()), currency, at, "tests")
    sale = movements.settle_charge(heading, psp_account="stripe", seller=seller, captured=captured, fee=fee)
    movements.record([sale], now=at)


def give_back(shop: Tenant, seller: UUID, *, fee: int, at: datetime = IN_OCTOBER) -> None:
    heading = Heading(shop.book.pk, str(seam.new_uuid()), "EUR", at, "tests")
    movements.record([movements.request_refund(heading, seller=seller, share=Share(debt=1), fee=fee)], now=at)


@pytest.fixture
def shop(db: None) -> Tenant:
    """Give a merchant with a billing profile."""
    made = tenant()
    billing.set_profile(made.book.pk, PROFILE, RATES)
    return made


@pytest.mark.django_db
def test_a_seller_is_billed_what_was_kept_and_the_tax_is_inside(shop: Tenant) -> None:
    ann, bob, eve = shop.seller(country="DE"), shop.seller(country="FR"), shop.seller(country="DE")
    sell(shop, ann.public_id, captured=999, fee=7, at=IN_OCTOBER - timedelta(days=30))
    sell(shop, ann.public_id, captured=10_000, fee=1_000)
    sell(shop, ann.public_id, captured=5_000, fee=500)
    give_back(shop, ann.public_id, fee=300)
    sell(shop, bob.public_id, captured=999, fee=99)
    sell(shop, eve.public_id, captured=999, fee=0)
    sell(shop, ann.public_id, captured=999, fee=8, at=NOW)
    made = invoices.issue(shop.book.pk, OCTOBER, now=NOW)
    assert [(row.number, row.gross_minor, row.net_minor, row.vat_minor) for row in made] == [
        ("INV-000001", 1200, 1000, 200),
        ("INV-000002", 99, 99, 0),
    ]
    first = Invoice.objects.get(number="INV-000001")
    assert first.lines == [
        {"kind": "request_refund", "count": 1, "amount_minor": -300},
        {"kind": "settle_charge", "count": 2, "amount_minor": 1500},
    ]
    assert (first.seller, first.recipient["name"], first.issuer["name"]) == (ann, ann.name, "Market Ltd")
    assert made[1].issuer["note"] == "reverse charge"


@pytest.mark.django_db
def test_together_they_are_what_the_fee_account_moved(shop: Tenant) -> None:
    for number in range(30):
        seller = shop.seller(country="DE")
        sell(shop, seller.public_id, captured=100 + number, fee=number, at=IN_OCTOBER + timedelta(hours=20 * number))
    moved = sum(fees.total for fees in invoices.fees_of(shop.book.pk, "EUR", IN_OCTOBER, NOW).values())
    assert moved == balances.of_codes(shop.book.pk, ["fees:platform:EUR"])["fees:platform:EUR"].balance
    made = invoices.issue(shop.book.pk, OCTOBER, now=NOW)
    late = invoices.fees_of(shop.book.pk, "EUR", datetime(2026, 11, 1, tzinfo=UTC), NOW + timedelta(days=30))
    assert sum(row.gross_minor for row in made) + sum(fees.total for fees in late.values()) == moved


@pytest.mark.django_db
def test_more_given_back_than_taken_is_a_credit_note(shop: Tenant) -> None:
    seller = shop.seller(country="DE")
    sell(shop, seller.public_id, captured=10_000, fee=100)
    give_back(shop, seller.public_id, fee=700)
    (row,) = invoices.issue(shop.book.pk, OCTOBER, now=NOW)
    assert (row.gross_minor, row.net_minor, row.vat_minor) == (-600, -500, -100)


@pytest.mark.django_db
def test_a_month_is_billed_once_and_in_order(shop: Tenant) -> None:
    seller = shop.seller(country="DE")
    sell(shop, seller.public_id, captured=1000, fee=100)
    assert len(invoices.issue(shop.book.pk, OCTOBER, now=NOW)) == 1
    assert invoices.issue(shop.book.pk, OCTOBER, now=NOW) == []
    with pytest.raises(InvalidState, match="not over"):
        invoices.issue(shop.book.pk, date(2026, 11, 1), now=NOW)
    with pytest.raises(InvalidState, match="next month to bill is 2026-11"):
        invoices.issue(shop.book.pk, date(2026, 12, 1), now=NOW + timedelta(days=90))
    assert Invoice.objects.count() == 1


@pytest.mark.django_db
def test_without_a_rate_or_a_profile_nothing_is_issued(shop: Tenant) -> None:
    sell(shop, shop.seller(country="DE").public_id, captured=1000, fee=100)
    sell(shop, shop.seller(country="PT").public_id, captured=1000, fee=100)
    with pytest.raises(Unprocessable, match="PT"):
        invoices.issue(shop.book.pk, OCTOBER, now=NOW)
    assert not Invoice.objects.exists()
    profile = BillingProfile.objects.get()
    assert (profile.next_number, profile.issued_until) == (1, None)
    with pytest.raises(NotFound):
        invoices.issue(tenant().book.pk, OCTOBER, now=NOW)


def test_two_who_bill_at_once_bill_once(committed_db: object) -> None:
    shop = tenant()
    with transaction.atomic():
        billing.set_profile(shop.book.pk, PROFILE, RATES)
        for _ in range(3):
            sell(shop, shop.seller(country="DE").public_id, captured=1000, fee=100)
    made = at_once(*[lambda: invoices.issue(shop.book.pk, OCTOBER, now=NOW)] * 3)
    assert sorted(len(rows) for rows in made) == [0, 0, 3]  # type: ignore[arg-type]
    assert sorted(Invoice.objects.values_list("number", flat=True)) == ["INV-000001", "INV-000002", "INV-000003"]


@pytest.mark.django_db
def test_the_daily_run_bills_the_month_before_and_catches_up(shop: Tenant) -> None:
    seller = shop.seller(country="DE")
    sell(shop, seller.public_id, captured=1000, fee=100)
    run = Run(kind="invoices", period="2026-11-03")
    assert invoices.issue_due(run, NOW) == {"issued": {f"{shop.book.pk} 2026-10": 1}}
    assert invoices.issue_due(run, NOW + timedelta(days=1)) == {"issued": {}}
    sell(shop, seller.public_id, captured=1000, fee=100, at=NOW)
    later = invoices.issue_due(run, datetime(2027, 1, 10, 4, tzinfo=UTC))
    assert later == {"issued": {f"{shop.book.pk} 2026-11": 1, f"{shop.book.pk} 2026-12": 0}}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_invoice SET gross_minor = 1",
        "DELETE FROM payments_invoice",
        "UPDATE payments_vatrate SET basis_points = 1",
        "DELETE FROM payments_billingprofile",
    ],
)
def test_what_was_issued_cannot_be_changed_by_the_runtime_role(shop: Tenant, statement: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@given(gross=st.integers(1, 10**12), basis_points=st.integers(0, 5000))
def test_net_and_tax_are_within_half_a_cent_of_exact(gross: int, basis_points: int) -> None:
    row = invoices.invoice(
        BillingProfile(book_id=1, **PROFILE),
        Seller(name="Ann", country="DE"),
        invoices.VatRate(country="DE", basis_points=basis_points, note="x"),
        currency="EUR",
        month=OCTOBER,
        fees=invoices.Fees({"settle_charge": [1, gross]}),
        now=NOW,
    )
    assert row.net_minor + row.vat_minor == gross
    assert abs(row.net_minor * (10_000 + basis_points) - gross * 10_000) * 2 <= 10_000 + basis_points


TERMS: dict[str, Any] = {
    **PROFILE,
    "vat_rates": [{"country": "DE", "valid_from": "2026-01-01", "basis_points": 1900}],
}


@pytest.fixture
def api(shop: Tenant) -> Api:
    """Give the merchant's API with every scope."""
    from payments.merchants import SCOPES

    shop.api_key.scopes = list(SCOPES)
    shop.api_key.save(update_fields=["scopes"])
    return Api(shop.key)


@pytest.mark.django_db
def test_invoices_are_read_over_the_api_and_on_paper(api: Api, shop: Tenant) -> None:
    seller = shop.seller(country="DE")
    sell(shop, seller.public_id, captured=10_000, fee=1_200)
    (row,) = invoices.issue(shop.book.pk, OCTOBER, now=NOW)
    address = f"invoices/{public_id('inv', row.public_id)}"
    shown = answers.Invoice.model_validate(content(api.get(address), 200))
    assert (shown.number, shown.month, shown.net, shown.vat, shown.total) == (
        "INV-000001",
        "2026-10",
        "10.00",
        "2.00",
        "12.00",
    )
    paper = api.get(address, Accept="application/pdf")
    assert (paper.status_code, paper.content[:5]) == (200, b"%PDF-")
    listed = answers.Invoices.model_validate(
        content(api.get(f"invoices?seller={seller.external_id}&month=2026-10"), 200)
    )
    assert [one.number for one in listed.data] == ["INV-000001"]
    assert content(api.get("invoices?month=2026-09"), 200)["data"] == []
    assert "month" in fields(problem(api.get("invoices?month=10-2026"), 400, "invalid_request"))
    problem(Api(tenant().key).get(address), 403, "scope_missing")


@pytest.mark.django_db
def test_a_rate_never_changes_but_another_day_gets_another(api: Api, shop: Tenant) -> None:
    answers.BillingProfile.model_validate(content(api.send("PUT", "billing", TERMS), 200))
    again = content(api.send("PUT", "billing", TERMS), 200)
    assert len(again["vat_rates"]) == 3
    other = {**TERMS, "vat_rates": [{**TERMS["vat_rates"][0], "basis_points": 1600}]}
    assert fields(problem(api.send("PUT", "billing", other), 409, "vat_rate_differs")) == {
        "vat_rates": "vat_rate_differs"
    }
    later = {**TERMS, "vat_rates": [{**TERMS["vat_rates"][0], "valid_from": "2027-01-01"}]}
    assert len(content(api.send("PUT", "billing", later), 200)["vat_rates"]) == 4
    with pytest.raises(Conflict):
        billing.set_profile(shop.book.pk, PROFILE, [billing.Rate("DE", date(2020, 1, 1), 1, "")])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"country": "Germany"}, "country"),
        ({"name": ""}, "name"),
        ({"vat_rates": [{"country": "DE", "valid_from": "1.1.2026", "basis_points": 1}]}, "vat_rates[0].valid_from"),
        ({"vat_rates": [{"country": "DE", "valid_from": "2026-01-01", "basis_points": 0}]}, "vat_rates[0]"),
        (
            {"vat_rates": [{"country": "DE", "valid_from": "2026-01-01", "basis_points": 5001}]},
            "vat_rates[0].basis_points",
        ),
        ({"iban": "x"}, "iban"),
    ],
)
def test_bad_terms_name_the_field(api: Api, changes: dict[str, Any], field: str) -> None:
    assert field in fields(problem(api.send("PUT", "billing", {**TERMS, **changes}), 400, "invalid_request"))
