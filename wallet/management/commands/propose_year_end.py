"""`./florin propose_year_end BOOK 2026`: proposes the close of a year, for somebody else to approve."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import seam
from ledger.errors import LedgerError
from ledger.ids import public_id
from ledger.models import Book
from wallet import year_end


class Command(BaseCommand):
    """Propose the close of a year in each currency; repeatable."""

    help = "Propose to post the result of a year to retained earnings, one proposal for each currency."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the book, the year, and who proposes."""
        parser.add_argument("book", help="code of the book")
        parser.add_argument("year", type=int, choices=range(2000, 3000), metavar="year")
        parser.add_argument("--actor", default="command", help="who proposes, as the books are to say (command)")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Propose, and say what waits for approval."""
        book = Book.objects.filter(code=options["book"]).first()
        if book is None:
            raise CommandError(f"there is no book {options['book']!r}")
        try:
            made = year_end.propose(book.pk, options["year"], maker=options["actor"], now=seam.now())
        except LedgerError as refusal:
            raise CommandError(f"{refusal} ({refusal.code})") from refusal
        shown = [
            {"proposal": public_id("prp", row.public_id), "reference": str(row), "created": created}
            for row, created in made
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"book": book.code, "year": options["year"], "proposals": shown}))
            return
        for one in shown:
            self.stdout.write(f"{one['proposal']} {one['reference']}{'' if one['created'] else ' (as before)'}")
        self.stdout.write(f"{len(shown)} proposals; somebody else approves them in the back office.")
