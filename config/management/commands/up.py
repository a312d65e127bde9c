"""`./florin up`: the whole stack in the foreground until Ctrl-C."""

import json as json_module
import signal
import sys
import threading
from argparse import ArgumentParser
from types import FrameType

from django.core.management.base import BaseCommand, CommandError

from config.local_stack.home import Home, StackError
from config.local_stack.stack import LocalStack


class Command(BaseCommand):
    """Start the stack, print its addresses, stop it on a signal."""

    help = "Start databases and all processes in the foreground, print the addresses; Ctrl-C stops them."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the switches."""
        parser.add_argument(
            "--without-celery", action="store_true", help="no worker and beat: the sweeper does the work"
        )
        parser.add_argument("--json", action="store_true", help="print the addresses as one line of JSON")

    def handle(self, *_args: object, without_celery: bool, json: bool, **_options: object) -> None:
        """Run until a signal comes or a process is given up."""
        started, over = threading.Event(), threading.Event()

        def leave(_number: int, _frame: FrameType | None) -> None:
            if over.is_set() or not started.is_set():
                raise SystemExit(130)  # half started, or the second time: now; the children die with us at the latest
            over.set()

        stack = LocalStack(Home.from_environment(), celery=not without_celery, say=_say)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)
        try:
            with stack:
                started.set()
                _print_addresses(stack, as_json=json)
                while not over.wait(0.5) and not stack.supervisor.given_up:
                    pass
                if stack.supervisor.given_up:
                    name = stack.supervisor.given_up
                    raise StackError(f"{name} ended again and again; the end of {stack.log_of(name)}")
                _say("stopping")
        except StackError as error:
            raise CommandError(str(error)) from error
        _say("stopped")


def _print_addresses(stack: LocalStack, *, as_json: bool) -> None:
    if as_json:
        print(json_module.dumps({"running": True, **stack.addresses}), flush=True)
        return
    for name, label in (
        ("web", "web"),
        ("docs", "API docs"),
        ("admin", "admin"),
        ("sandbox_psp", "sandbox PSP"),
    ):
        print(f"  {label:<12} {stack.addresses[name]}", flush=True)
    print(f"  {'logs':<12} {stack.home.logs}\nCtrl-C stops everything.", flush=True)


def _say(text: str) -> None:
    print(f"florin: {text}", file=sys.stderr, flush=True)
