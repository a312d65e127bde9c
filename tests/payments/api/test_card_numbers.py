"""A card number is found however it is written; what machines draw at random is none."""

from __future__ import annotations

import random
import uuid

import pytest

from payments.api.card_numbers import contains_card_number


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "card 4242 4242 4242 4242 thanks",
        "4242-4242-4242-4242",
        "https://shop.example/?n=4242%204242%204242%204242",
        "5555555555554444",
        "378282246310005",
        "key-4242424242424242",
        "00000000-4242-4242-4242-42424242 424242424242 4242",
    ],
)
def test_a_card_number_is_found(text: str) -> None:
    assert contains_card_number(text)


def test_random_keys_are_never_taken_for_card_numbers() -> None:
    draw = random.Random(20261121)
    for _ in range(20_000):
        key = uuid.UUID(int=draw.getrandbits(128), version=4)
        assert not contains_card_number(str(key)), key
        assert not contains_card_number(f"order-{key}"), key
        assert not contains_card_number(f"{draw.getrandbits(256):064x}")


@pytest.mark.parametrize("text", ["a" * 13, "1234567890123", "4242424242424241", "2026-11-21 11:56:50"])
def test_other_texts_pass(text: str) -> None:
    assert not contains_card_number(text)
