"""`./florin status`: the addresses of the running stack."""

import json as json_module
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from config.local_stack.home import Home
from config.local_stack.stack import running_state

SHOWN = ("web", "admin", "sandbox_psp", "docs")


class Command(BaseCommand):
    """Read stack.json; exit code 1 when nothing runs."""

    help = "Print the addresses of the running stack; exit code 1 when none runs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the switches."""
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: object, json: bool, **_options: object) -> None:
        """Print what runs."""
        state = running_state(Home.from_environment())
        if json:
            addresses = {name: state[name] if state else None for name in SHOWN}
            self.stdout.write(json_module.dumps({"running": state is not None, **addresses}))
        elif state is None:
            self.stdout.write("nothing runs; start it with ./florin up")
        else:
            for name in SHOWN:
                self.stdout.write(f"{name:<12} {state[name]}")
        if state is None:
            raise SystemExit(1)
