"""`./florin bench NAME [--json]`: run one of the benchmarks, on servers of its own."""

import os
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from config.local_stack.home import ROOT

NAMES = ("payments",)


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

    def handle(self, *_args: object, name: str, json: bool, rounds: int, seconds: float, **_options: object) -> None:
        """Start `python -m benchmarks.NAME` in our place."""
        words = ["--rounds", str(rounds), "--seconds", str(seconds), *(["--json"] if json else [])]
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", f"benchmarks.{name}", *words])  # noqa: S606 - no shell wanted
