"""Days on which banks work, and the one clock of a history: Florin, the PSP, the bank and the database read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import psycopg

_SATURDAY = 5
# Days between Monday and Friday on which TARGET is closed, as far as a history may come near them.
_CLOSED = frozenset(
    date(year, month, day)
    for year in range(2024, 2028)
    for month, day in ((1, 1), (5, 1), (12, 25), (12, 26))
) | frozenset((date(2025, 4, 18), date(2025, 4, 21), date(2026, 4, 3), date(2026, 4, 6)))  # fmt: skip


def is_business_day(day: date) -> bool:
    """Say whether banks work."""
    return day.weekday() < _SATURDAY and day not in _CLOSED


def after(day: date, count: int) -> date:
    """Return the day that is so many business days later; none: the day itself, or the next business day."""
    while not is_business_day(day):
        day += timedelta(days=1)
    for _ in range(count):
        day += timedelta(days=1)
        while not is_business_day(day):
            day += timedelta(days=1)
    return day


def within(day: date, count: int) -> date:
    """Return the last day of a wait of so many business days that begins on a day, whatever day that is."""
    for _ in range(count):
        day = after(day + timedelta(days=1), 0)
    return day


def at(day: date, hour: float, zone: ZoneInfo) -> datetime:
    """Return a moment of a local day, in UTC; `hour` counts on the wall clock."""
    seconds = round(hour * 3600)
    wall = datetime.combine(day, time.min) + timedelta(seconds=seconds)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """Return the day that a moment belongs to."""
    return moment.astimezone(zone).date()


@dataclass(slots=True)
class Clock:
    """The time of a history. It moves only when it is told to, and takes the database's clock along."""

    superuser_url: str
    moment: datetime

    def now(self) -> datetime:
        """Return the time of the history; put in the place of `seam.now`."""
        return self.moment

    def move(self, moment: datetime) -> None:
        """Go to a later moment."""
        assert moment >= self.moment, "time does not run backwards"
        self.moment = moment
        with psycopg.connect(self.superuser_url, autocommit=True) as superuser:
            superuser.execute("UPDATE payments_clockshift SET shift = %s - clock_timestamp()", [moment])
