"""`./florin bank_file`: makes files of credit transfers, hands them out, and reads what the bank reports of them."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import seam
from ledger.ids import parse_public_id, public_id
from ledger.models import Book
from ledger.money import format_minor
from payments import bank_files, bank_reports
from payments.errors import PaymentsError
from payments.models import BankFile


class Command(BaseCommand):
    """Parse, one call, present."""

    help = "Make, list, hand out or withdraw bank files of a book; read a report of the bank (pain.002)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what to do, to which book, and in whose name."""
        parser.add_argument("what", choices=["make", "list", "approve", "fetch", "withdraw", "report"])
        parser.add_argument("book", help="code of the book")
        parser.add_argument("subject", nargs="?", default="", help="approve, fetch, withdraw: bfl_...; report: a file")
        parser.add_argument("--out", default="-", metavar="FILE", help="fetch: where to; not over a file that is there")
        parser.add_argument("--actor", default="command", help="who does it, as it is written down (command)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it; what is refused is exit code 1."""
        book = Book.objects.filter(code=options["book"]).first()
        if book is None:
            raise CommandError(f"there is no book {options['book']!r}")
        try:
            getattr(self, f"_{options['what']}")(book, options)
        except PaymentsError as refusal:
            raise CommandError(f"{refusal.message} ({refusal.code})") from refusal

    def _make(self, book: Book, options: dict[str, Any]) -> None:
        for file in bank_files.make_all(book.pk, actor=options["actor"], now=seam.now()):
            self._show(file)

    def _list(self, book: Book, _options: dict[str, Any]) -> None:
        # Uses index: bank_file_by_book.
        for file in BankFile.objects.filter(book=book).defer("content").order_by("-pk")[:100]:
            self._show(file)

    def _fetch(self, book: Book, options: dict[str, Any]) -> None:
        file, out = _file(book, options), options["out"]
        if out != "-" and Path(out).exists():
            raise CommandError(f"{out} is there already")
        got = bank_files.hand_out(file.pk, actor=options["actor"], now=seam.now())
        if out == "-":
            self.stdout.write(got.content.decode())
        else:
            Path(out).write_bytes(got.content)
        again = "" if got.number == 1 else f"; HANDED OUT BEFORE, this is no. {got.number}"
        self.stderr.write(f"{got.name} sha256 {got.sha256}{again}")

    def _approve(self, book: Book, options: dict[str, Any]) -> None:
        self._show(bank_files.approve(_file(book, options).pk, actor=options["actor"], now=seam.now()))

    def _withdraw(self, book: Book, options: dict[str, Any]) -> None:
        self._show(bank_files.withdraw(_file(book, options).pk, actor=options["actor"], now=seam.now()))

    def _report(self, book: Book, options: dict[str, Any]) -> None:
        try:
            content = Path(options["subject"]).read_bytes()
        except OSError as error:
            raise CommandError(f"the report cannot be read: {error.strerror}") from None
        done = bank_reports.read_in(book.pk, content, actor=options["actor"], now=seam.now())
        for answer in done.answers:
            self.stdout.write(f"{answer.end_to_end_id} {answer.outcome} {answer.detail}".rstrip())
        self.stderr.write(f"{len(done.answers)} refused, {done.without_effect} without effect")

    def _show(self, file: BankFile) -> None:
        shown = {
            "id": public_id("bfl", file.public_id),
            "status": str(file.status),
            "payouts": file.count,
            "total": format_minor(file.total_minor, file.currency_id),
            "currency": file.currency_id,
            "execution_on": file.execution_on.isoformat(),
        }
        self.stdout.write(json.dumps(shown))


def _file(book: Book, options: dict[str, Any]) -> BankFile:
    own = parse_public_id("bfl", options["subject"])
    file = BankFile.objects.filter(book=book, public_id=own).defer("content").first() if own else None
    if file is None:
        raise CommandError(f"this book has no file {options['subject']!r}")
    return file
