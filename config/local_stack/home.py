"""Where a stack lives: data, secrets, sockets, logs, addresses, and the environment that follows from it.

Everything is derived from the directory alone, so that any process finds a running stack without asking. With
DATABASE_URL or REDIS_URL set, that server is somebody else's and is used as it is. Secrets are made once,
mode 0600.
"""

import base64
import fcntl
import hashlib
import json
import os
import re
import secrets
import socket
import stat
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent.parent
# sockaddr_un holds 104 to 108 bytes, and PostgreSQL appends "/.s.PGSQL.5432".
SOCKET_DIRECTORY_BYTES = 85
# What every client reads alike in the address of a socket, whether it decodes URLs or not.
PLAIN = re.compile(r"[A-Za-z0-9/._~-]+")
DATABASE = "florin"


def _random_bytes() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


# What every home has of its own, and how it is made. Any 32 bytes are an Ed25519 key.
SECRETS = {
    "FLORIN_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "FLORIN_FIELD_KEY": _random_bytes,
    "FLORIN_SEAL_KEY": _random_bytes,
}


class StackError(Exception):
    """The stack cannot start or answer; the text says what to do and is all that a person needs to see."""


@dataclass(frozen=True, slots=True)
class Home:
    """One directory that belongs to one stack (FLORIN_HOME, default `.florin` beside manage.py)."""

    directory: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Home":
        """Find the home that the environment names, or the default."""
        return cls(Path(environment.get("FLORIN_HOME") or ROOT / ".florin").absolute())

    @property
    def logs(self) -> Path:
        """Directory of one log file a process."""
        return self.directory / "logs"

    @property
    def state_file(self) -> Path:
        """Addresses of the running stack, written by its supervisor."""
        return self.directory / "stack.json"

    @property
    def ports_file(self) -> Path:
        """Ports of the last run: whoever was given an address then (a PSP, for its notifications) finds us again."""
        return self.directory / "ports.json"

    def make(self) -> None:
        """Create the directory, private to its user."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if self.directory.stat().st_uid == os.geteuid():
                self.directory.chmod(0o700)
            (self.directory / "servers.lock").touch()
        except OSError as error:
            raise StackError(
                f"cannot write to {self.directory} ({error.strerror}); set FLORIN_HOME to one of your own"
            ) from error

    def run_directory(self) -> Path:
        """Return the directory of the sockets: inside the home, or a short one if that path would not do."""
        inside = self.directory / "run"
        if len(os.fsencode(inside)) <= SOCKET_DIRECTORY_BYTES and PLAIN.fullmatch(str(inside)):
            return inside
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"florin-{os.geteuid()}-{digest}"

    def make_run_directory(self) -> Path:
        """Create the directory of the sockets and make sure that nobody else can put anything into it."""
        path = self.run_directory()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StackError(f"{path} belongs to somebody else; set FLORIN_HOME to a shorter path")
        path.chmod(0o700)
        return path

    def postgres_url(self, role: str, database: str = DATABASE) -> str:
        """Return the address of the embedded PostgreSQL for a role."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.run_directory()), safe='/')}"

    def valkey_url(self) -> str:
        """Return the address of the embedded Valkey."""
        return f"unix://{self.run_directory()}/valkey.sock"

    def environment(self, given: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the variables that our processes need and that are not given."""
        self.make()
        made = {"FLORIN_HOME": str(self.directory), **self._secrets()}
        if not given.get("DATABASE_URL"):
            made["DATABASE_URL"] = self.postgres_url("florin_app")
            made["DATABASE_OWNER_URL"] = self.postgres_url("florin_owner")
        if not given.get("REDIS_URL"):
            made["REDIS_URL"] = self.valkey_url()
        return {name: value for name, value in made.items() if not (name in SECRETS and given.get(name))}

    def _secrets(self) -> dict[str, str]:
        """Read the secrets of this home; what it lacks is made first. Of two makers the second reads the first's."""
        path = self.directory / "secrets.json"
        with os.fdopen(os.open(self.directory / "secrets.lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
            if missing := [name for name in SECRETS if name not in found]:
                found |= {name: SECRETS[name]() for name in missing}
                draft = path.with_suffix(f".{os.getpid()}")
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                    json.dump(found, file)
                draft.replace(path)
        return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a small file at once: a reader sees the old content or the new one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a small file; None if it is missing or not an object."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def pick_port(*preferred: int, taken: Collection[int] = ()) -> int:
    """Return the first preferred loopback port that nobody uses, or any free one."""
    for port in (*(port for port in preferred if port and port not in taken), 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise StackError("no free port on 127.0.0.1")
