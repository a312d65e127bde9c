"""`./florin decide_refund rfd_... --to seller`: proposes what becomes of a refund that did not arrive."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import seam
from ledger.errors import LedgerError
from ledger.ids import parse_public_id, public_id
from payments import refund_decisions
from payments.errors import PaymentsError
from payments.models import Refund
from payments.refund_decisions import Bearer


class Command(BaseCommand):
    """Propose who gets the money of a failed refund; repeatable."""

    help = "Propose what becomes of a refund that did not arrive; somebody else approves it in the back office."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the refund, who gets the money, why, and who proposes."""
        parser.add_argument("refund", help="rfd_...")
        parser.add_argument(
            "--to", required=True, choices=[str(bearer) for bearer in Bearer], help="who gets the money"
        )
        parser.add_argument(
            "--bank", default="main", help="our bank account that paid the buyer, with --to bank (main)"
        )
        parser.add_argument("--reason", required=True, help="why, as the books are to say")
        parser.add_argument("--actor", default="command", help="who proposes, as the books are to say (command)")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Propose, and say what waits for approval."""
        value = parse_public_id("rfd", options["refund"])
        row = Refund.objects.filter(public_id=value).first() if value else None
        if row is None:
            raise CommandError(f"there is no refund {options['refund']!r}")
        try:
            made, is_new = refund_decisions.propose(
                row.pk,
                Bearer(options["to"]),
                maker=options["actor"],
                reason=options["reason"],
                bank=options["bank"],
                now=seam.now(),
            )
        except (PaymentsError, LedgerError) as refusal:
            raise CommandError(f"{refusal} ({refusal.code})") from refusal
        shown = {"proposal": public_id("prp", made.public_id), "reference": str(made), "created": is_new}
        if options["json"]:
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(f"{shown['proposal']} {shown['reference']}{'' if is_new else ' (as before)'}")
        self.stdout.write("Somebody else approves it in the back office; then the refund waits for nobody any more.")
