"""Writes docs/reference/breaks.md from the classes of breaks; a test compares the two."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from reconciliation.codes import CODES
from reconciliation.models import Break

PLACE: Final = "docs/reference/breaks.md"
_INTRODUCTION: Final = """# Breaks

Generated from the code (`reconciliation/codes.py`) by `./florin document_breaks`; a test fails when the two differ.

A break is a difference that somebody or something must resolve. It has an id (`brk_`) that stays while its class
changes, while it is resolved and while it comes back; so do its owner and its notes. What may still come is
[pending, and no break](../explanation/reconciliation.md#pending-is-not-a-break).

Priorities: 1 money at risk or integrity, 2 amounts differ, 3 cash not applied, 4 to investigate. A run whose worst
break has priority 4 ends `WITH_WARNINGS`, any other means `BREAKS`.

The last column says what is done without a person, where a document proves the fact and the caps of the class allow it.
What it does not name waits for a person, who proposes a journal that somebody else approves. Wallets are never debited
automatically.
"""
_GROUPS: Final = {
    "A": "Orders, refunds, disputes and payouts against the PSP",
    "B": "PSP, its payouts, and the bank",
    "C": "Exchange and rounding",
    "D": "Integrity: books, payments and wallets against themselves",
}
_AUTOMATIC: Final = {
    "": "",
    "suspend": "booked into suspense; open until it is identified",
    "look_up": "the PSP is asked again, and what it says is settled as ever",
    "book": "booked",
    "net": "lines that take each other back are matched",
    "tag": "booked into the open period",
    "return": "booked as returned",
    "derive": "booked when what lay at the PSP covers it",
    "book_rounding": "booked as rounding",
    "book_exchange": "booked as gain or loss of exchange",
}
# Of the taxonomy of 48 classes: pending is no break, and is shown with each run instead.
_LEFT_OUT: Final = {"A01": "timing: shown as pending, with the day on which it becomes a break"}


class Command(BaseCommand):
    """`document_breaks [--check]`: write the page, or say whether it is true."""

    help = f"Write {PLACE} from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the option."""
        parser.add_argument("--check", action="store_true", help="write nothing, fail when the page is out of date")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write or compare the page."""
        place = settings.BASE_DIR / PLACE
        if not options["check"]:
            place.write_text(page(), encoding="utf-8")
        elif not place.exists() or place.read_text(encoding="utf-8") != page():
            raise CommandError(f"{PLACE} is out of date: run ./florin document_breaks")
        self.stdout.write(f"{PLACE} is up to date")


def page() -> str:
    """Return the page as it should be."""
    written = [_INTRODUCTION]
    for letter, title in _GROUPS.items():
        rows = [
            f"| `{code.code}` | {code.name} | {code.priority} | {code.meaning} | {_AUTOMATIC[code.automatic]} |"
            for code in CODES.values()
            if code.code.startswith(letter)
        ]
        head = ["| code | name | priority | meaning | without a person |", "|---|---|---|---|---|"]
        written += [f"## {title}", "", *head, *rows, ""]
    left_out = [f"| `{code}` | {why} |" for code, why in _LEFT_OUT.items()]
    written += ["## Not a break", "", "| code | why |", "|---|---|", *left_out, ""]
    total = len(CODES) + len(_LEFT_OUT)
    words = ", ".join(f"{label.lower()} {value}" for value, label in Break.Priority.choices)
    written += [f"{len(CODES)} classes of {total} are breaks. Priorities in code: {words}.", ""]
    return "\n".join(written)
