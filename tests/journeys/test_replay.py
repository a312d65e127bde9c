"""The replay: purchases of a file become payments, to the cent, and what cannot be is said."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.replay.purchases import (
    FileDoesNotFit,
    Purchase,
    checkout,
    input_sum,
    read_purchases,
    read_sellers,
    shares,
)
from tests.journeys.driven_stack import DrivenStack, last_line

HEADING = "date,customer,quantity,amount_usd\n"
PURCHASES = HEADING + (
    "1997-01-01,00001,1,11.77\n"
    "1997-01-02,00002,3,20.00\n"
    "1997-01-02,00002,1,0.00\n"  # row 2: costs nothing
    "1997-01-03,00003,5,0.03\n"  # row 3: more items than cents
    "1997-01-04,00004,2,999.99\n"
    "1997-01-05,00005,40,123.45\n"
)
SELLERS = "external_id,city,state,country\n" + "".join(f"{number:032x},campinas,SP,BR\n" for number in range(45))


def _purchase(row: int = 0, items: int = 1, minor: int = 1000) -> Purchase:
    return Purchase(row, "1997-01-01", "00001", items, minor)


def test_items_go_to_sellers_in_turn() -> None:
    assert [seller for seller, _ in shares(_purchase(row=399, items=3), 400)] == [393, 394, 395]
    assert [seller for seller, _ in shares(_purchase(row=57, items=3), 400)] == [399, 0, 1]


@given(row=st.integers(0, 10_000), items=st.integers(1, 200), minor=st.integers(0, 10**9))
def test_shares_sum_exactly_and_differ_by_a_cent_at_most(row: int, items: int, minor: int) -> None:
    parts = [part.minor for _, part in shares(_purchase(row, items, minor), 400)]
    assert len(parts) == items
    assert sum(parts) == minor
    assert max(parts) - min(parts) <= 1


def test_an_item_of_nothing_is_left_out_and_a_purchase_of_nothing_is_sent_whole() -> None:
    sellers = [f"sel_{number}" for number in range(400)]
    few = checkout(_purchase(row=1, items=5, minor=3), sellers, token="pm_card_visa")
    assert [(order["seller"], order["amount"]) for order in few["payment_orders"]] == [
        ("sel_7", "0.01"),
        ("sel_8", "0.01"),
        ("sel_9", "0.01"),
    ]
    free = checkout(_purchase(items=2, minor=0), sellers, token="pm_card_visa")
    assert [order["amount"] for order in free["payment_orders"]] == ["0.00", "0.00"]


def test_files_are_read_as_far_as_wanted(tmp_path: Path) -> None:
    file = tmp_path / "purchases.csv"
    file.write_text(PURCHASES)
    assert [(one.row, one.items, one.minor) for one in read_purchases(file, limit=2)] == [(0, 1, 1177), (1, 3, 2000)]
    assert input_sum(read_purchases(file)) == "1155.24"
    (tmp_path / "sellers.csv").write_text(SELLERS)
    assert len(read_sellers(tmp_path / "sellers.csv")) == 45


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("date,customer,quantity\n1997-01-01,1,1\n", "amount_usd"),
        (HEADING, "no purchase"),
        (HEADING + "1997-01-01,1,0,1.00\n", "row 0: quantity"),
        (HEADING + "1997-01-01,1,²,1.00\n", "row 0: quantity"),
        (HEADING + "1997-01-01,1,1,1.005\n", "row 0: amount_usd"),
        (HEADING + "1997-01-01,1,1,-1.00\n", "row 0: amount_usd"),
        (HEADING + "1997-01-01,1,1,NaN\n", "row 0: amount_usd"),
        (HEADING + "1997-01-01,1,1,1e999999\n", "row 0: amount_usd"),
        (HEADING + "1997-01-01,1,1\n", "line 2"),
        (HEADING + "1997-01-01,1,1,1.00,5\n", "line 2"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_place(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "purchases.csv"
    file.write_text(text)
    with pytest.raises(FileDoesNotFit, match=word):
        read_purchases(file)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "purchases.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("purchases.csv", "missing.csv"):
        with pytest.raises(FileDoesNotFit, match="cannot be read"):
            read_purchases(tmp_path / name)


def test_sellers_are_there_once(tmp_path: Path) -> None:
    file = tmp_path / "sellers.csv"
    file.write_text("external_id,city,state\na,x,y\na,x,y\n")
    with pytest.raises(FileDoesNotFit, match="twice"):
        read_sellers(file)


@pytest.mark.slow
@pytest.mark.parametrize("bulk", [0, 4])
def test_everything_is_captured_to_the_cent_and_the_books_agree(driven_stack: DrivenStack, bulk: int) -> None:
    home = driven_stack.stack.home.directory
    (home / "purchases.csv").write_text(PURCHASES)
    (home / "sellers.csv").write_text(SELLERS)
    words = ("replay", "purchases.csv", "--sellers", "sellers.csv", "--bulk", bulk, "--json")
    done = driven_stack.run(*words)
    assert done.returncode == 0, done.stderr
    found = last_line(done)
    assert (found["submitted"], found["refused"], found["final"]) == (6, 1, 5)
    assert found["captured"] == found["input_sum"] == "1155.24"
    assert found["refusals"] == [
        {
            "row": 2,
            "status": 400,
            "code": "invalid_request",
            "fields": ["payment_orders[0].amount: invalid_amount"],
        }
    ]
    assert Counter(found["orders"]) == {"SUCCESS": 1 + 3 + 3 + 2 + 40}
    assert (found["violations"], found["psp_agrees"], found["wrong"]) == ([], True, [])
    assert found["seconds"] > 0


@pytest.mark.slow
def test_what_was_not_captured_is_said_and_ends_with_1(driven_stack: DrivenStack) -> None:
    home = driven_stack.stack.home.directory
    (home / "two.csv").write_text("".join(PURCHASES.splitlines(keepends=True)[:3]))
    (home / "sellers.csv").write_text(SELLERS)
    done = driven_stack.run(
        "replay", "two.csv", "--sellers", "sellers.csv", "--token", "pm_card_chargeDeclined", "--json"
    )
    assert done.returncode == 1
    found = last_line(done)
    assert found["payments"] == {"failed": 2}
    assert found["captured"] == "0.00"
    assert found["wrong"] == ["captured 0.00, the input sums to 31.77"]


def test_a_missing_file_is_one_sentence(driven_stack: DrivenStack) -> None:
    done = driven_stack.run("replay", "nothing.csv", "--sellers", "sellers.csv")
    assert done.returncode == 1
    assert "nothing.csv cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
