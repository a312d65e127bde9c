"""Calendars: which days are business days, and when a wait of so many days is over.

A day belongs to the merchant's time zone. A wait of n days that begins on a day D ends when the n-th day after D begins
there: so it is never a matter of hours, and a change to or from daylight saving time neither shortens nor lengthens it.
A calendar is `weekends` (Monday to Friday are business days), `target2` (the days on which euro payments are settled
between banks) or a country's ISO 3166 code (its public holidays). It reads no table and knows no merchant.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

WEEKENDS, TARGET2 = "weekends", "target2"
MAX_DAYS = 365
_FRIDAY = 4


def is_calendar(name: str) -> bool:
    """Say whether there is a calendar of this name."""
    import holidays  # here: it takes a third of a second, and only who counts business days needs it

    return name in (WEEKENDS, TARGET2) or name in holidays.list_supported_countries(include_aliases=False)


def is_time_zone(name: str) -> bool:
    """Say whether there is a time zone of this IANA name."""
    return name in available_timezones()


def is_business_day(day: date, calendar: str) -> bool:
    """Say whether a day is neither a weekend of banks (Saturday, Sunday) nor a holiday of the calendar."""
    return day.weekday() <= _FRIDAY and day not in _holidays(calendar, day.year)


def after(at: datetime, days: int, *, business: bool, calendar: str, time_zone: str) -> datetime:
    """Return when a wait of `days` that begins at `at` is over; at once for none.

    Of business days only those are counted; the first of them is the one after the day of `at`.
    """
    assert 0 <= days <= MAX_DAYS
    if days == 0:
        return at
    zone = ZoneInfo(time_zone)
    day = at.astimezone(zone).date()
    if business:
        # Even a calendar of which nine days in ten were holidays would end here.
        for _ in range(10 * MAX_DAYS):
            day += timedelta(days=1)
            days -= is_business_day(day, calendar)
            if days == 0:
                break
    else:
        day += timedelta(days=days)
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def bounds(day: date, time_zone: str) -> tuple[datetime, datetime]:
    """Return when a day begins and when the next one does, in UTC."""
    zone = ZoneInfo(time_zone)
    starts, ends = (datetime.combine(day + timedelta(days=more), time.min, tzinfo=zone) for more in (0, 1))
    return starts.astimezone(UTC), ends.astimezone(UTC)


@lru_cache(maxsize=1000)
def _holidays(calendar: str, year: int) -> Container[date]:
    if calendar == WEEKENDS:
        return frozenset()
    import holidays  # here: as above

    if calendar == TARGET2:
        return frozenset(holidays.financial_holidays("XECB", years=year))
    return frozenset(holidays.country_holidays(calendar, years=year))
