"""Business days, and waits that end when a day begins where the merchant is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments import calendars


def after(at: str, days: int, *, business: bool = False, calendar: str = "target2", zone: str = "UTC") -> str:
    """Return when a wait is over, as text in UTC."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return calendars.after(moment, days, business=business, calendar=calendar, time_zone=zone).isoformat()[:16]


def test_no_wait_is_at_once() -> None:
    assert after("2026-11-21T12:34", 0) == "2026-11-21T12:34"
    assert after("2026-11-21T12:34", 0, business=True) == "2026-11-21T12:34"


@pytest.mark.parametrize(
    ("delivered", "days", "due"),
    [
        ("2026-11-19T09:00", 1, "2026-11-20T00:00"),  # Thursday to Friday
        ("2026-11-20T09:00", 1, "2026-11-23T00:00"),  # Friday to Monday
        ("2026-11-21T09:00", 1, "2026-11-23T00:00"),  # Saturday to Monday
        ("2026-11-20T09:00", 5, "2026-11-27T00:00"),
        ("2026-12-24T09:00", 1, "2026-12-28T00:00"),  # both days of Christmas, then a weekend
        ("2026-12-31T09:00", 1, "2027-01-04T00:00"),  # New Year's Day is a Friday
        ("2027-03-25T09:00", 1, "2027-03-30T00:00"),  # Good Friday to Easter Monday
    ],
)
def test_business_days_leave_out_weekends_and_holidays(delivered: str, days: int, due: str) -> None:
    assert after(delivered, days, business=True) == due


def test_a_country_has_its_own_holidays_and_weekends_have_none() -> None:
    assert after("2026-10-02T09:00", 1, business=True, calendar="DE") == "2026-10-05T00:00"
    assert after("2026-11-25T09:00", 1, business=True, calendar="US") == "2026-11-27T00:00"  # Thanksgiving
    assert after("2026-12-24T09:00", 1, business=True, calendar="weekends") == "2026-12-25T00:00"


def test_a_day_is_the_merchants_own() -> None:
    # In Auckland it is Saturday morning already, in Los Angeles still Friday.
    assert after("2026-11-20T20:00", 1, zone="Pacific/Auckland") == "2026-11-21T11:00"
    assert after("2026-11-21T02:00", 1, zone="America/Los_Angeles") == "2026-11-21T08:00"
    assert after("2026-11-21T02:00", 1, business=True, zone="America/Los_Angeles") == "2026-11-23T08:00"


def test_a_change_of_the_clock_neither_shortens_nor_lengthens_a_wait() -> None:
    berlin = "Europe/Berlin"
    assert after("2026-03-27T10:00", 1, zone=berlin) == "2026-03-27T23:00"
    assert after("2026-03-28T10:00", 1, zone=berlin) == "2026-03-28T23:00"  # the night of the change
    assert after("2026-03-29T10:00", 1, zone=berlin) == "2026-03-29T22:00"  # the day after it
    assert after("2026-10-24T10:00", 1, zone=berlin) == "2026-10-24T22:00"
    assert after("2026-10-25T10:00", 1, zone=berlin) == "2026-10-25T23:00"
    assert after("2026-10-23T10:00", 3, business=True, zone=berlin) == "2026-10-27T23:00"


def test_a_midnight_that_does_not_exist_is_the_first_moment_of_its_day() -> None:
    # In Cairo the clock goes from 00:00 to 01:00 on the last Friday of April.
    assert after("2026-04-23T10:00", 1, zone="Africa/Cairo") == "2026-04-23T22:00"


@pytest.mark.parametrize(
    ("name", "known"), [("target2", True), ("weekends", True), ("DE", True), ("XX", False), ("", False), ("de", False)]
)
def test_calendars_are_known_by_name(name: str, known: bool) -> None:
    assert calendars.is_calendar(name) is known


@pytest.mark.parametrize(("name", "known"), [("UTC", True), ("Europe/Berlin", True), ("Mars/Base", False), ("", False)])
def test_time_zones_are_known_by_name(name: str, known: bool) -> None:
    assert calendars.is_time_zone(name) is known


@given(
    at=st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC)),
    days=st.integers(1, 60),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_business_days_are_counted_one_by_one(at: datetime, days: int, zone: str) -> None:
    due = calendars.after(at, days, business=True, calendar="target2", time_zone=zone)
    first, last = at.astimezone(ZoneInfo(zone)).date(), due.astimezone(ZoneInfo(zone)).date()
    between: list[date] = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert sum(calendars.is_business_day(day, "target2") for day in between) == days
    assert calendars.is_business_day(last, "target2")
    assert due > at
