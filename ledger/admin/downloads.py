"""Files that the office hands out: the statement of an account and the general ledger of a book, as CSV.

They are written while they are read, so that their length costs no memory. The period comes with the address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain

from django.http import HttpRequest, StreamingHttpResponse

from ledger.csv_files import lines
from ledger.exports import GeneralLedger, row_of

SINCE, UNTIL = "from", "to"


def day_of(request: HttpRequest, name: str) -> datetime | None:
    """Read a day of the address as its beginning in UTC; anything else is no day."""
    try:
        day = date.fromisoformat(request.GET.get(name, ""))
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def last_month(now: datetime) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the month before this one, in UTC."""
    end = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (end - timedelta(days=1)).replace(day=1), end


def csv_file(name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> StreamingHttpResponse:
    """Answer with a file of CSV."""
    safe = "".join(character if character.isalnum() else "-" for character in name)
    response = StreamingHttpResponse(lines(chain([header], rows)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{safe}.csv"'
    return response


def verified(ledger: GeneralLedger) -> Iterator[tuple[str, ...]]:
    """Return the rows of a general ledger, and one more when they are not what the trial balance moved by."""
    for entry in ledger:
        yield row_of(entry)
    if not ledger.agrees:
        yield ("INCOMPLETE: the sums differ from the movement of the trial balance; check the books",)
