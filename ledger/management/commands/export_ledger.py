"""`./florin export_ledger`: the general ledger of a period as CSV; exit 1 when it differs from the trial balance."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger import exports
from ledger.csv_files import lines
from ledger.models import Book
from ledger.money import format_minor


def instant(value: str) -> datetime:
    """Read a day (its beginning in UTC) or a time with an offset."""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise ArgumentTypeError("must be a day or a time, for example 2026-11-01") from None
    if at.tzinfo is None and "T" in value.upper():
        raise ArgumentTypeError("a time needs its offset, for example 2026-11-01T00:00:00Z")
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


class Command(BaseCommand):
    """Write every entry of a book that is effective in a period."""

    help = "Write the general ledger of a period as CSV; exit 1 when its sums differ from the trial balance."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the book, the period and where to write."""
        parser.add_argument("book", help="code of the book")
        parser.add_argument("--from", dest="since", type=instant, required=True, help="first day or time (included)")
        parser.add_argument("--to", dest="until", type=instant, required=True, help="day or time after the last")
        parser.add_argument("--out", type=Path, help="file to write; without it, standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the file, then say what it sums to."""
        book = Book.objects.filter(code=options["book"]).first()
        if book is None:
            raise CommandError(f"there is no book {options['book']}")
        if options["since"] >= options["until"]:
            raise CommandError("--to must be after --from")
        ledger = exports.general_ledger(book.pk, since=options["since"], until=options["until"])
        with _opened(options["out"], self.stdout.write) as write:
            for line in lines(chain([exports.HEADER], map(exports.row_of, ledger))):
                write(line)
        for currency in sorted(ledger.debits | ledger.credits):
            debited = format_minor(ledger.debits.get(currency, 0), currency)
            credited = format_minor(ledger.credits.get(currency, 0), currency)
            self.stderr.write(f"{currency}: debits {debited}, credits {credited}")
        verdict = "equal to" if ledger.agrees else "DIFFERENT FROM"
        self.stderr.write(f"{ledger.entries} entries, {verdict} the movement of the trial balance")
        if not ledger.agrees:
            sys.exit(1)


@contextmanager
def _opened(path: Path | None, standard: Callable[[str], object]) -> Iterator[Callable[[str], object]]:
    """Open the file to write; it gets its name when it is whole."""
    if path is None:
        yield standard
        return
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        yield file.write
    part.replace(path)
