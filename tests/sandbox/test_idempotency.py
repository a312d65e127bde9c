"""Stripe's idempotency rules, as far as a client can notice them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from tests.sandbox.conftest import NEVER_REDIRECT
from tests.sandbox_process import SandboxPsp

BODY = {"amount": 1999, "currency": "eur", "automatic_payment_methods": NEVER_REDIRECT}
FORM = {"amount": "1999", "currency": "eur"}


def post(psp: SandboxPsp, key: str, path: str, form: dict[str, str], token: str) -> requests.Response:
    """Post as the SDK does, to see every byte and header of the answer."""
    return requests.post(
        f"{psp.url}/v1/{path}",
        data=form,
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": token},
        timeout=20,
    )


def test_the_first_answer_is_given_again_byte_for_byte(sandbox_psp: SandboxPsp, key: str) -> None:
    first = post(sandbox_psp, key, "payment_intents", FORM, "k1")
    again = post(sandbox_psp, key, "payment_intents", FORM, "k1")
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert again.headers["Request-Id"] != first.headers["Request-Id"]
    assert sandbox_psp.books(key)["counts"]["payment_intent"] == 1


def test_a_replay_answers_as_it_was_even_if_the_object_has_moved_on(psp: Any) -> None:
    created = psp.payment_intents.create(BODY, {"idempotency_key": "k"})
    psp.payment_intents.confirm(created.id, {"payment_method": "pm_card_visa"})
    assert psp.payment_intents.create(BODY, {"idempotency_key": "k"}).status == "requires_payment_method"


def test_other_parameters_under_the_same_key_are_refused(psp: Any, sandbox_psp: SandboxPsp, key: str) -> None:
    psp.payment_intents.create(BODY, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError) as caught:
        psp.payment_intents.create({**BODY, "amount": 2000}, {"idempotency_key": "k"})
    assert caught.value.http_status == 400
    assert caught.value.error.type == "idempotency_error"
    assert sandbox_psp.books(key)["counts"]["payment_intent"] == 1


def test_another_endpoint_under_the_same_key_is_refused(psp: Any) -> None:
    intent = psp.payment_intents.create(BODY, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        psp.payment_intents.cancel(intent.id, {}, {"idempotency_key": "k"})
    assert psp.payment_intents.retrieve(intent.id).status == "requires_payment_method"


def test_a_decline_is_kept_and_given_again_without_a_second_attempt(
    psp: Any, sandbox_psp: SandboxPsp, key: str
) -> None:
    intent = psp.payment_intents.create(BODY)
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            psp.payment_intents.confirm(
                intent.id, {"payment_method": "pm_card_chargeDeclined"}, {"idempotency_key": "k"}
            )
    assert len(sandbox_psp.books(key)["charges"]) == 1


def test_a_refused_state_is_kept_too(psp: Any, sandbox_psp: SandboxPsp, key: str) -> None:
    intent = psp.payment_intents.create(BODY)
    form: dict[str, str] = {}
    path = f"payment_intents/{intent.id}/capture"
    first = post(sandbox_psp, key, path, form, "k")
    assert first.status_code == 400
    again = post(sandbox_psp, key, path, form, "k")
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"


def test_what_fails_validation_is_not_kept(psp: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        psp.payment_intents.create({**BODY, "amount": 0}, {"idempotency_key": "k"})
    assert psp.payment_intents.create(BODY, {"idempotency_key": "k"}).amount == 1999


@pytest.mark.parametrize("kind", ["500_before", "500_after"])
def test_a_500_is_kept_and_given_again(psp: Any, sandbox_psp: SandboxPsp, key: str, kind: str) -> None:
    sandbox_psp.faults({"operation": "payment_intents.create", "kind": kind}, key=key)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            psp.payment_intents.create(BODY, {"idempotency_key": "k"})
        assert caught.value.http_status == 500
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert sandbox_psp.books(key)["counts"]["payment_intent"] == (1 if kind == "500_after" else 0)


@pytest.mark.parametrize("kind", ["429", "409", "html_502", "drop_before", "reset_before"])
def test_what_never_began_is_not_kept(psp: Any, sandbox_psp: SandboxPsp, key: str, kind: str) -> None:
    sandbox_psp.faults({"operation": "payment_intents.create", "kind": kind}, key=key)
    with pytest.raises(stripe.StripeError):
        psp.payment_intents.create(BODY, {"idempotency_key": "k"})
    assert sandbox_psp.books(key)["counts"]["payment_intent"] == 0
    psp.payment_intents.create(BODY, {"idempotency_key": "k"})
    assert sandbox_psp.books(key)["counts"]["payment_intent"] == 1


def test_a_key_in_use_answers_409_to_everyone_else(
    psp: Any, sandbox_psp: SandboxPsp, key: str, connect: Callable[..., Any]
) -> None:
    sandbox_psp.faults({"operation": "payment_intents.create", "kind": "delay_before", "seconds": 1.0}, key=key)
    answers: list[Any] = []
    other = connect(key)
    thread = threading.Thread(
        target=lambda: answers.append(other.payment_intents.create(BODY, {"idempotency_key": "k"}))
    )
    thread.start()
    threading.Event().wait(0.4)
    with pytest.raises(stripe.APIError) as caught:
        psp.payment_intents.create(BODY, {"idempotency_key": "k"})
    assert caught.value.http_status == 409
    assert caught.value.error.code == "idempotency_key_in_use"
    thread.join()
    assert psp.payment_intents.create(BODY, {"idempotency_key": "k"}).id == answers[0].id
    assert sandbox_psp.books(key)["counts"]["payment_intent"] == 1


def test_twenty_at_once_with_one_key_make_one_payment(
    sandbox_psp: SandboxPsp, key: str, connect: Callable[..., Any]
) -> None:
    made: list[str] = []
    refused: list[int | None] = []

    def click() -> None:
        try:
            client = connect(key)
            body = {**BODY, "payment_method": "pm_card_visa", "confirm": True}
            made.append(client.payment_intents.create(body, {"idempotency_key": "k"}).id)
        except stripe.APIError as conflict:
            refused.append(conflict.http_status)

    threads = [threading.Thread(target=click) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert set(refused) <= {409}
    assert [charge["captured"] for charge in sandbox_psp.books(key)["charges"]] == [1999]


def test_after_a_day_a_key_is_new_and_charges_again(psp: Any, sandbox_psp: SandboxPsp, key: str) -> None:
    body = {**BODY, "payment_method": "pm_card_visa", "confirm": True}
    first = psp.payment_intents.create(body, {"idempotency_key": "k"})
    sandbox_psp.advance(23 * 3600)
    assert psp.payment_intents.create(body, {"idempotency_key": "k"}).id == first.id
    sandbox_psp.advance(3601)
    assert psp.payment_intents.create(body, {"idempotency_key": "k"}).id != first.id
    assert len(sandbox_psp.books(key)["charges"]) == 2


def test_keys_of_two_accounts_have_nothing_to_do_with_each_other(
    psp: Any, sandbox_psp: SandboxPsp, connect: Callable[..., Any]
) -> None:
    other = connect(sandbox_psp.new_key())
    mine = psp.payment_intents.create(BODY, {"idempotency_key": "k"})
    assert other.payment_intents.create({**BODY, "amount": 5}, {"idempotency_key": "k"}).id != mine.id


def test_reading_pays_no_attention_to_keys(psp: Any) -> None:
    intent = psp.payment_intents.create(BODY)
    psp.payment_intents.retrieve(intent.id, {}, {"idempotency_key": "k"})
    psp.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert psp.payment_intents.retrieve(intent.id, {}, {"idempotency_key": "k"}).status == "succeeded"


def test_a_key_is_at_most_255_characters_long(psp: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="255"):
        psp.payment_intents.create(BODY, {"idempotency_key": "k" * 256})
    psp.payment_intents.create(BODY, {"idempotency_key": "k" * 255})
