"""`./florin replay FILE --sellers FILE`: real purchases through the HTTP API, to the cent, with the books compared."""

import json as json_module
import os
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from django.core.management.base import BaseCommand, CommandError

from config.demo.shopper import ApiRefusal
from config.demo.surroundings import running_stack
from config.demo.telling import Teller, lines
from config.local_stack.home import StackError

if TYPE_CHECKING:
    from config.replay.run import Outcome

MAX_REFUSALS_SHOWN = 20


class Command(BaseCommand):
    """Replay purchases against the running stack, or one that is started for it."""

    help = "Send real purchases through the HTTP API and compare what was captured with what was sent."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the files and how to send them."""
        parser.add_argument("file", help="purchases: columns date, customer, quantity, amount_usd")
        parser.add_argument("--sellers", required=True, help="sellers: columns external_id, city, state")
        parser.add_argument("--limit", type=int, help="only the first N purchases")
        parser.add_argument("--concurrency", type=int, default=8, help="requests at the same time (8)")
        parser.add_argument("--bulk", type=int, default=0, help="purchases per request; 0 (default): one by one")
        parser.add_argument("--timeout", type=float, default=900.0, help="seconds to wait for the last payment")
        parser.add_argument("--token", default="pm_card_visa", help="the PSP token that pays (pm_card_visa)")
        parser.add_argument(
            "--json", action="store_true", help="print a JSON summary as the last line; the rest goes to stderr"
        )

    def handle(self, *_args: object, json: bool, **options: object) -> None:
        """Replay; exit code 1 when a sum, a payment or a book is not as it has to be."""
        from config.replay import purchases, run, sending

        given = _Options(options)
        if not 1 <= given.number("concurrency") <= sending.MAX_CONCURRENCY:
            raise CommandError(f"--concurrency is 1 to {sending.MAX_CONCURRENCY}")
        if not 0 <= given.number("bulk") <= sending.MAX_BULK:
            raise CommandError(f"--bulk is 0 to {sending.MAX_BULK}")
        limit = given.number("limit") if options["limit"] is not None else None
        if limit is not None and limit < 1:
            raise CommandError("--limit is 1 or more")
        file = given.path("file")
        try:
            plan = run.Plan(
                name=run.name_of(file, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"),
                purchases=purchases.read_purchases(file, limit=limit),
                sellers=purchases.read_sellers(given.path("sellers")),
                token=str(options["token"]),
                concurrency=given.number("concurrency"),
                bulk=given.number("bulk"),
                timeout_seconds=float(str(options["timeout"])),
            )
        except purchases.FileDoesNotFit as error:
            raise CommandError(str(error)) from error
        teller = Teller(to_stderr=json)
        try:
            with running_stack(teller.say) as around:
                outcome = run.replay(plan, around.addresses, teller, over=around.is_over)
                around.must_go_on()
        except (StackError, ApiRefusal, requests.RequestException) as error:
            raise CommandError(str(error)) from error
        _show(teller, outcome)
        if json:
            print(json_module.dumps(outcome.summary()), flush=True)
        if outcome.wrong:
            raise SystemExit(1)


class _Options:
    """The options with the types that argparse has given them."""

    def __init__(self, options: dict[str, object]) -> None:
        self._options = options

    def number(self, name: str) -> int:
        """Return a whole number."""
        value = self._options[name]
        assert isinstance(value, int)
        return value

    def path(self, name: str) -> Path:
        """Return a file, relative to where the caller stands."""
        return Path(os.environ.get("FLORIN_CWD") or Path.cwd(), str(self._options[name]))


def _show(teller: Teller, outcome: "Outcome") -> None:
    found = outcome.summary()
    shown = {
        "submitted": str(found["submitted"]),
        "refused": str(found["refused"]),
        **{
            f"  row {refusal['row']}": f"{refusal['status']} {refusal['code']}: {', '.join(refusal['fields'])}"
            for refusal in found["refusals"][:MAX_REFUSALS_SHOWN]
        },
        "final": f"{found['final']}  ({', '.join(f'{n} {status}' for status, n in found['payments'].items())})",
        "orders": ", ".join(f"{n} {status}" for status, n in found["orders"].items()),
        "captured": f"{found['captured']} {found['currency']}",
        "input sum": f"{found['input_sum']} {found['currency']}",
        "seconds": f"{found['seconds']:.1f}  ({found['final_per_second']} payments a second)",
        "books": "every invariant holds" if not found["violations"] else "violated",
        "PSP": "agrees, charge by charge" if found["psp_agrees"] else "does not agree",
    }
    teller.panel("Replay", lines(shown), good=not outcome.wrong)
    for sentence in outcome.wrong[:MAX_REFUSALS_SHOWN]:
        teller.bad("wrong", sentence)
