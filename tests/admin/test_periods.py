"""Closing a month from the back office, and by the command: asked first, by those who may, audited, and for good."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from config import seam
from ledger import accounts, periods
from ledger.admin.periods import month_before
from ledger.models import Book, Period
from tests.admin.story import Story
from tests.database import Clone
from tests.factories import BookFactory
from tests.ledger.desk import digests
from wallet import movements
from wallet.movements import Heading


def first_of_month() -> datetime:
    now = seam.now()
    return datetime(now.year, now.month, 1, tzinfo=UTC)


def sell(book: Book) -> None:
    """Post a sale in the month before this one."""
    accounts.forget()
    heading = Heading(book.pk, "o1", "EUR", first_of_month() - timedelta(days=3), "tests")
    sale = movements.settle_charge(heading, psp_account="stripe", seller=seam.new_uuid(), captured=123_456, fee=456)
    with transaction.atomic():
        movements.record([sale], now=seam.now())


def page(model: str, name: str, key: int) -> str:
    return reverse(f"admin:ledger_{model}_{name}", args=[key])


def everything() -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT md5(coalesce(string_agg(p::text, '|' ORDER BY id), '')) FROM ledger_period p")
        return {**digests(connection), "periods": cursor.fetchone()[0], "audit": LogEntry.objects.count()}


@pytest.fixture
def committed_book(committed_db: Clone) -> Book:
    """Give a committed book with a sale in the month before."""
    book: Book = BookFactory.create()
    sell(book)
    return book


@pytest.fixture
def committed_approver(committed_db: Clone) -> Client:
    """Give a browser in which an approver is signed in whom other connections see."""
    user = User.objects.create(username="carl", is_staff=True)
    user.groups.add(Group.objects.get(name="approver"))
    client = Client()
    client.force_login(user)
    return client


def test_an_approver_closes_a_month_softly_and_then_for_good(
    committed_book: Book, committed_approver: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.admin.periods.WAIT_SECONDS", 30)  # for the transactions of other tests
    client, ends_at = committed_approver, first_of_month()
    address = page("book", "soft-close", committed_book.pk)
    assert address in client.get(page("book", "change", committed_book.pk)).content.decode()
    before = everything()
    asked = client.get(address).content.decode()
    assert month_before(ends_at) in asked
    assert everything() == before
    client.post(address, {"ends_at": ends_at.isoformat(), "may_post": "user:anna, user:carl"})
    period = Period.objects.get()
    assert (period.status, period.ends_at, period.may_post, period.changed_by) == (
        "soft_closed",
        ends_at,
        ["user:anna", "user:carl"],
        "user:carl",
    )
    client.post(page("period", "may-post", period.pk), {"may_post": ""})
    assert Period.objects.get().may_post == []
    assert "Nobody will ever" in client.get(page("period", "close", period.pk)).content.decode()
    assert Period.objects.get().status == "soft_closed"
    answer = client.post(page("period", "close", period.pk), follow=True).content.decode()
    assert "Closed for good" in answer
    assert Period.objects.get().status == "closed"
    assert "1,234.56" in answer
    assert [row.get_change_message() for row in LogEntry.objects.order_by("pk")] == [
        "Close a month softly",
        "Name who may post",
        "Close for good",
    ]
    assert page("period", "close", period.pk) not in answer
    shown = client.get(page("book", "change", committed_book.pk)).content.decode()
    assert page("period", "change", period.pk) in shown
    assert f"{month_before(ends_at)}</option>" not in client.get(address).content.decode()


def test_a_close_that_has_to_wait_is_finished_later(
    committed_book: Book, committed_approver: Client, clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.admin.periods.WAIT_SECONDS", 0.3)
    period = periods.soft_close(committed_book.pk, ends_at=first_of_month(), may_post=[], actor="x", now=seam.now())
    with psycopg.connect(clone.owner_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        answer = committed_approver.post(page("period", "close", period), follow=True).content.decode()
        assert "still running" in answer
        assert page("period", "finish", period) in answer
        assert Period.objects.get().status == "closing"
        slow.rollback()
    monkeypatch.setattr("ledger.admin.periods.WAIT_SECONDS", 30)
    answer = committed_approver.post(page("period", "finish", period), follow=True).content.decode()
    assert "Closed for good" in answer
    assert Period.objects.get().status == "closed"


@pytest.mark.parametrize("role", ["viewer", "operator", "nobody"])
def test_whoever_may_not_close_is_refused(story: Story, signed_in: Callable[..., Client], role: str) -> None:
    book = story.tenant.book
    period = periods.soft_close(book.pk, ends_at=first_of_month(), may_post=[], actor="x", now=seam.now())
    client = signed_in(role)
    before = everything()
    addresses = [
        page("book", "soft-close", book.pk),
        *(page("period", name, period) for name in ("may-post", "close", "finish")),
    ]
    for address in addresses:
        assert client.get(address).status_code == 403
        assert client.post(address, {"ends_at": first_of_month().isoformat()}).status_code == 403
    assert everything() == before
    for shown in (client.get(page("book", "change", book.pk)), client.get(page("period", "change", period))):
        assert shown.status_code == (403 if role == "nobody" else 200)
        assert not [address for address in addresses if address in shown.content.decode()]


def test_what_cannot_be_closed_is_told_and_leaves_no_trace(
    story: Story, signed_in: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, book = signed_in("approver"), story.tenant.book
    address = page("book", "soft-close", book.pk)
    before = everything()
    for wrong in ({"ends_at": "2999-01-01T00:00:00+00:00"}, {"ends_at": "x"}, {}):
        assert "valid choice" in (text := client.post(address, wrong).content.decode()) or "required" in text
    names = ", ".join(f"user:{n}" for n in range(21))
    too_many = {"ends_at": first_of_month().isoformat(), "may_post": names}
    assert "At most 20" in client.post(address, too_many).content.decode()
    assert everything() == before
    period = periods.soft_close(book.pk, ends_at=first_of_month(), may_post=[], actor="x", now=seam.now())
    before = everything()
    answer = client.post(page("period", "finish", period), follow=True).content.decode()
    assert "period_order" in answer
    assert everything() == before


def run(*words: str) -> dict[str, Any]:
    out = StringIO()
    call_command("close_period", *words, "--json", stdout=out, stderr=StringIO())
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_the_command_closes_a_month(committed_book: Book) -> None:
    month = month_before(first_of_month())
    code = committed_book.code
    assert run(code, month, "--soft", "--may-post", "user:anna", "--actor", "user:carl")["status"] == "soft_closed"
    assert Period.objects.get().may_post == ["user:anna"]
    assert run(code, month)["status"] == "closed"
    before = everything()
    assert run(code, month)["status"] == "closed"
    assert everything() == before
    with pytest.raises(CommandError, match="period_order"):
        run(code, month, "--soft")
    assert everything() == before


def test_the_command_closes_a_year_at_once(committed_book: Book) -> None:
    year = seam.now().year - 1
    assert run(committed_book.code, str(year))["status"] == "closed"
    assert Period.objects.get().ends_at == datetime(year + 1, 1, 1, tzinfo=UTC)


def test_the_command_says_when_it_has_to_be_run_again(committed_book: Book, clone: Clone) -> None:
    month = month_before(first_of_month())
    with psycopg.connect(clone.owner_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        with pytest.raises(SystemExit):
            run(committed_book.code, month, "--wait", "0.3")
        slow.rollback()
    assert Period.objects.get().status == "closing"
    assert run(committed_book.code, month)["status"] == "closed"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none", "2026-10"], "no book"),
        (["{book}", "2026-13"], "no month"),
        (["{book}", "26-10"], "no month"),
        (["{book}", "2999-01"], "period_order"),
        (["{book}", "2026-01", "--may-post", "user:x"], "--soft"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(db: None, words: list[str], says: str) -> None:
    book = BookFactory.create()
    before = everything()
    with pytest.raises(CommandError, match=says):
        run(*(word.format(book=book.code) for word in words))
    assert everything() == before


def test_the_close_of_a_year_is_proposed_by_a_command(db: None) -> None:
    book, year = BookFactory.create(), seam.now().year - 1
    accounts.forget()
    heading = Heading(book.pk, "o1", "EUR", datetime(year, 3, 1, tzinfo=UTC), "tests")
    movements.record(
        [movements.settle_charge(heading, psp_account="stripe", seller=seam.new_uuid(), captured=100, fee=100)],
        now=seam.now(),
    )
    with pytest.raises(CommandError, match="year_not_closable"):
        call_command("propose_year_end", book.code, str(year))
    run(book.code, str(year), "--soft")
    out = StringIO()
    call_command("propose_year_end", book.code, str(year), "--json", stdout=out)
    (one,) = json.loads(out.getvalue())["proposals"]
    assert (one["reference"], one["created"]) == (f"year_end_close:{year}:EUR", True)
    out = StringIO()
    call_command("propose_year_end", book.code, str(year), stdout=out)
    assert "(as before)" in out.getvalue()
    with pytest.raises(CommandError, match="no book"):
        call_command("propose_year_end", "none", str(year))
