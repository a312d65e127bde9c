"""`./florin demo`: the whole product, driven from outside, told as it happens, with the books compared at the end."""

import io
import json as json_module
import secrets
from argparse import ArgumentParser

import requests
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config.demo.shopper import ApiRefusal
from config.demo.surroundings import Surroundings, running_stack
from config.demo.telling import Teller
from config.local_stack.home import StackError


class Command(BaseCommand):
    """Start or find the stack, play the story, show the books; exit code 0 only if everything agrees."""

    help = "Drive a marketplace through the HTTP API and show that all books agree; Ctrl-C ends it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the switches."""
        parser.add_argument("--once", action="store_true", help="leave when the story is told")
        parser.add_argument(
            "--json", action="store_true", help="print a JSON summary as the last line; the story goes to stderr"
        )

    def handle(self, *_args: object, once: bool, json: bool, **_options: object) -> None:
        """Tell the story and, without `--once`, stay until a signal comes."""
        teller = Teller(to_stderr=json)
        try:
            with running_stack(teller.say) as surroundings:
                agrees = _tell(surroundings, teller, once=once, json=json)
                if not once:
                    teller.say("stays up until Ctrl-C")
                    surroundings.wait_for_the_end()
        except (StackError, ApiRefusal, requests.RequestException) as error:
            raise CommandError(str(error)) from error
        if not agrees:
            raise SystemExit(1)


def _tell(surroundings: Surroundings, teller: Teller, *, once: bool, json: bool) -> bool:
    from config.demo import report
    from config.demo.performance import perform
    from config.demo.story import open_checkout

    performance = perform(surroundings.addresses, teller, over=surroundings.is_over)
    surroundings.must_go_on()
    report.show(teller, performance)
    # Who stays gets a checkout to pay by hand; with --once nothing may be left open.
    checkout = performance.checkout_url if once else open_checkout(performance.stage)
    urls = {**surroundings.addresses, "checkout": checkout}
    report.show_addresses(teller, urls, _operator(), performance.stage.market.api_key)
    if json:
        print(json_module.dumps(performance.summary(urls)), flush=True)
    return performance.agrees


def _operator() -> tuple[str, str]:
    """Make someone who may sign in to the back office; each demo makes its own."""
    made = io.StringIO()
    call_command("create_operator", f"demo-{secrets.token_hex(2)}", json=True, stdout=made)
    found = json_module.loads(made.getvalue())
    return found["name"], found["password"]
