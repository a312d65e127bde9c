"""`./florin test [pytest words]`: the suite, two processes by default, on servers of its own."""

import os
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from config.local_stack.home import ROOT

ALONE = frozenset({"--pdb", "--trace", "--co", "--collect-only", "-s"})  # of no use in two processes


class Command(BaseCommand):
    """Run pytest; every word is pytest's."""

    help = "Run the tests with pytest, on PostgreSQL and Valkey servers of their own."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Become pytest: its signals and its exit code are ours."""
        words = argv[2:]
        counted = any(word.startswith(("-n", "--numprocesses")) for word in words)
        os.chdir(ROOT)
        # Tests of a group stay in one process, however many there are: they share what takes seconds to start.
        parallel = [] if ALONE & set(words) else ["--dist", "loadgroup", *([] if counted else ["-n", "2"])]
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *parallel, *words])  # noqa: S606 - no shell wanted

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Show in the help that further words are pytest's."""
        parser.add_argument("words", nargs="*", help="passed on to pytest as they are")

    def handle(self, *_args: object, **options: object) -> None:
        """Run through `run_from_argv` in every case."""
        raise NotImplementedError("run it as ./florin test")
