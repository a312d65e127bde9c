"""`./florin close_period BOOK 2026-10`: closes a month of a book, softly or for good."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from config import seam
from ledger import periods
from ledger.errors import LedgerError
from ledger.models import Book, Period


class Command(BaseCommand):
    """Close a period; repeatable: what is done is not done again, and what is unfinished is finished."""

    help = "Close a month (2026-10) or a year (2026) of a book: softly with --soft, otherwise for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the book, the period, how to close, and who does."""
        parser.add_argument("book", help="code of the book")
        parser.add_argument("period", help="last month of the period, 2026-10; a year is the month that it ends with")
        parser.add_argument("--soft", action="store_true", help="only softly: those named may still post")
        parser.add_argument(
            "--may-post", action="append", default=[], metavar="ACTOR", help="with --soft: user:anna, repeatable"
        )
        parser.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="for what is still running (60)")
        parser.add_argument("--actor", default="command", help="who closes, as the books are to say (command)")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Close, and say how far it came: exit code 1 when it is not closed yet."""
        book = Book.objects.filter(code=options["book"]).first()
        if book is None:
            raise CommandError(f"there is no book {options['book']!r}")
        if options["may_post"] and not options["soft"]:
            raise CommandError("--may-post belongs to --soft: nobody posts into what is closed for good")
        try:
            status = _close(book, _end_of(options["period"]), options)
        except LedgerError as refusal:
            raise CommandError(f"{refusal} ({refusal.code})") from refusal
        if options["json"]:
            self.stdout.write(json.dumps({"book": book.code, "period": options["period"], "status": status}))
        else:
            self.stdout.write(f"{book.code} until the end of {options['period']}: {status.replace('_', ' ')}")
        if status == Period.Status.CLOSING:
            self.stderr.write("Transactions that began before are still running: run this again.")
            raise SystemExit(1)


def _close(book: Book, ends_at: datetime, options: dict[str, Any]) -> str:
    actor, now = options["actor"], seam.now()
    found = Period.objects.filter(book=book, ends_at=ends_at).first()
    status = found.status if found is not None else ""
    if options["soft"] or found is None:
        with transaction.atomic():
            periods.soft_close(book.pk, ends_at=ends_at, may_post=options["may_post"], actor=actor, now=now)
        found = Period.objects.get(book=book, ends_at=ends_at)
        status = found.status
    if options["soft"] or status == Period.Status.CLOSED:
        return status
    if status == Period.Status.SOFT_CLOSED:
        with transaction.atomic():
            periods.begin_close(found.pk, actor=actor, now=now)
    done = periods.finish_within(found.pk, seconds=options["wait"], actor=actor, now=now)
    return Period.Status.CLOSED if done else Period.Status.CLOSING


def _end_of(text: str) -> datetime:
    """Return the end of a month or of a year."""
    match = re.fullmatch(r"(2\d{3})(?:-(0[1-9]|1[0-2]))?", text, re.ASCII)
    if match is None:
        raise CommandError(f"{text!r} is no month like 2026-10 and no year like 2026")
    year, month = int(match[1]), int(match[2] or 12)
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
