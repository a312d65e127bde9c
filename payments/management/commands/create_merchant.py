"""Makes a merchant that can sell: book, fee plan, house seller, API key and, in test mode, a sandbox account."""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import seam
from ledger.errors import MoneyError
from ledger.ids import public_id
from ledger.models import Mode
from ledger.money import Money, exponent_of
from payments import merchants
from payments.merchants import FeeTerms, MerchantDetails, PspDetails
from payments.psp import registry


class Command(BaseCommand):
    """`create_merchant NAME [--json]`: the key and the signing secret are printed once and kept nowhere."""

    help = "Make a merchant and print its API key and signing secret (once)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--mode", choices=["test", "live"], default="test")
        parser.add_argument("--country", default="DE", help="of the house seller, ISO 3166")
        parser.add_argument("--currency", default="EUR", help="of the house seller, ISO 4217")
        parser.add_argument("--fee-basis-points", type=int, default=1000, help="what the platform keeps, 0 to 10000")
        parser.add_argument("--fee-fixed", default="", help="and per order, for example 0.30 (in --currency)")
        parser.add_argument("--psp", default="stripe", help="adapter of the PSP account")
        parser.add_argument("--psp-url", default="", help="address of the PSP; the sandbox in test mode if it runs")
        parser.add_argument("--psp-key", default="", help="secret key at the PSP; a fresh one for the sandbox")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the merchant, then register our notification address at its PSP."""
        now = seam.now()
        account = _psp_details(options)
        made = merchants.create_merchant(_details(options), now=now)
        if account is not None:
            row = merchants.put_psp_account(made.book.pk, account, now=now)
            try:
                merchants.register_notifications(row)
            except ConnectionError as error:
                self.stderr.write(f"The PSP does not notify us yet, payments are polled: {error}")
        shown = {
            "merchant": public_id("mer", made.merchant.public_id),
            "api_key": made.key.key,
            "signing_secret": made.key.signing_secret,
        }
        if options["json"]:
            self.stdout.write(json.dumps(shown))
            return
        for name, value in shown.items():
            self.stdout.write(f"{name:15} {value}")
        self.stdout.write("Key and secret are shown this once." + ("" if account else " There is no PSP account yet."))


def _details(options: dict[str, Any]) -> MerchantDetails:
    name, currency, basis_points = options["name"].strip(), options["currency"], options["fee_basis_points"]
    if not name or len(name) > 200:
        raise CommandError("The name must have 1 to 200 characters.")
    if not 0 <= basis_points <= 10_000:
        raise CommandError("--fee-basis-points must be 0 to 10000.")
    try:
        exponent_of(currency)
        fixed = {currency: Money.parse(options["fee_fixed"], currency).minor} if options["fee_fixed"] else {}
    except MoneyError as error:
        raise CommandError(str(error)) from None
    return MerchantDetails(
        name=name,
        mode=Mode(options["mode"]),
        fees=FeeTerms(basis_points, fixed),
        country=options["country"],
        default_currency=currency,
    )


def _psp_details(options: dict[str, Any]) -> PspDetails | None:
    """Return the PSP account that was asked for; without words about it the sandbox, when there is one."""
    url, key = options["psp_url"], options["psp_key"]
    if not url and not key and options["mode"] == Mode.TEST and settings.SANDBOX_PSP_URL:
        url = registry.SANDBOX
    if not url and not key:
        return None
    if not key:
        if url != registry.SANDBOX:
            raise CommandError("--psp-url needs --psp-key.")
        key = f"sk_test_{secrets.token_hex(16)}"
    return PspDetails(adapter=options["psp"], code=options["psp"], api_key=key, base_url=url)
