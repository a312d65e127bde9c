"""Public ids say what they are, sort by time, and read back to the same UUID."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import seam
from ledger.ids import LENGTH, parse_public_id, public_id

uuids = st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))


@given(value=uuids)
def test_an_id_reads_back_to_its_uuid(value: UUID) -> None:
    written = public_id("pay", value)
    assert len(written) == len("pay_") + LENGTH
    assert parse_public_id("pay", written) == value


@given(first=uuids, second=uuids)
def test_ids_sort_as_their_uuids_do(first: UUID, second: UUID) -> None:
    assert (public_id("ord", first) < public_id("ord", second)) == (first < second)


def test_ids_made_later_sort_later() -> None:
    before = seam.new_uuid()
    later = UUID(int=before.int + (1 << 80))  # one millisecond
    assert public_id("pay", before) < public_id("pay", later)


def test_a_new_uuid_is_version_7_and_carries_the_time() -> None:
    value = seam.new_uuid()
    assert value.version == 7
    assert value.variant == "specified in RFC 4122"
    assert abs((value.int >> 80) / 1000 - seam.now().timestamp()) < 5


@given(value=uuids)
def test_an_id_of_another_kind_is_not_one_of_this(value: UUID) -> None:
    assert parse_public_id("ord", public_id("pay", value)) is None


GOOD = public_id("pay", UUID(int=2**127 + 12345))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pay",
        "pay_",
        "_",
        GOOD[:-1],
        GOOD + "0",
        GOOD.upper(),
        GOOD.replace("pay_", "pay-"),
        GOOD.replace("pay_", "PAY_"),
        GOOD.replace("pay_", " pay_"),
        GOOD + "\n",
        "pay_" + "i" * LENGTH,  # not a letter of Crockford's alphabet
        "pay_" + "o" * LENGTH,
        "pay_" + "l" * LENGTH,
        "pay_" + "u" * LENGTH,
        "pay_" + "z" * LENGTH,  # more than 128 bits
        "pay_8" + "0" * (LENGTH - 1),
        "pay_" + "\u0661" * LENGTH,
        "pay_" + "\x00" * LENGTH,
        "pay_" + "-" * LENGTH,
        str(UUID(int=1)),
    ],
)
def test_what_is_not_an_id_is_none(text: str) -> None:
    assert parse_public_id("pay", text) is None


@given(text=st.text(max_size=40))
def test_no_text_makes_it_fail(text: str) -> None:
    value = parse_public_id("pay", text)
    assert value is None or public_id("pay", value) == text
