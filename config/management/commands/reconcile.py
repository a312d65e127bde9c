"""`./florin reconcile`: run a day now, take a file in before it, print the report of a day, score the whole of it."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from config import seam
from config.local_stack.home import ROOT
from ledger.models import Book
from payments.errors import PaymentsError
from reconciliation import ingest, night, reports, sources
from reconciliation.models import ReconciliationRun, SettlementFile, Source

BROUGHT_BY: Final = "command"
# Nothing that concerns money: pending and warnings are told, and are no failure.
EXIT_CODES: Final = {"BREAKS": 1, "INCOMPLETE": 2}


class Command(BaseCommand):
    """Parse, one call, present. The exit code is that of the worst verdict."""

    help = "Reconcile a day, report on it, or score reconciliation against histories whose truth is known."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the words."""
        words = parser.add_subparsers(dest="word", required=True)
        run = words.add_parser("run", help="reconcile a day; exit 1 with breaks, 2 when it is incomplete")
        run.add_argument("--date", type=date.fromisoformat, metavar="DAY", help="YYYY-MM-DD (yesterday)")
        run.add_argument("--book", metavar="CODE", help="only this book")
        run.add_argument("--source", metavar="CODE", help="only this source: a PSP account, bank:NAME, or `books`")
        run.add_argument("--file", type=Path, metavar="FILE", help="take this statement in first (needs --source)")
        run.add_argument("--format", metavar="NAME", help="its format, such as stripe_payout_itemized or camt053")
        run.add_argument("--json", action="store_true", help="print one line of JSON")
        report = words.add_parser("report", help="print the report of a day that was reconciled")
        report.add_argument("--date", type=date.fromisoformat, metavar="DAY", help="YYYY-MM-DD (yesterday)")
        report.add_argument("--book", metavar="CODE", help="only this book")
        report.add_argument("--source", metavar="CODE", help="only this source, or `books`")
        report.add_argument("--format", choices=("html", "csv", "json"), default="json")
        report.add_argument("--out", type=Path, metavar="FILE", help="write it there (html and csv: one source)")
        score = words.add_parser("score", help="score against generated histories (benchmarks/reconciliation)")
        score.add_argument("--seeds", type=int, default=20, help="how many histories (20)")
        score.add_argument("--first-seed", type=int, default=1, help="the first of them (1)")
        score.add_argument("--jobs", type=int, default=2, help="how many at the same time (2)")
        score.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what the word says."""
        if options["word"] == "score":
            os.chdir(ROOT)
            words = [f"--{name.replace('_', '-')}={options[name]}" for name in ("seeds", "first_seed", "jobs")]
            words += ["--json"] if options["json"] else []
            command = [sys.executable, "-m", "benchmarks.reconciliation", "score", *words]
            os.execv(sys.executable, command)  # noqa: S606 - no shell wanted
        try:
            if options["word"] == "run":
                self._run(options)
            else:
                self._report(options)
        except PaymentsError as refusal:
            raise CommandError(refusal.message) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None

    def _run(self, options: dict[str, Any]) -> None:
        now = seam.now()
        books = _books(options["book"])
        day: date = options["date"] or now.date() - timedelta(days=1)
        if options["file"]:
            file = self._receive(books, options)
            day = options["date"] or file.last_day or day
        for book in books:
            if options["source"] is None:
                night.look_at_book(book.pk, day, now=now)
            else:
                source = _source(book, options["source"])
                night.reconcile(night.open_run(book.pk, source, day, now=now).pk, now=now)
        found = _runs(books, day, options["source"])
        shown = [reports.report(run, today=now.date()) for run in found]
        if options["json"]:
            self.stdout.write(json.dumps({"date": day.isoformat(), "runs": shown}))
        else:
            for one in shown:
                self._present(one)
        raise SystemExit(max((EXIT_CODES.get(run.verdict, 0) for run in found), default=0))

    def _receive(self, books: list[Book], options: dict[str, Any]) -> SettlementFile:
        if not options["source"] or not options["format"] or len(books) != 1:
            raise CommandError("--file needs --source and --format, and --book where there are several")
        source = _source(books[0], options["source"])
        if source is None:
            raise CommandError("the books have no statements")
        path: Path = options["file"]
        with path.open("rb") as stream:
            received = ingest.receive(
                source,
                stream,
                format=options["format"],
                name=path.name,
                received_from=BROUGHT_BY,
                now=seam.now(),
            )
        file = received.file
        if file.state == SettlementFile.State.QUARANTINED:
            said = "\n".join(f"line {one['line'] or '-'}: {one['detail']}" for one in file.errors[:20])
            raise CommandError(f"{path.name} was refused, nothing of it was taken:\n{said}")
        known = "" if received.fresh else " (known)"
        self.stderr.write(f"{path.name}{known}: {file.line_count} lines, {file.new_count} new")
        return file

    def _present(self, one: dict[str, Any]) -> None:
        self.stdout.write(f"{one['verdict']}  {one['book']}  {one['source'] or 'books'}  {one['day']}")
        for reason in one["incomplete"]:
            self.stdout.write(self.style.ERROR(f"  {reason}"))
        for identity in one["identities"]:
            said = f"{identity['residual']} {identity['currency']} left over" if identity["proven"] else "not declared"
            self.stdout.write(f"  {identity['name']}: {said}")
        for code, count in one["counts"]["breaks"].items():
            self.stdout.write(f"  {count} x {code}")
        for pending in one["counts"]["pending"]:
            what = f"{pending['count']} x {pending['flow']}, {pending['amount']} {pending['currency']}"
            self.stdout.write(f"  pending until {pending['break_on']}: {what}")

    def _report(self, options: dict[str, Any]) -> None:
        now = seam.now()
        day: date = options["date"] or now.date() - timedelta(days=1)
        found = _runs(_books(options["book"]), day, options["source"])
        if not found:
            raise CommandError(f"nothing was reconciled for {day}")
        if options["format"] == "json":
            written = json.dumps(
                {"date": day.isoformat(), "runs": [reports.report(r, today=now.date()) for r in found]}
            )
        elif len(found) > 1:
            raise CommandError("there are several runs of that day: name one with --source")
        elif options["format"] == "html":
            written = reports.page(found[0], today=now.date())
        else:
            written = "".join(reports.spreadsheet(found[0]))
        if options["out"]:
            options["out"].write_text(written, encoding="utf-8")
        else:
            self.stdout.write(written)


def _books(code: str | None) -> list[Book]:
    books = list(Book.objects.filter(merchantbook__isnull=False).order_by("pk"))
    if code is not None:
        books = [book for book in books if book.code == code]
        if not books:
            raise CommandError(f"there is no book {code}")
    return books


def _source(book: Book, code: str) -> Source | None:
    return None if code == "books" else sources.find(book.pk, code, now=seam.now())


def _runs(books: list[Book], day: date, source: str | None) -> list[ReconciliationRun]:
    rows = ReconciliationRun.objects.filter(book__in=books, day=day).select_related("source", "book").order_by("pk")
    if source == "books":
        rows = rows.filter(source__isnull=True)
    elif source is not None:
        rows = rows.filter(source__code=source)
    return list(rows)
