"""Scheduled payouts: whose day it is, once a day, resumable, and never in a long transaction."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from config import seam
from ledger import invariants as ledger_invariants
from payments import payout_stops, runs, schedules
from payments.errors import InvalidState
from payments.models import Payout, Run, Seller
from tests.factories import Tenant, tenant
from wallet import movements
from wallet.movements import Heading


@pytest.mark.parametrize(
    ("interval", "wanted", "since", "day", "due"),
    [
        ("daily", 1, "2026-11-20", "2026-11-21", True),
        ("daily", 1, "2026-11-21", "2026-11-21", False),
        ("weekly", 1, "2026-11-17", "2026-11-23", True),  # a Monday
        ("weekly", 1, "2026-11-17", "2026-11-22", False),
        ("weekly", 1, "2026-11-17", "2026-11-25", True),  # Monday's run was missed
        ("weekly", 7, "2026-11-16", "2026-11-22", True),
        ("monthly", 31, "2026-01-31", "2026-02-27", False),
        ("monthly", 31, "2026-01-31", "2026-02-28", True),
        ("monthly", 31, "2028-01-31", "2028-02-28", False),
        ("monthly", 31, "2028-01-31", "2028-02-29", True),
        ("monthly", 31, "2026-03-31", "2026-04-30", True),
        ("monthly", 1, "2026-10-15", "2026-11-01", True),
        ("monthly", 15, "2026-10-15", "2026-11-14", False),
        ("monthly", 31, "2026-09-30", "2026-11-02", True),  # October's run was missed
    ],
)
def test_whose_day_it_is(interval: str, wanted: int, since: str, day: str, *, due: bool) -> None:
    assert schedules.is_due(interval, wanted, since=date.fromisoformat(since), day=date.fromisoformat(day)) is due


def test_over_a_change_of_clocks_each_day_comes_once() -> None:
    """Days are UTC days: around the ends of summer time there are as many runs as days."""
    kind = runs.registry.kinds["payouts"]
    now, found = datetime(2026, 10, 20, 12, tzinfo=UTC), []
    while now < datetime(2026, 11, 5, tzinfo=UTC):
        now = kind.following(now)
        found.append(now.date())
    assert len(found) == len(set(found)) == 16
    assert {one - other for one, other in zip(found[1:], found, strict=False)} == {timedelta(days=1)}


def sellers(place: Tenant, count: int, *, amount: int = 1000, **changes: Any) -> list[Seller]:
    """Make verified sellers on a daily schedule who have `amount` available."""
    now = seam.now()
    made = Seller.objects.bulk_create(
        Seller(
            **{
                "public_id": seam.new_uuid(),
                "book": place.book,
                "external_id": f"s-{number}-{seam.new_uuid().hex}",
                "name": "Ann",
                "country": "DE",
                "default_currency_id": "EUR",
                "payout_schedule": {"interval": "daily"},
                "kyc_status": "verified",
                "created_at": now - timedelta(days=3),
                **changes,
            }
        )
        for number in range(count)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_payoutdestination (public_id, book_id, seller_id, currency, type, country, details,"
            " masked, blind_index, set_by, created_at, usable_at)"
            " SELECT gen_random_uuid(), book_id, id, 'EUR', 'iban', 'DE', '\\x00', 'DE **** 3000', '\\x00', 'tests',"
            " %s, %s"
            " FROM payments_seller WHERE id = ANY (%s)",
            [now, now, [row.pk for row in made]],
        )
    for start in range(0, len(made) if amount else 0, 500):
        moves = []
        for row in made[start : start + 500]:
            heading = Heading(place.book.pk, row.external_id, "EUR", now, "tests")
            moves.append(
                movements.settle_charge(heading, psp_account="x", seller=row.public_id, captured=amount, fee=0)
            )
            moves.append(movements.release(heading, seller=row.public_id, amount=amount, debt=0))
        with transaction.atomic():
            movements.record(moves, now=now)
    return made


def _run(place: Tenant, period: str | None = None) -> Any:
    row = Run(kind="payouts", book=place.book, period=period or seam.now().date().isoformat())
    return schedules.run_book(row, seam.now())


@pytest.mark.django_db
def test_sellers_are_paid_once_a_day_however_often_the_run_is_started() -> None:
    place = tenant()
    paid = sellers(place, 3)
    sellers(place, 1, payout_schedule={"interval": "manual"})
    sellers(place, 1, kyc_status="pending")
    sellers(place, 1, closed_at=seam.now())
    sellers(place, 1, payout_schedule={"interval": "daily", "minimum": "10.01"})
    sellers(place, 1, amount=0)
    result = _run(place)
    assert (result["payouts"], result["amount_minor"]) == (3, {"EUR": 3000})
    assert {row.seller_id for row in Payout.objects.all()} == {row.pk for row in paid}
    assert {row.requested_by for row in Payout.objects.all()} == {"schedule"}
    assert _run(place)["payouts"] == 0
    assert Payout.objects.count() == 3
    assert ledger_invariants.violations() == []


@pytest.mark.django_db
def test_a_run_that_dies_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    place = tenant()
    sellers(place, 5)
    monkeypatch.setattr(schedules, "CHUNK", 2)
    real, calls = schedules._pay, []

    def dies(*words: Any, **named: Any) -> Any:
        calls.append(words)
        if len(calls) == 2:
            raise RuntimeError("the process died")
        return real(*words, **named)

    monkeypatch.setattr(schedules, "_pay", dies)
    with pytest.raises(RuntimeError):
        _run(place)
    assert Payout.objects.count() == 2
    monkeypatch.setattr(schedules, "_pay", real)
    assert _run(place)["payouts"] == 3
    assert Payout.objects.count() == 5


@pytest.mark.django_db
def test_a_stopped_book_is_not_paid_and_the_run_says_so() -> None:
    place = tenant()
    sellers(place, 1)
    found = ledger_invariants.Violation("book_sums_to_zero", "off by one", book_id=place.book.pk)
    payout_stops.stop([found], actor="checks", now=seam.now())
    with pytest.raises(InvalidState):
        _run(place)
    assert Payout.objects.count() == 0


@pytest.mark.django_db
def test_what_is_released_is_paid_at_once_to_those_who_want_it_so() -> None:
    place = tenant()
    wanted = sellers(place, 2, payout_schedule={"interval": "on_release", "minimum": "5.00"})
    sellers(place, 1, payout_schedule={"interval": "on_release", "minimum": "10.01"})
    sellers(place, 1)
    assert schedules.pay_released(now=seam.now()) == 2
    assert schedules.pay_released(now=seam.now()) == 0
    assert {row.seller_id for row in Payout.objects.all()} == {row.pk for row in wanted}


def test_a_big_run_is_many_short_transactions(committed_db: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are printed with -s; RUN_OF in the environment makes it bigger."""
    count = int(os.environ.get("RUN_OF", "600"))
    place = tenant()
    sellers(place, count)
    spent: list[float] = []
    real = schedules._pay

    def timed(*words: Any, **named: Any) -> Any:
        started = time.perf_counter()
        made = real(*words, **named)
        spent.append(time.perf_counter() - started)
        return made

    monkeypatch.setattr(schedules, "_pay", timed)
    started = time.perf_counter()
    assert _run(place)["payouts"] == count
    took = time.perf_counter() - started
    print(f"\n{count} payouts in {took:.1f} s, {len(spent)} transactions, the longest {max(spent):.2f} s")
    assert len(spent) == -(-count // schedules.CHUNK)
    assert Payout.objects.count() == count
