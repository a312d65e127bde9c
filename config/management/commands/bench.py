"""`./florin bench NAME [--json]`: run one of the benchmarks, on servers of its own."""

import os
import sys
from argparse import ArgumentParser
from typing import cast

from django.core.management.base import BaseCommand

from config.local_stack.home import ROOT

NAMES = ("ledger", "payments", "reconciliation")
OF_LEDGER = ("accounts", "history", "pgledger")


class Command(BaseCommand):
    """Become the benchmark's process."""

    help = "Run a benchmark; it prints ratios measured in one run and checks the books afterwards."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the benchmark; further words are its own."""
        parser.add_argument("name", choices=NAMES)
        parser.add_argument("--json", action="store_true", help="print one line of JSON at the end")
        parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (medians are printed)")
        parser.add_argument("--seconds", type=float, default=4.0, help="seconds of load per slice")
        parser.add_argument("--accounts", type=int, help="ledger: wallets of sellers (100000)")
        parser.add_argument("--history", type=int, help="ledger: entries in one account before it is read (0: none)")
        parser.add_argument("--pgledger", metavar="DIR", help="ledger: folder with the SQL files of pgledger")
        parser.add_argument("--lines", type=int, nargs="+", help="reconciliation: sizes (100000 1000000 5000000)")
        parser.add_argument("--no-hordak", action="store_true", help="ledger: leave out the anchor that is installed")

    def handle(self, *_args: object, name: str, json: bool, rounds: int, seconds: float, **options: object) -> None:
        """Start `python -m benchmarks.NAME` in our place."""
        words = ["--rounds", str(rounds), "--seconds", str(seconds), *(["--json"] if json else [])]
        if name == "ledger":
            for option in OF_LEDGER:
                if options[option] is not None:
                    words += [f"--{option}", str(options[option])]
            words += ["--no-hordak"] if options["no_hordak"] else []
        if name == "reconciliation" and options["lines"]:
            words += ["--lines", *map(str, cast("list[int]", options["lines"]))]
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", f"benchmarks.{name}", *words])  # noqa: S606 - no shell wanted
