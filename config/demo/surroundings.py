"""A running stack for a command that drives it from outside: attach to the one that runs, or start one.

The stack comes first and Django second, because the addresses of a stack (its ports may differ every time) are part of
Django's settings. Whatever was started here is stopped here, also on SIGTERM. It must never be used by a process that
serves requests.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import django

from config.local_stack.home import Home, StackError
from config.local_stack.session import export
from config.local_stack.stack import LocalStack, running_state

ADDRESSES = ("web", "admin", "sandbox_psp", "docs")


@dataclass(slots=True)
class Surroundings:
    """Where the stack is, whether it is ours, and whether somebody wants us to leave."""

    addresses: Mapping[str, str]
    stack: LocalStack | None
    _left: threading.Event

    def is_over(self) -> bool:
        """Say whether a signal came or a process of our stack was given up."""
        return self._left.is_set() or bool(self.broken())

    def broken(self) -> str:
        """Return the process of our own stack that ends again and again; usually none."""
        return self.stack.supervisor.given_up if self.stack is not None else ""

    def must_go_on(self) -> None:
        """Raise `KeyboardInterrupt` when a signal came, `StackError` when a process of our stack is given up."""
        if self._left.is_set():
            raise KeyboardInterrupt
        name = self.broken()
        if name and self.stack is not None:
            raise StackError(f"{name} ended again and again; the end of {self.stack.log_of(name)}")

    def wait_for_the_end(self) -> None:
        """Return when a signal came. Raises `StackError` when a process of our stack is given up."""
        while not self._left.wait(0.5):
            self.must_go_on()


@contextmanager
def running_stack(say: Callable[[str], None]) -> Iterator[Surroundings]:
    """Give a running stack and a set-up Django for the duration of the block; main thread only."""
    home = Home.from_environment()
    left = threading.Event()
    ready = False

    def leave(number: int, _frame: FrameType | None) -> None:
        if left.is_set() or not ready:
            raise SystemExit(128 + number)  # half started, or asked twice: now
        left.set()

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        if state := running_state(home):
            say(f"uses the stack that runs at {state['web']}")
            addresses = {name: str(state[name]) for name in ADDRESSES}
            _set_up(addresses)
            ready = True
            yield Surroundings(addresses, None, left)
            return
        stack = LocalStack(home, say=say)
        with stack:
            _set_up(stack.addresses)
            ready = True
            yield Surroundings(stack.addresses, stack, left)
            say("stopping")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_up(addresses: Mapping[str, str]) -> None:
    """Let Django read its settings with the addresses of this stack in the environment."""
    export({"PUBLIC_URL": addresses["web"], "SANDBOX_PSP_URL": addresses["sandbox_psp"]})
    os.environ["FLORIN_LOG_LEVEL"] = os.environ.get("FLORIN_LOG_LEVEL") or "WARNING"
    django.setup()
