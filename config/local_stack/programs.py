"""Our processes: the command line of each, and how to tell that it answers."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

from config.local_stack import processes
from config.local_stack.home import ROOT, Home

QUEUES = "psp,webhooks,reconciliation,default"
STOP_SECONDS = 12
SETTLED_AFTER_SECONDS = 0.5
# Started in this order, after the servers; stopped in the reverse order.
NAMES = ("sandbox", "web", "office", "worker", "sweeper", "beat")
CELERY = frozenset({"worker", "beat"})
PREFERRED_PORTS = {"web": 8000, "office": 8001, "sandbox": 8010}


@dataclass(slots=True)
class Program:
    """One of our processes; a member of the supervisor."""

    name: str
    words: list[str | Path]
    environment: Mapping[str, str]
    log: Path
    answers: Callable[["Program"], bool]
    death_signal: signal.Signals = signal.SIGTERM
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Start it; `answers` tells when it is of use."""
        self.child = processes.start(
            self.words,
            log=self.log,
            environment=self.environment,
            directory=ROOT,
            death_signal=self.death_signal,
        )
        self.started_at = time.monotonic()

    def stop(self) -> None:
        """Ask it to finish what it does, and kill it after the deadline."""
        if self.child is not None:
            processes.stop(self.child, timeout_seconds=STOP_SECONDS)
            self.child = None

    def kill(self) -> None:
        """End it and all that it started, now."""
        if self.child is not None:
            processes.kill(self.child)
            self.child = None

    def is_ready(self) -> bool:
        """True when it runs and answers."""
        return self.child is not None and self.child.poll() is None and self.answers(self)


def programs(home: Home, environment: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, Program]:
    """Describe every process of the stack; the caller chooses which of them to start."""
    python = sys.executable
    granian: list[str | Path] = [
        python,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--no-ws",
    ]
    granian += ["--http", "1", "--blocking-threads", "1", "--backlog", "1024", "--respawn-failed-workers"]
    granian += ["--respawn-interval", "1", "--workers-kill-timeout", "5", "--log-level", "warning"]
    celery: list[str | Path] = [python, "-m", "celery", "-A", "config.celery"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    words: dict[str, list[str | Path]] = {
        "sandbox": [
            python,
            "-m",
            "sandbox.psp",
            "--port",
            str(ports["sandbox"]),
            "--data",
            home.directory / "sandbox",
        ],
        "web": [*granian, "--port", str(ports["web"]), "--workers", str(_cores()), "config.wsgi:application"],
        "office": [
            *granian,
            "--port",
            str(ports["office"]),
            "--workers",
            "1",
            "config.wsgi_office:application",
        ],
        "worker": [*celery, "worker", "-Q", QUEUES, "--concurrency", "2", "--loglevel", "INFO", *quiet],
        "sweeper": [python, ROOT / "manage.py", "sweep"],
        "beat": [*celery, "beat", "--schedule", home.directory / "beat", "--pidfile=", "--loglevel", "INFO"],
    }
    answers = {
        "sandbox": _answers_http(ports["sandbox"], "/_sandbox/health"),
        "web": _answers_http(ports["web"], "/healthz"),
        "office": _answers_http(ports["office"], "/admin/login/"),
        "worker": _listens_to_the_broker,
    }
    return {
        name: Program(
            name=name,
            words=words[name],
            environment=environment,
            log=home.logs / f"{name}.log",
            answers=answers.get(name, _has_settled),
            # Celery's warm shutdown waits for tasks; without a supervisor nobody would end that wait.
            death_signal=signal.SIGQUIT if name in CELERY else signal.SIGTERM,
        )
        for name in NAMES
    }


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


def _answers_http(port: int, path: str) -> Callable[[Program], bool]:
    def answers(_program: Program) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path)
                return connection.getresponse().status < 500
            except (OSError, http.client.HTTPException):
                return False

    return answers


def _listens_to_the_broker(program: Program) -> bool:
    """True when somebody waits for messages; on a shared broker another worker is as good."""
    try:
        with redis.Redis.from_url(program.environment["REDIS_URL"], socket_timeout=2) as client:
            return any(entry.get("cmd") == "brpop" for entry in client.client_list())
    except redis.RedisError:
        return False


def _has_settled(program: Program) -> bool:
    return time.monotonic() - program.started_at > SETTLED_AFTER_SECONDS
