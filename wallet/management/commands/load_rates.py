"""`./florin load_rates FILE`: take the exchange rates of a file of the European Central Bank."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from config import seam
from wallet import rates


class Command(BaseCommand):
    """Store the rates of a file, all or none."""

    help = "Store exchange rates from a reference rate file of the European Central Bank (XML or CSV)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path, help="eurofxref-daily.xml, eurofxref-hist.xml, or the same as CSV")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Load and say how many rates are new."""
        path: Path = options["file"]
        try:
            with path.open("rb") as opened:
                content = opened.read(rates.MAX_BYTES + 1)
            with transaction.atomic():
                new = rates.load(rates.EcbFile(content), now=seam.now())
        except (OSError, rates.RateError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{new} new rates.")
