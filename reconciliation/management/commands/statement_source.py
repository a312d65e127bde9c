"""`./florin statement_source BOOK SOURCE`: open a bank account as a source, or say where a source's files come from."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import seam
from ledger.models import Book
from payments.errors import NotFound, PaymentsError
from reconciliation import sources
from reconciliation.formats import FORMATS
from reconciliation.models import Source

BANK = "bank:"


class Command(BaseCommand):
    """Parse, one call, present."""

    help = "Open a bank account as a source of statements, or change where a source's statements come from."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the source and what is to be said of it."""
        parser.add_argument("book", metavar="BOOK", help="code of the book")
        parser.add_argument("source", metavar="SOURCE", help="code of a PSP account, or bank:NAME")
        parser.add_argument("--account", help="the account as its statements write it: an IBAN, a number")
        parser.add_argument("--location", help="where its files are looked for every night: a folder, sftp://, s3://")
        parser.add_argument("--format", choices=sorted(FORMATS), help="the format of its files")
        parser.add_argument("--columns", type=Path, metavar="FILE", help="for csv: which column is what, as JSON")
        parser.add_argument("--starts-on", type=date.fromisoformat, metavar="DAY", help="of a new bank account: today")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Open or change the source."""
        book = Book.objects.filter(code=options["book"]).first()
        if book is None:
            raise CommandError(f"there is no book {options['book']}")
        try:
            columns = json.loads(options["columns"].read_text()) if options["columns"] else None
            source = self._source(book, options)
            sources.describe(
                source,
                location=options["location"],
                format=options["format"],
                columns=columns,
                account=options["account"],
            )
        except PaymentsError as refusal:
            said = "".join(f"\n{one.field}: {one.detail}" for one in refusal.errors)
            raise CommandError(f"{refusal.message}{said}") from None
        except (OSError, ValueError) as error:
            raise CommandError(f"the columns cannot be read: {error}") from None
        shown = {
            "source": source.code, "account": source.account, "location": source.location, "format": source.format,
            "columns": source.columns, "starts_on": source.starts_on.isoformat(),
        }  # fmt: skip
        self.stdout.write(json.dumps(shown) if options["json"] else f"{source.code}: {json.dumps(shown, indent=2)}")

    def _source(self, book: Book, options: dict[str, Any]) -> Source:
        code: str = options["source"]
        try:
            return sources.find(book.pk, code, now=seam.now())
        except NotFound:
            if not code.startswith(BANK):
                raise
        if not options["account"]:
            raise CommandError("a new bank account needs --account")
        return sources.open_bank(
            book.pk,
            name=code.removeprefix(BANK),
            account=options["account"],
            starts_on=options["starts_on"],
            now=seam.now(),
        )
