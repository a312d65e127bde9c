"""Rows as the API shows them: the same before and after they are saved, and without a query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from payments import representations
from payments.checkout_links import is_token_of, token_for
from payments.drafts import DraftCharge, DraftOrder, DraftPayment
from payments.models import Charge, PaymentEvent, PaymentOrder

AT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
PAYMENT = UUID("01a1fdaf-4a90-7068-91b4-0c02ead6f46e")
OTHER = UUID("01a1fdaf-4a90-7068-91b4-0c02ead6f46f")


def event(**changes: Any) -> PaymentEvent:
    """Make a checkout that is not saved; what the database fills in is left to it."""
    values: dict[str, Any] = {
        "public_id": PAYMENT,
        "checkout_id": "c",
        "status": "succeeded",
        "currency_id": "KWD",
        "amount_minor": 1500,
        "charge_mode": "single",
        "capture": "automatic",
        "buyer": {},
        "metadata": {},
        "created_at": AT,
    }
    return PaymentEvent(**{**values, **changes})


def order(**changes: Any) -> PaymentOrder:
    """Make an order that is not saved."""
    values: dict[str, Any] = {
        "public_id": OTHER,
        "charge": Charge(public_id=OTHER),
        "seller_id": 1,
        "currency_id": "KWD",
        "amount_minor": 1500,
        "fee_minor": 150,
        "metadata": {},
    }
    return PaymentOrder(**{**values, **changes})


def test_rows_that_are_not_saved_show_what_the_database_will_fill_in() -> None:
    shown = representations.payment(event(), [order()], sellers={1: OTHER})
    assert (shown["version"], shown["amount_captured"], shown["ledger_updated"]) == (1, "0.000", False)
    assert shown["created_at"] == "2026-11-21T12:00:00.123Z"
    assert shown["payment_orders"][0]["payment"] == shown["id"]


def test_a_payment_is_done_when_every_order_is() -> None:
    paid = order(status="SUCCESS", captured_minor=1500, ledger_updated=True, wallet_updated=True)
    done = representations.payment(event(), [paid, paid], sellers={1: OTHER})
    assert (done["is_payment_done"], done["ledger_updated"], done["wallet_updated"]) == (True, True, True)
    assert done["amount_captured"] == "3.000"
    half = representations.payment(event(), [paid, order()], sellers={1: OTHER})
    assert (half["is_payment_done"], half["ledger_updated"], half["wallet_updated"]) == (False, False, False)


def test_staff_see_the_code_of_the_psp_and_merchants_do_not() -> None:
    failure = {"code": "card_declined", "message": "No.", "retryable_by_buyer": True, "psp_code": "stolen_card"}
    shown = representations.payment_order(order(failure=failure), event(), seller_public_id=OTHER)
    assert shown["failure"] == {"code": "card_declined", "message": "No.", "retryable_by_buyer": True}


@pytest.mark.parametrize("status", PaymentEvent.Status)
def test_every_status_has_a_result(status: str) -> None:
    assert representations.RESULT[status] in ("success", "in_progress", "failed")


def test_a_token_opens_one_payment_for_one_purpose() -> None:
    token = token_for(PAYMENT)
    assert len(token) == 43
    assert is_token_of(token, PAYMENT)
    for wrong in ("", token[:-1], token + "A", token_for(OTHER), token_for(PAYMENT, "form"), "é" * 43, "\ud800"):
        assert not is_token_of(wrong, PAYMENT)
    assert not is_token_of(token, PAYMENT, "form")


def test_a_draft_looks_like_the_row_that_it_becomes() -> None:
    draft = DraftPayment(
        public_id=PAYMENT,
        checkout_id="c",
        status="processing",
        currency_id="KWD",
        amount_minor=1500,
        charge_mode="single",
        capture="automatic",
        buyer={"id": "u"},
        metadata={"a": "b"},
        created_at=AT,
    )
    part = DraftOrder(
        public_id=OTHER,
        charge=DraftCharge(OTHER, 1500),
        seller_id=1,
        position=0,
        reference="line",
        status="EXECUTING",
        currency_id="KWD",
        amount_minor=1500,
        fee_minor=150,
        description="Teapot",
        metadata={"c": "d"},
    )
    row = event(status="processing", buyer={"id": "u"}, metadata={"a": "b"})
    line = order(reference="line", status="EXECUTING", description="Teapot", metadata={"c": "d"})
    assert representations.payment(draft, [part], sellers={1: OTHER}) == representations.payment(
        row, [line], sellers={1: OTHER}
    )
