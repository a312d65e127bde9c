"""Everything together: servers, schema and processes of one home, as one thing that starts and stops.

`up` and `demo` run one in the foreground; tests run others beside it, kill parts of them and look. The
addresses are in `stack.json` of the home while it runs. It must never be used in a deployment, where a
process manager does this.
"""

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from config.local_stack import processes
from config.local_stack.home import Home, StackError, pick_port, read_json, write_json
from config.local_stack.postgres import EmbeddedPostgres
from config.local_stack.programs import CELERY, NAMES, PREFERRED_PORTS, Program, programs
from config.local_stack.servers import Claim, Servers
from config.local_stack.supervisor import Supervisor, wait_for
from config.local_stack.valkey import EmbeddedValkey

READY_SECONDS = 90.0
OTHERS_SECONDS = 120.0
NOT_FOR_REQUESTS = ("DATABASE_OWNER_URL",)


def _silent(_text: str) -> None:
    """Say nothing."""


@dataclass(slots=True)
class LocalStack:
    """One stack. Use it as a context manager, or call `start` and `stop`.

    `given` is the environment to build on: with DATABASE_URL or REDIS_URL in it those servers are used and
    not started. `only` limits the processes; `celery=False` leaves out worker and beat and switches the
    doorbells off. `preferred_ports` of 0 take any free port. `durable=False` is for throw-away data.
    """

    home: Home
    given: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    only: Collection[str] = NAMES
    celery: bool = True
    durable: bool = True
    preferred_ports: Mapping[str, int] = field(default_factory=lambda: dict(PREFERRED_PORTS))
    say: Callable[[str], None] = _silent
    addresses: dict[str, str] = field(default_factory=dict, init=False)
    environment: dict[str, str] = field(default_factory=dict, init=False)
    servers: Servers = field(init=False)
    supervisor: Supervisor = field(default_factory=Supervisor, init=False)
    _claim: Claim = field(init=False)
    _programs: dict[str, Program] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.servers = Servers(self.home, given=self.given, durable=self.durable)
        self._claim = Claim(self.home)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def names(self) -> list[str]:
        """Names of the processes of this stack, in the order in which they start."""
        return [name for name in NAMES if name in self.only and (self.celery or name not in CELERY)]

    def start(self) -> None:
        """Start everything and return when every process answers; on any failure nothing is left running."""
        self._own()
        try:
            self._prepare()
            self.say("starting the databases")
            self.supervisor.in_nursery(self.servers.start)
            for name, server in self._own_servers().items():
                self.supervisor.add(name, server)
                self.supervisor.adopt(name)
            self.say("checking the schema")
            if self.servers.migrate({**self.environment, **self._owner()}):
                self.say("schema brought up to date")
            self.say(f"starting {', '.join(self.names)}")
            for name in self.names:
                self.supervisor.add(name, self._programs[name])
            self.start_processes(self.names)
            self._write_state()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in reverse order, within deadlines; harmless when nothing runs."""
        self.home.state_file.unlink(missing_ok=True)
        running = [name for name in reversed(self.names) if name in self.supervisor]
        self.supervisor.stop([name for name in running if name != "sandbox"])
        self.supervisor.stop([name for name in running if name == "sandbox"])
        self.supervisor.stop([name for name in ("valkey",) if name in self.supervisor])
        self.supervisor.stop([name for name in ("postgres",) if name in self.supervisor])
        self.servers.stop()
        self.supervisor.close()
        self._claim.release()

    def start_processes(self, names: Collection[str], timeout_seconds: float = READY_SECONDS) -> None:
        """Start processes of this stack and wait until they answer."""
        self.supervisor.start(names)
        self.wait_until_ready(names, timeout_seconds)

    def wait_until_ready(self, names: Collection[str] = (), timeout_seconds: float = READY_SECONDS) -> None:
        """Return when the named processes (default: all that there are, the servers too) answer."""
        ready = {name: program.is_ready for name, program in self._programs.items()}
        for name, server in self._own_servers().items():
            ready[name] = server.is_ready
        waiting = {name: ready[name] for name in names or (*self._own_servers(), *self.names)}
        missing = wait_for(waiting, self.supervisor, timeout_seconds)
        if missing:
            raise StackError(f"{missing} does not answer; the end of {self.log_of(missing)}")

    def log_of(self, name: str) -> str:
        """Return where a process writes, and the last lines of it."""
        path = self.home.logs / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines()[-12:] if path.exists() else []
        return "\n".join([f"{path}:", *lines])

    def _own_servers(self) -> dict[str, EmbeddedPostgres | EmbeddedValkey]:
        servers = {"postgres": self.servers.postgres, "valkey": self.servers.valkey}
        return {name: server for name, server in servers.items() if server is not None}

    def _own(self) -> None:
        if self._claim.own():
            return
        if state := running_state(self.home):
            raise StackError(f"it runs already: {state['web']} (process {state['pid']})")
        self.say("waiting for a command that uses the databases")
        if not self._claim.own(timeout_seconds=OTHERS_SECONDS):
            raise StackError(f"another process holds the databases of {self.home.directory}")

    def _prepare(self) -> None:
        taken: set[int] = set()
        ports: dict[str, int] = {}
        remembered = read_json(self.home.ports_file) or {}
        for name in PREFERRED_PORTS:
            ports[name] = pick_port(remembered.get(name, 0), self.preferred_ports.get(name, 0), taken=taken)
            taken.add(ports[name])
        write_json(self.home.ports_file, ports)
        base = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.addresses = {
            "web": base["web"],
            "admin": f"{base['office']}/admin/",
            "sandbox_psp": base["sandbox"],
            "docs": f"{base['web']}/api/docs/",
        }
        self.environment = {
            "PUBLIC_URL": base["web"],
            **self.given,
            **self.home.environment(self.given),
            "SANDBOX_PSP_URL": base["sandbox"],
            "FLORIN_STACK": "1",
            "PYTHONUNBUFFERED": "1",
            "FLORIN_DOORBELLS": "on" if self.celery else "off",
        }
        for name in NOT_FOR_REQUESTS:
            self.environment.pop(name, None)
        self._programs = programs(self.home, self.environment, ports)

    def _owner(self) -> dict[str, str]:
        """Return what only migrations get: the address of the database for its owner."""
        variables = {**self.given, **self.home.environment(self.given)}
        return {name: variables[name] for name in NOT_FOR_REQUESTS if name in variables}

    def _write_state(self) -> None:
        me = processes.Identity.of(os.getpid())
        assert me is not None, "this process lives"
        write_json(
            self.home.state_file,
            {
                "running": True,
                "pid": me.pid,
                "pid_started": me.started,
                "started_at": int(time.time()),
                **self.addresses,
                "processes": {name: self.supervisor.pid(name) for name in self.names},
                "logs": str(self.home.logs),
            },
        )


def running_state(home: Home) -> dict[str, Any] | None:
    """Return what `stack.json` says if the process that wrote it still runs."""
    state = read_json(home.state_file)
    if state is None:
        return None
    writer = processes.Identity(int(state.get("pid", 0)), float(state.get("pid_started", 0)))
    return state if writer.is_alive() else None
