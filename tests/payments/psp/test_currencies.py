"""Amounts cross the border between ISO 4217 and Stripe exactly, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import EXPONENTS
from payments.psp.base import ConfirmRequest, ObjectKind, Outcome, RegisterRequest
from payments.psp.stripe.currencies import from_stripe, to_stripe
from tests.payments.psp.operations import RETURN_URL, Bench, context

# docs.stripe.com/currencies, read in November 2026.
ZERO_DECIMAL = set("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())  # noqa: SIM905  # as published
THREE_DECIMAL = {"BHD", "JOD", "KWD", "OMR", "TND"}


@given(st.sampled_from(sorted(EXPONENTS)), st.integers(min_value=0, max_value=10**15))
def test_what_can_be_sent_comes_back_as_it_was(currency: str, amount: int) -> None:
    sent = to_stripe(amount, currency)
    if sent is None:
        assert currency == "MGA"
        assert amount % 100
    else:
        assert from_stripe(sent, currency) == amount


@given(st.sampled_from(sorted(EXPONENTS)), st.integers(min_value=0, max_value=10**15))
def test_what_can_be_received_goes_back_as_it_was(currency: str, amount: int) -> None:
    received = from_stripe(amount, currency)
    if received is None:
        assert currency in ("ISK", "UGX")
        assert amount % 100
    else:
        assert to_stripe(received, currency) == amount


@pytest.mark.parametrize("currency", sorted(ZERO_DECIMAL | THREE_DECIMAL | {"ISK", "UGX", "EUR", "HUF", "TWD"}))
def test_one_major_unit_is_what_stripe_says(currency: str) -> None:
    decimals = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    assert to_stripe(10 ** EXPONENTS[currency], currency) == 10**decimals


@pytest.mark.parametrize("currency", ["XXX", "", "eur", "EURO"])
def test_an_unknown_currency_is_refused_without_an_exception(currency: str) -> None:
    assert to_stripe(1, currency) is None
    assert from_stripe(1, currency) is None


@pytest.mark.parametrize(
    ("currency", "ours", "theirs"),
    [
        ("JPY", 500, 500),
        ("EUR", 1999, 1999),
        ("KWD", 1230, 1230),
        ("ISK", 5, 500),
        ("UGX", 7000, 700_000),
        ("MGA", 12_300, 123),
    ],
)
def test_the_whole_life_of_a_charge_in_each_kind_of_currency(
    bench: Bench, currency: str, ours: int, theirs: int
) -> None:
    ctx = context()
    made = bench.adapter.register(ctx, RegisterRequest(ours, currency, capture_later=True)).snapshot
    assert made is not None
    assert (made.amount_minor, made.currency) == (ours, currency)
    raw = bench.truth.payment_intents.retrieve(made.psp_id)
    assert (raw.amount, raw.currency) == (theirs, currency.lower())
    held = bench.adapter.confirm(context(), made.psp_id, ConfirmRequest("pm_card_visa", RETURN_URL)).snapshot
    assert held is not None
    assert held.capturable_minor == ours
    captured = bench.adapter.capture(context(), made.psp_id, ours, currency).snapshot
    assert captured is not None
    assert captured.captured_minor == ours
    refunded = bench.adapter.refund(context(), made.psp_id, ours, currency).snapshot
    assert refunded is not None
    assert (refunded.amount_minor, refunded.currency) == (ours, currency)
    fetched = bench.adapter.fetch(ObjectKind.REFUND, refunded.psp_id).snapshot
    assert fetched is not None
    assert fetched.amount_minor == ours


def test_an_amount_that_stripe_cannot_write_is_declined_and_nothing_is_sent(bench: Bench) -> None:
    for result in (
        bench.adapter.register(context(), RegisterRequest(12_345, "MGA", capture_later=False)),
        bench.adapter.capture(context(), "pi_x", 12_345, "MGA"),
        bench.adapter.refund(context(), "pi_x", 12_345, "MGA"),
    ):
        assert result.outcome is Outcome.DECLINED
        assert result.failure is not None
        assert result.failure.code == "amount_not_accepted"
        assert result.request_id == ""
    assert bench.truth.payment_intents.list().data == []


def test_three_decimals_that_stripe_does_not_take_are_declined_by_stripe(bench: Bench) -> None:
    result = bench.adapter.register(context(), RegisterRequest(1234, "KWD", capture_later=False))
    assert result.outcome is Outcome.DECLINED
