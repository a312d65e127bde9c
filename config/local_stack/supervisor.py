"""Keep children running: start them, notice when one dies, start it again after a pause, stop them.

All children are started by one thread that lives as long as the supervisor, because Linux ties a child's
death signal to the thread that made it. A member that dies again and again is given up, and with it the whole
stack: a process manager that hides a crash loop hides the bug.
"""

import contextlib
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from config.local_stack.home import StackError

logger = logging.getLogger(__name__)

PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
STABLE_AFTER_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.1
CRASHES_BEFORE_FIRST_ANSWER = 3


class Member(Protocol):
    """A child that can be started again on the same data: an embedded server or one of our processes."""

    child: subprocess.Popen[bytes] | None

    def start(self) -> None:
        """Start it; may return before it answers."""

    def stop(self) -> None:
        """End it within its deadline."""

    def kill(self) -> None:
        """End it and all that it started, now."""


@dataclass(slots=True)
class _Watched:
    member: Member
    wanted: bool = False
    crashes: int = 0
    started_at: float = 0.0
    again_at: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Watches members by name, in the order in which they were added."""

    _members: dict[str, _Watched] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _over: threading.Event = field(default_factory=threading.Event)
    _given_up: str = ""
    _nursery: ThreadPoolExecutor | None = None
    _watcher: threading.Thread | None = None

    @property
    def given_up(self) -> str:
        """Name of the member that died too often, or an empty string."""
        return self._given_up

    def add(self, name: str, member: Member) -> None:
        """Make a member known without starting it."""
        self._members[name] = _Watched(member)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def in_nursery[T](self, work: Callable[[], T]) -> T:
        """Do something in the thread that makes the children, which outlives the thread that asks."""
        if self._nursery is None:
            self._nursery = ThreadPoolExecutor(1, thread_name_prefix="nursery")
        return self._nursery.submit(work).result()

    def adopt(self, name: str) -> None:
        """Keep a member running that was started in the nursery already."""
        watched = self._find(name)
        with self._lock:
            watched.wanted, watched.started_at = True, time.monotonic()
        self._begin_to_watch()

    def start(self, names: Iterable[str]) -> None:
        """Start members and keep them running from now on."""
        self._begin_to_watch()
        for name in names:
            watched = self._find(name)
            with self._lock:
                self._start(watched)
                watched.wanted, watched.crashes = True, 0

    def stop(self, names: Sequence[str]) -> None:
        """Stop members, all asked at once and then waited for; they stay stopped."""
        watched = [self._find(name) for name in names]
        with self._lock:
            for one in watched:
                one.wanted = False
        stoppers = [threading.Thread(target=one.member.stop) for one in watched]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()

    def kill(self, name: str, *, stay_dead: bool = False) -> None:
        """End a member as `kill -9` of its session does; it comes back unless it is to stay dead."""
        watched = self._find(name)
        with self._lock:
            child = watched.member.child
            watched.member.kill()
            watched.wanted = watched.wanted and not stay_dead
            if watched.wanted:
                watched.member.child = child

    def pid(self, name: str) -> int | None:
        """Return the process id of a running member."""
        child = self._find(name).member.child
        return child.pid if child is not None and child.poll() is None else None

    def crashes(self, name: str) -> int:
        """Return how often in a row a member has died soon after it was started."""
        return self._find(name).crashes if name in self else 0

    def close(self) -> None:
        """End the watching; every member has been stopped before."""
        self._over.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._nursery is not None:
            self._nursery.shutdown()

    def _find(self, name: str) -> _Watched:
        try:
            return self._members[name]
        except KeyError:
            raise StackError(f"this stack has no process {name!r}; it has {', '.join(self._members)}") from None

    def _begin_to_watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
            self._watcher.start()

    def _start(self, watched: _Watched) -> None:
        self.in_nursery(watched.member.start)
        watched.started_at = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_SECONDS):
            for name, watched in list(self._members.items()):
                with self._lock:
                    if watched.wanted and not self._given_up:
                        self._look_after(name, watched)

    def _look_after(self, name: str, watched: _Watched) -> None:
        now = time.monotonic()
        child = watched.member.child
        if child is not None and child.poll() is None:
            return
        if watched.again_at == 0.0:
            watched.crashes = 1 if now - watched.started_at > STABLE_AFTER_SECONDS else watched.crashes + 1
            if watched.crashes > len(PAUSES_SECONDS):
                self._given_up = name
                return
            watched.again_at = now + PAUSES_SECONDS[watched.crashes - 1]
            logger.warning("%s ended (%s), starting it again", name, child.returncode if child else "gone")
        if now >= watched.again_at:
            watched.again_at = 0.0
            with contextlib.suppress(StackError):  # counted as another crash at the next look
                watched.member.kill()  # whatever the dead process left behind in its session
                self._start(watched)


def wait_for(conditions: dict[str, Callable[[], bool]], supervisor: Supervisor, timeout_seconds: float) -> str:
    """Wait until every condition holds; return the name of one that does not, or an empty string."""
    until = time.monotonic() + timeout_seconds
    waiting = dict(conditions)
    while waiting and time.monotonic() < until and not supervisor.given_up:
        for name in waiting:
            if supervisor.crashes(name) >= CRASHES_BEFORE_FIRST_ANSWER:
                return name
        for name, holds in list(waiting.items()):
            if holds():
                del waiting[name]
        if waiting:
            time.sleep(0.05)
    return supervisor.given_up or next(iter(waiting), "")
