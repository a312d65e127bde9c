"""One management command with the servers it needs, and nothing running afterwards that was not before.

Every word gets the environment of its home. A word that uses the database attaches to the running stack, or
has the servers to itself for as long as it takes. Words that need nothing never start anything.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from config.local_stack.home import Home
from config.local_stack.programs import PREFERRED_PORTS
from config.local_stack.servers import Claim, Servers
from config.local_stack.stack import running_state

NEEDS_NO_SERVER = frozenset(
    (
        *("help", "version", "--help", "-h", "--version", "test", "lint", "status", "up", "demo", "replay", "bench"),
        *("makemigrations", "squashmigrations", "optimizemigration", "collectstatic", "findstatic"),
        *("diffsettings", "spectacular", "makemessages", "compilemessages", "startapp", "startproject"),
    )
)
# Help, and what is checked without a database.
NO_SERVER_OPTION = re.compile(r"-h|--help|--offline(=.*)?")
PATIENCE_WITH_ATTACHED_SECONDS = 600


@contextmanager
def servers_for(words: Sequence[str]) -> Iterator[None]:
    """Give the command `words` its environment, and its servers if it needs any, during the block."""
    word = words[0] if words else "help"
    home = Home.from_environment()
    if word == "test" or home_is_complete(os.environ):
        yield
        return
    needs_servers = word not in NEEDS_NO_SERVER and not any(map(NO_SERVER_OPTION.fullmatch, words))
    servers = Servers(home)
    export(home.environment())
    if needs_servers:  # not for words that start a stack and pick its ports themselves
        export(_addresses(home))
    if not needs_servers or (servers.postgres is None and servers.valkey is None):
        yield
        return
    with _owned_or_attached(home, servers, migrate=word != "migrate"):
        yield


def home_is_complete(environment: "os._Environ[str]") -> bool:
    """True for a child of a stack: whoever started us has said everything already."""
    return environment.get("FLORIN_STACK") == "1"


def _addresses(home: Home) -> dict[str, str]:
    """Return where the web process and the sandbox PSP are, or will probably be, unless the environment says so."""
    state = running_state(home) or {}
    addresses = {
        "PUBLIC_URL": state.get("web", f"http://127.0.0.1:{PREFERRED_PORTS['web']}"),
        "SANDBOX_PSP_URL": state.get("sandbox_psp", f"http://127.0.0.1:{PREFERRED_PORTS['sandbox']}"),
    }
    return {name: address for name, address in addresses.items() if name not in os.environ}


def export(variables: dict[str, str]) -> None:
    """Put the variables into this process; Celery read its broker's address when `config` was imported."""
    os.environ.update(variables)
    celery = sys.modules.get("config.celery")
    if celery is not None and (url := os.environ.get("REDIS_URL", "")):
        celery.app.conf.broker_url = url.replace("unix://", "redis+socket://", 1)


@contextmanager
def _owned_or_attached(home: Home, servers: Servers, *, migrate: bool) -> Iterator[None]:
    claim = Claim(home)
    if not claim.own_or_attach():
        try:
            yield
        finally:
            claim.release()
        return
    previous = signal.signal(signal.SIGTERM, _leave)
    try:
        servers.start()
        if migrate:
            servers.migrate(os.environ | {"FLORIN_STACK": "1"})
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
        claim.wait_for_attached(PATIENCE_WITH_ATTACHED_SECONDS)
        servers.stop()
        claim.release()


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
