"""Closing periods: softly, for good, without a race; what was closed stays as it was."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection, transaction

from ledger import balances, invariants, periods, posting
from ledger.errors import PeriodClosed, PeriodOrder, PostingRefused
from tests.database import Clone
from tests.ledger.desk import Desk

MAY_END = datetime(2026, 6, 1, tzinfo=UTC)
IN_MAY = datetime(2026, 5, 20, tzinfo=UTC)
NOW = datetime(2026, 6, 3, tzinfo=UTC)


def sell(desk: Desk, reference: str, effective_at: datetime, actor: str = "tests") -> None:
    with transaction.atomic():
        posting.post([replace(desk.sale(reference, 100), effective_at=effective_at, actor=actor)], now=NOW)


def close(desk: Desk) -> int:
    period = periods.soft_close(desk.book.pk, ends_at=MAY_END, may_post=[], actor="controller", now=NOW)
    periods.begin_close(period, actor="controller", now=NOW)
    assert not periods.finish_close(period, actor="controller", now=NOW)
    finish(period, NOW)
    return period


def finish(period: int, now: datetime) -> None:
    """Close for good; another session of the server may have to end first."""
    ends = time.monotonic() + 20
    while not periods.finish_close(period, actor="controller", now=now):
        assert time.monotonic() < ends


def test_a_softly_closed_period_takes_postings_of_those_named(committed_desk: Desk) -> None:
    desk = committed_desk
    periods.soft_close(desk.book.pk, ends_at=MAY_END, may_post=["controller"], actor="controller", now=NOW)
    with pytest.raises(PeriodClosed):
        sell(desk, "a", IN_MAY)
    sell(desk, "b", IN_MAY, actor="controller")
    sell(desk, "c", MAY_END)
    assert balances.at(desk.ids["ann"], at=IN_MAY, basis="effective") == 100


def test_a_closed_period_is_refused_to_everyone_and_keeps_its_trial_balance(committed_desk: Desk) -> None:
    desk = committed_desk
    sell(desk, "a", IN_MAY)
    period = close(desk)
    with pytest.raises(PeriodClosed):
        sell(desk, "b", MAY_END - timedelta(microseconds=1), actor="controller")
    effective_at, occurred_at = periods.landing(desk.book.pk, IN_MAY)
    assert (effective_at, occurred_at) == (MAY_END, IN_MAY)
    with transaction.atomic():
        late = replace(desk.sale("late", 7), effective_at=effective_at, occurred_at=occurred_at)
        posting.post([late], now=NOW)
    stored = {row.code: (row.opening, row.movement, row.closing) for row in periods.balances(period)}
    assert stored == {"ann:EUR": (0, -100, -100), "cash:EUR": (0, 100, 100)}
    assert balances.at(desk.ids["ann"], at=MAY_END - timedelta(microseconds=1), basis="effective") == 100
    assert invariants.violations() == []


def test_a_period_opens_with_what_the_one_before_closed_with(committed_desk: Desk) -> None:
    desk = committed_desk
    sell(desk, "a", IN_MAY)
    close(desk)
    sell(desk, "b", MAY_END)
    now = NOW + timedelta(days=40)
    period = periods.soft_close(
        desk.book.pk, ends_at=datetime(2026, 7, 1, tzinfo=UTC), may_post=[], actor="controller", now=now
    )
    periods.begin_close(period, actor="controller", now=now)
    finish(period, now)
    stored = {row.code: (row.opening, row.movement, row.closing) for row in periods.balances(period)}
    assert stored == {"ann:EUR": (-100, -100, -200), "cash:EUR": (100, 100, 200)}


def test_periods_are_closed_in_order_and_when_they_are_over(committed_desk: Desk) -> None:
    desk = committed_desk
    with pytest.raises(PeriodOrder):
        periods.soft_close(desk.book.pk, ends_at=NOW + timedelta(days=1), may_post=[], actor="x", now=NOW)
    period = periods.soft_close(desk.book.pk, ends_at=MAY_END, may_post=[], actor="x", now=NOW)
    with pytest.raises(PeriodOrder):
        periods.finish_close(period, actor="x", now=NOW)
    with pytest.raises(PeriodOrder):
        periods.soft_close(desk.book.pk, ends_at=NOW, may_post=[], actor="x", now=NOW)
    periods.begin_close(period, actor="x", now=NOW)
    with pytest.raises(PeriodOrder):
        periods.begin_close(period, actor="x", now=NOW)


def test_closing_waits_for_a_posting_that_had_begun(committed_desk: Desk, clone: Clone) -> None:
    """A posting that looked before the close is in the trial balance: the close waits for its commit."""
    desk = committed_desk
    period = periods.soft_close(desk.book.pk, ends_at=MAY_END, may_post=["tests"], actor="x", now=NOW)
    with psycopg.connect(clone.app_url) as slow:
        slow.execute(
            "SELECT * FROM ledger_post(ARRAY[gen_random_uuid()], ARRAY[%s]::bigint[], ARRAY['settle_charge'],"
            " ARRAY['slow'], ARRAY['\\x00'::bytea], ARRAY[%s]::timestamptz[], ARRAY[NULL]::timestamptz[], %s,"
            " ARRAY['tests'], ARRAY[''], ARRAY['{}']::jsonb[], ARRAY[NULL]::bigint[], ARRAY[1,1],"
            " ARRAY[%s,%s]::bigint[], ARRAY['EUR','EUR'], ARRAY['D','C'], ARRAY[7,7]::bigint[], false)",
            [desk.book.pk, IN_MAY, NOW, desk.ids["cash"], desk.ids["fees"]],
        )
        periods.begin_close(period, actor="x", now=NOW)
        assert [periods.finish_close(period, actor="x", now=NOW) for _ in range(3)] == [False] * 3
        slow.commit()
    finish(period, NOW)
    assert {row.code: row.closing for row in periods.balances(period)} == {"cash:EUR": 7, "fees:EUR": -7}


def test_an_old_snapshot_may_not_post(committed_desk: Desk) -> None:
    """Under REPEATABLE READ a close is not seen, so nothing is posted there at all."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(PostingRefused, match="READ COMMITTED"):
            posting.post([committed_desk.sale("a")], now=NOW)
        transaction.set_rollback(True)
