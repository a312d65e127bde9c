"""`./florin verify_books`: every invariant that exists, over all books, in one snapshot; exit 1 when one is broken."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from ledger import invariants as books
from payments import invariants


class Command(BaseCommand):
    """Check the books against themselves, and payments and wallets against the books."""

    help = "Run every invariant over all books; exit 1 and list the violations when one is broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the form of the answer."""
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Check in one read-only snapshot, so that payments that move meanwhile raise no false alarm."""
        inside = connection.in_atomic_block
        snapshot: AbstractContextManager[None] = nullcontext() if inside else transaction.atomic()
        with snapshot:
            if not inside:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            violations = books.violations()
            findings = invariants.check()
            checked = invariants.counts()
        violations = [*violations, *findings.violations]
        checked["checks"] = len(books.names()) + len(invariants.names())
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "ok": not violations,
                        "checked": checked,
                        "violations": [{"check": v.check, "detail": v.detail} for v in violations],
                        "warnings": [{"check": w.check, "detail": w.detail} for w in findings.warnings],
                    }
                )
            )
        else:
            for violation in violations:
                self.stdout.write(self.style.ERROR(f"{violation.check}: {violation.detail}"))
            for warning in findings.warnings:
                self.stdout.write(self.style.WARNING(f"{warning.check}: {warning.detail}"))
            verdict = f"{len(violations)} violations" if violations else "The books agree"
            rows = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in checked.items())
            self.stdout.write(f"{verdict} ({rows}).")
        if violations:
            raise SystemExit(1)
