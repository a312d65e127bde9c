"""Writes docs/errors.md from the catalogue of codes; a test compares the two."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments.errors import CATALOGUE, FIELD_CODES
from payments.psp.failures import MESSAGES, RETRYABLE_BY_BUYER

PLACE: Final = "docs/errors.md"
_INTRODUCTION: Final = """# Errors

Generated from the code by `./florin document_errors`; a test fails when the two differ.

Every refusal is a problem document (RFC 9457, `application/problem+json`) with `type`, `title`, `status`, `detail`,
`code`, `request_id`, `retryable`, `outcome` (`none`: nothing was executed, `unknown`: ask before repeating without
the same Idempotency-Key) and `errors` (`field`, `code`, `detail` of every bad field). A decline is not an error: it is
`failure` on the payment order.

## Refusals (`code`)

| code | status | title | what to do | repeat as it is |
|---|---|---|---|---|
"""


class Command(BaseCommand):
    """`document_errors [--check]`: write the page, or say whether it is true."""

    help = "Write docs/errors.md from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the option."""
        parser.add_argument("--check", action="store_true", help="write nothing, fail when the page is out of date")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write or compare the page."""
        place = settings.BASE_DIR / PLACE
        if not options["check"]:
            place.write_text(page(), encoding="utf-8")
        elif not place.exists() or place.read_text(encoding="utf-8") != page():
            raise CommandError(f"{PLACE} is out of date: run ./florin document_errors")
        self.stdout.write(f"{PLACE} is up to date")


def page() -> str:
    """Return the page as it should be."""
    refusals = [
        f"| `{code}` | {listed.status} | {listed.title} | {listed.advice} | {'yes' if listed.retryable else ''} |"
        for code, listed in CATALOGUE.items()
    ]
    fields = [f"| `{code}` | {meaning} |" for code, meaning in FIELD_CODES.items()]
    failures = [
        f"| `{code}` | {message} | {'yes' if code in RETRYABLE_BY_BUYER else ''} |"
        for code, message in MESSAGES.items()
    ]
    return "\n".join(
        [
            _INTRODUCTION + "\n".join(refusals),
            "",
            "## Bad fields (`errors[].code`)",
            "",
            "Codes of the table above may stand here too, where the refusal is about one field.",
            "",
            "| code | meaning |",
            "|---|---|",
            *fields,
            "",
            "## Declines (`failure.code` of a payment order)",
            "",
            "| code | message, fit for a buyer | the buyer can mend it |",
            "|---|---|---|",
            *failures,
            "",
        ]
    )
