"""Account statements: the running balance is right on every page, for accounts of both modes, without counting."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import seam
from ledger import balances, exports
from ledger.models import Account, Entry, PostingMode
from ledger.statements import Line, Statement, statement
from payments.models import Seller
from tests.factories import tenant
from wallet import movements

AMOUNTS = [1000, 250, 999, 1, 40_000, 7, 123]


@pytest.fixture
def book_id(db: None) -> int:
    """Give a book in which one seller sold seven times."""
    shop = tenant()
    seller = shop.seller()
    now = seam.now()
    for number, amount in enumerate(AMOUNTS):
        sale = movements.settle_charge(
            movements.Heading(shop.book.pk, str(number), "EUR", now, "test"),
            psp_account="stripe",
            seller=seller.public_id,
            captured=amount,
            fee=amount // 10,
        )
        with transaction.atomic():
            movements.record([sale], now=now)
    return shop.book.pk


def account(book_id: int, part: str) -> Account:
    return Account.objects.get(book_id=book_id, code__contains=part)


PARTS = ["clearing", "pending", "fees"]


@pytest.mark.parametrize("part", PARTS)
def test_the_running_balance_adds_up_to_the_balance(part: str, book_id: int) -> None:
    row = account(book_id, part)
    read = statement(row)
    assert read.opening == 0
    assert read.closing == balances.of_accounts([row.pk])[row.pk].balance
    assert [line.amount for line in read.lines] == list(
        Entry.objects.filter(account=row).order_by("id").values_list("amount", flat=True)
    )
    assert (read.older, read.newer) == (None, None)
    if row.mode == PostingMode.AUTHORIZING:
        kept = Entry.objects.filter(account=row).order_by("id").values_list("balance_after", flat=True)
        assert [line.balance for line in read.lines] == list(kept)


def back(row: Account, limit: int) -> list[Statement]:
    pages = [statement(row, limit=limit)]
    while pages[-1].older is not None:
        pages.append(statement(row, before=pages[-1].older, limit=limit))
        assert len(pages) < 20
    return pages[::-1]


def forth(row: Account, limit: int) -> list[Statement]:
    pages = [statement(row, after=0, limit=limit)]
    while pages[-1].newer is not None:
        pages.append(statement(row, after=pages[-1].newer, limit=limit))
        assert len(pages) < 20
    return pages


def lines(pages: list[Statement]) -> list[Line]:
    return [line for page in pages for line in page.lines]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_read_in_either_direction_join_without_a_gap(part: str, limit: int, book_id: int) -> None:
    row = account(book_id, part)
    whole = statement(row)
    for pages in (back(row, limit), forth(row, limit)):
        assert lines(pages) == list(whole.lines)
        assert pages[0].opening == 0
        assert pages[-1].closing == whole.closing
        for earlier, later in pairwise(pages):
            assert earlier.closing == later.opening
        assert pages[0].older is None
        assert pages[-1].newer is None


def test_a_page_is_one_statement_and_counts_nothing(book_id: int) -> None:
    for part in PARTS:
        row = account(book_id, part)
        with CaptureQueriesContext(connection) as queries:
            statement(row, after=1, limit=2)
        assert len(queries) == 1
        assert "count(" not in queries.captured_queries[0]["sql"].lower()


def test_an_account_without_entries_has_an_empty_statement(book_id: int) -> None:
    read = statement(account(book_id, "available"))
    assert (read.opening, read.lines, read.closing, read.older, read.newer) == (0, (), 0, None, None)


@pytest.mark.parametrize("part", PARTS)
def test_beyond_either_end_there_is_an_empty_page_with_the_balance_of_that_end(part: str, book_id: int) -> None:
    row = account(book_id, part)
    whole = statement(row)
    after = statement(row, after=whole.lines[-1].entry_id)
    assert (after.opening, after.lines, after.closing) == (whole.closing, (), whole.closing)
    assert after.older is not None
    assert statement(row, before=after.older).lines == whole.lines
    before = statement(row, before=whole.lines[0].entry_id)
    assert (before.opening, before.lines, before.closing) == (0, (), 0)
    assert before.newer is not None
    assert statement(row, after=before.newer).lines == whole.lines


def test_the_page_in_the_office_shows_opening_lines_and_closing(
    book_id: int, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.admin.accounts.LINES", 3)
    row = account(book_id, "pending")
    address = reverse("admin:ledger_account_statement", args=[row.pk])
    page = operator.get(address).content.decode()
    assert "Opening balance" in page
    assert "381.44" in page  # 423.80 minus the fees
    assert "before=" in page
    older = operator.get(f"{address}?before={statement(row, limit=3).older}").content.decode()
    assert "after=" in older
    assert operator.get(f"{address}?before=x&after=y").status_code == 200
    assert operator.get(f"{address}?before=5&after=0").status_code == 200


def downloaded(client: Client, address: str) -> list[list[str]]:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    return list(csv.reader(io.StringIO(answer.getvalue().decode(), newline="")))


@pytest.mark.parametrize("basis", ["posted", "effective"])
@pytest.mark.parametrize("part", PARTS)
def test_the_statement_comes_as_a_file_too(
    book_id: int, operator: Client, monkeypatch: pytest.MonkeyPatch, part: str, basis: str
) -> None:
    monkeypatch.setattr("ledger.exports.MAX_LINES", 3)
    row = account(book_id, part)
    page = operator.get(reverse("admin:ledger_account_statement", args=[row.pk]), {"basis": basis}).content.decode()
    (address,) = re.findall(r'href="([^"]*statement\.csv[^"]*)"', page)
    header, opening, *lines, closing = downloaded(operator, address)
    assert header == list(exports.STATEMENT_HEADER)
    assert (opening[3], opening[7], closing[3]) == ("opening balance", "0.00", "closing balance")
    assert len(lines) == Entry.objects.filter(account=row).count()
    assert closing[7] == lines[-1][7]
    assert Decimal(closing[7]) * 100 == balances.of_accounts([row.pk])[row.pk].balance
    later = downloaded(operator, f"{address}&from=2999-01-01")
    assert [one[7] for one in later[1:]] == [closing[7], closing[7]]


def test_a_statement_that_was_dated_back_meanwhile_says_that_it_is_not_whole(
    book_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.exports.MAX_LINES", 3)
    row = account(book_id, "clearing")
    rows = exports.statement_rows(row, since=None, until=None, basis="effective")
    found = [next(rows) for _ in range(4)]
    late = movements.settle_charge(
        movements.Heading(book_id, "late", "EUR", seam.now() - timedelta(days=9), "test"),
        psp_account="stripe",
        seller=Seller.objects.get(book_id=book_id, external_id__startswith="seller").public_id,
        captured=5,
        fee=0,
    )
    with transaction.atomic():
        movements.record([late], now=seam.now())
    found += list(rows)
    assert [one[3] for one in found].count("closing balance") == 0
    assert found[-1][3] == exports.INCOMPLETE


def test_the_general_ledger_of_a_book_comes_as_a_file(book_id: int, operator: Client) -> None:
    page = operator.get(reverse("admin:ledger_book_change", args=[book_id])).content.decode()
    assert "general-ledger.csv?from=" in page
    address = reverse("admin:ledger_book_general_ledger", args=[book_id])
    assert downloaded(operator, address) == [list(exports.HEADER)]  # nothing happened last month


@pytest.mark.parametrize("name", ["ledger_account_statement_csv", "ledger_book_general_ledger"])
def test_who_may_not_see_the_books_gets_no_file(book_id: int, signed_in: Callable[..., Client], name: str) -> None:
    key = account(book_id, "clearing").pk if "account" in name else book_id
    assert signed_in("nobody").get(reverse(f"admin:{name}", args=[key])).status_code == 403
    assert Client().get(reverse(f"admin:{name}", args=[key])).status_code == 302
