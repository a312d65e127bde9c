"""What finance asks of a book in the office: the chart of accounts as a tree, and the turnover of a month."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from config import seam
from ledger import tree
from ledger.models import Account, Book, Entry
from tests.factories import tenant
from wallet import movements

SALES = (
    ("2026-01-31T23:59:59", 1000),
    ("2026-02-01T00:00:00", 250),
    ("2026-02-28T12:00:00", 40_000),
    ("2026-03-01T00:00:00", 7),
)


@pytest.fixture
def book(db: None) -> Book:
    """Give a book in which three sellers sold in euros and one in yen, around a month of February."""
    shop, now = tenant(), seam.now()
    for number, (at, amount) in enumerate(SALES):
        money = "JPY" if number == 3 else "EUR"
        effective = datetime.fromisoformat(at).replace(tzinfo=UTC)
        sale = movements.settle_charge(
            movements.Heading(shop.book.pk, str(number), money, effective, "test"),
            psp_account="stripe",
            seller=shop.seller().public_id,
            captured=amount,
            fee=amount // 10,
        )
        with transaction.atomic():
            movements.record([sale], now=now)
    return shop.book


def shown(client: Client, name: str, book: Book, query: str = "") -> str:
    answer = client.get(reverse(f"admin:ledger_book_{name}", args=[book.pk]) + query)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def ways(page: str, parameter: str) -> list[str]:
    return re.findall(rf'href="(\?[^"]*{parameter}=[^"]*)"', page)


def test_the_tree_leads_from_the_book_to_every_account(book: Book, viewer: Client) -> None:
    walked, pages, codes = set(), ["?"], set()
    while pages:
        query = pages.pop()
        page = shown(viewer, "tree", book, query)
        codes |= {int(key) for key in re.findall(r"/ledger/account/(\d+)/change/", page)}
        walked.add(query)
        pages += [way for way in ways(page, "prefix") if way not in walked]
        assert len(walked) < 100
    assert codes == set(Account.objects.filter(book=book).values_list("pk", flat=True))
    root = shown(viewer, "tree", book)
    assert "412.50" in root  # 10.00 + 2.50 + 400.00, in clearing
    assert "JPY" in root
    assert reverse("admin:ledger_book_tree", args=[book.pk]) in shown(viewer, "change", book)


def test_the_tree_is_paged_and_says_where_types_are_mixed(
    book: Book, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.admin.tree.NODES", 1)
    first = shown(viewer, "tree", book)
    (more,) = ways(first, "after")
    assert shown(viewer, "tree", book, more) != first
    seen, query = [], "?prefix=seller"
    while query:
        page = shown(viewer, "tree", book, query)
        seen += [way for way in ways(page, "prefix") if "after" not in way]
        assert "several" in page
        query = next(iter(ways(page, "after")), "")
    nodes, _ = tree.children(book.pk, "seller", limit=100)
    assert seen == [f"?prefix={node.code.replace(':', '%3A')}" for node in nodes]
    assert len(seen) == 4


@pytest.mark.parametrize(
    "query", ["?prefix=%00", "?prefix=nothing", "?after=x", "?after=99999999999", "?prefix=<b>&after=1"]
)
def test_an_odd_address_of_the_tree_is_a_page(book: Book, viewer: Client, query: str) -> None:
    assert "<b>&" not in viewer.get(reverse("admin:ledger_book_tree", args=[book.pk]) + query).content.decode()
    shown(viewer, "tree", book, query)


def test_the_turnover_of_a_month_is_what_is_effective_in_it(book: Book, viewer: Client) -> None:
    page = shown(viewer, "turnover", book, "?month=2026-02")
    clearing = Account.objects.get(book=book, code="psp:stripe:clearing:EUR")
    row = next(part for part in page.split("<tr")[1:] if f"/ledger/account/{clearing.pk}/change/" in part)
    amounts = re.findall(r'class="amount">([\d,.]+) <span', row)
    inside = sum(e.amount for e in Entry.objects.filter(account=clearing, effective_at__month=2))
    assert inside == 40_250
    assert amounts == ["10.00", "402.50", "0.00", "412.50"]
    assert {"?month=2026-01", "?month=2026-03"} <= set(ways(page, "month"))
    assert "in 2025-12" in shown(viewer, "turnover", book, "?month=2025-12")
    last = seam.now().replace(day=1) - timedelta(days=1)
    for odd in ("", "?month=", "?month=2026-13", "?month=x", "?month=%00", "?month=2026-1"):
        assert f"in {last:%Y-%m}" in shown(viewer, "turnover", book, odd)


def test_the_turnover_is_paged_by_account(book: Book, viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.admin.turnover.ACCOUNTS", 3)
    seen, query = [], "?month=2026-02"
    while query:
        page = shown(viewer, "turnover", book, query)
        seen += [int(key) for key in re.findall(r"/ledger/account/(\d+)/change/", page)]
        query = next(iter(ways(page, "after")), "")
        assert len(seen) < 100
    assert seen == list(Account.objects.filter(book=book).order_by("code").values_list("pk", flat=True))


@pytest.mark.parametrize("name", ["tree", "turnover"])
def test_who_may_not_see_the_books_sees_neither(book: Book, signed_in: Callable[..., Client], name: str) -> None:
    address = reverse(f"admin:ledger_book_{name}", args=[book.pk])
    assert signed_in("nobody").get(address).status_code == 403
    assert Client().get(address).status_code == 302
