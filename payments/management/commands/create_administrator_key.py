"""Makes an API key that may create merchants and belongs to none."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config import seam
from payments import merchants


class Command(BaseCommand):
    """`create_administrator_key NAME [--json]`: for `POST /merchants`; printed once and kept nowhere."""

    help = "Make an administrator's API key and print it (once)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("name", help="whose key it is, at most 100 characters")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the key."""
        issued = merchants.issue_key(None, None, name=options["name"][:100], scopes=(), now=seam.now())
        shown = {"api_key": issued.key, "signing_secret": issued.signing_secret}
        if options["json"]:
            self.stdout.write(json.dumps(shown))
            return
        for name, value in shown.items():
            self.stdout.write(f"{name:15} {value}")
