"""`./florin verify_books`: every invariant that exists, over all books, in one snapshot; exit 1 when one is broken."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config import seam
from ledger.checking import UNVERIFIED_COUNTED, Watermark
from payments import verification


class Command(BaseCommand):
    """Check the books against themselves, and payments and wallets against the books."""

    help = "Run every invariant over all books; exit 1 and list the violations when one is broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the form of the answer."""
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Check, and print what was found and how far the books were verified as they grew."""
        report = verification.verify_everything(now=seam.now(), actor="check:verify_books")
        violations, mark = report.violations, report.watermark
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "ok": not violations,
                        "checked": report.checked,
                        "violations": [{"check": v.check, "detail": v.detail} for v in violations],
                        "warnings": [{"check": w.check, "detail": w.detail} for w in report.warnings],
                        "verified": {
                            "through_entry": mark.entry_id,
                            "at": mark.checked_at.isoformat() if mark.checked_at else None,
                            "transactions": mark.transactions,
                            "entries": mark.entries,
                            "unverified_transactions": mark.unverified,
                        },
                    }
                )
            )
        else:
            for violation in violations:
                self.stdout.write(self.style.ERROR(f"{violation.check}: {violation.detail}"))
            for warning in report.warnings:
                self.stdout.write(self.style.WARNING(f"{warning.check}: {warning.detail}"))
            self.stdout.write(_as_they_grew(mark))
            verdict = f"{len(violations)} violations" if violations else "The books agree"
            rows = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.checked.items())
            self.stdout.write(f"{verdict} ({rows}).")
        if violations:
            raise SystemExit(1)


def _as_they_grew(mark: Watermark) -> str:
    if mark.checked_at is None:
        return "Not verified as they grew yet: no sweeper has run."
    more = "or more" if mark.unverified >= UNVERIFIED_COUNTED else "transactions"
    return (
        f"Verified as they grew: through entry {mark.entry_id} at {mark.checked_at:%Y-%m-%d %H:%M:%S} UTC;"
        f" {mark.unverified} {more} wait."
    )
