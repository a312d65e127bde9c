"""Start a child that dies with us, stop it within a deadline, recognise a process later.

Each child leads a session of its own: Ctrl-C reaches only the supervisor, which then stops the children in
order, and a child is always ended together with whatever it started. It must never signal a process it has
not identified.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LAUNCH = Path(__file__).with_name("launch.py")
LOG_BYTES_KEPT = 20_000_000


def start(
    program: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    identity: str = "same",
) -> subprocess.Popen[bytes]:
    """Start `program` in a session of its own, output to `log`; `death_signal` reaches it when we die."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_KEPT:
        log.replace(log.with_suffix(".log.1"))
    words = [str(word) for word in program]
    launcher = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(death_signal)), identity]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*launcher, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment) if environment is not None else None,
            cwd=directory,
            start_new_session=True,
        )


def stop(
    child: subprocess.Popen[bytes],
    *,
    with_signal: signal.Signals = signal.SIGTERM,
    timeout_seconds: float = 10,
) -> None:
    """Ask the child to end, kill it after the timeout; kill whatever is left of its session either way."""
    if child.poll() is None:
        child.send_signal(with_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout_seconds)
    kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and everything in its session, now, as `kill -9` does; harmless when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that can be recognised later, though its number may be given to another one."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Identify a living process; None if there is none with that number."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def is_alive(self) -> bool:
        """True while that very process runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass(slots=True)
class Patience:
    """A deadline to poll under: `while patience.lasts(): ...`, with short sleeps in between."""

    seconds: float
    pause_seconds: float = 0.02
    _until: float = field(init=False, default=0.0)

    def lasts(self) -> bool:
        """True until the time is up; sleeps before every turn but the first."""
        now = time.monotonic()
        if self._until == 0.0:
            self._until = now + self.seconds
            return True
        if now >= self._until:
            return False
        time.sleep(min(self.pause_seconds, self._until - now))
        return True


def wait_until_gone(pids: Sequence[int], timeout_seconds: float) -> bool:
    """True when none of the processes is left within the time."""
    patience = Patience(timeout_seconds)
    while patience.lasts():
        if not any(psutil.pid_exists(pid) and Identity.of(pid) is not None for pid in pids):
            return True
    return False
