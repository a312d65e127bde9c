"""The whole stack: it answers, heals, tells its addresses, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import requests

from config.local_stack.home import ROOT, Home, StackError
from config.local_stack.processes import Patience
from config.local_stack.programs import CELERY, Program
from config.local_stack.stack import LocalStack, running_state
from config.local_stack.supervisor import Supervisor
from tests.stacks import clean_environment, throwaway_home, throwaway_stack

PATIENCE_SECONDS = 40


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with throwaway_stack() as running:
        yield running


@pytest.mark.slow
def test_every_address_answers(stack: LocalStack) -> None:
    assert requests.get(stack.addresses["web"] + "/healthz", timeout=10).status_code == 200
    assert requests.get(stack.addresses["docs"], timeout=10).status_code == 200
    assert "csrf" in requests.get(stack.addresses["admin"], timeout=10).text
    assert requests.get(stack.addresses["sandbox_psp"] + "/_sandbox/health", timeout=10).status_code == 200
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("florin_app",)
    assert "DATABASE_OWNER_URL" not in stack.environment


@pytest.mark.slow
@pytest.mark.parametrize("name", ["worker", "web", "sweeper", "beat", "sandbox", "postgres", "valkey"])
def test_a_killed_process_comes_back(stack: LocalStack, name: str) -> None:
    if not stack.celery and name in CELERY:
        pytest.skip("this run's stacks have no Celery")
    before = stack.supervisor.pid(name)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    patience = Patience(PATIENCE_SECONDS)
    while patience.lasts() and stack.supervisor.pid(name) in (None, before):
        pass
    assert stack.supervisor.pid(name) not in (None, before)
    stack.wait_until_ready()
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        assert client.ping()


@pytest.mark.slow
def test_a_stopped_process_stays_stopped_until_it_is_started(stack: LocalStack) -> None:
    stack.supervisor.stop(["sweeper"])
    assert stack.supervisor.pid("sweeper") is None
    stack.start_processes(["sweeper"])
    assert stack.supervisor.pid("sweeper") is not None


@pytest.mark.slow
def test_a_command_attaches_to_the_running_stack(stack: LocalStack) -> None:
    environment = clean_environment() | {"FLORIN_HOME": str(stack.home.directory)}
    status = manage("status", "--json", environment=environment)
    assert json.loads(status.stdout) == {"running": True, **stack.addresses}
    code = "from django.db import connection as c; print(*c.cursor().execute('SELECT current_user'))"
    done = manage("shell", "-v0", "-c", code, environment=environment)
    assert done.stdout == "('florin_app',)\n", done.stderr
    second = manage("up", environment=environment)
    assert second.returncode == 1
    assert stack.addresses["web"] in second.stderr


def manage(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_a_command_has_servers_for_as_long_as_it_takes() -> None:
    with throwaway_home(migrated=True) as home:
        environment = clean_environment() | {"FLORIN_HOME": str(home.directory)}
        code = "from django.db import connection as c; print(*c.cursor().execute('SELECT current_user'))"
        for _ in range(2):
            done = manage("shell", "-v0", "-c", code, environment=environment)
            assert done.stdout == "('florin_app',)\n", done.stderr
            assert not (home.directory / "postgres/postmaster.pid").exists()


def test_a_stack_comes_back_to_its_ports() -> None:
    with throwaway_home(migrated=True) as home:
        seen = []
        for _ in range(2):
            stack = LocalStack(home, given=clean_environment(), only=(), durable=False, preferred_ports={})
            with stack:
                seen.append(stack.addresses)
        assert seen[0] == seen[1]


def test_status_says_when_nothing_runs() -> None:
    with throwaway_home() as home:
        home.make()
        home.state_file.write_text(json.dumps({"running": True, "pid": os.getpid(), "pid_started": 1.0}))
        done = manage("status", "--json", environment=clean_environment() | {"FLORIN_HOME": str(home.directory)})
        nothing = {"running": False, "web": None, "admin": None, "sandbox_psp": None, "docs": None}
        assert (done.returncode, json.loads(done.stdout)) == (1, nothing)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_up_leaves_nothing_behind(ending: signal.Signals) -> None:
    with throwaway_home(migrated=True) as home:
        environment = clean_environment() | {"FLORIN_HOME": str(home.directory)}
        up = subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "up", "--without-celery", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with up:
            try:
                assert up.stdout is not None
                addresses = json.loads(up.stdout.readline() or "null")
                assert addresses is not None, up.stderr.read() if up.stderr else ""
                assert requests.get(addresses["web"] + "/healthz", timeout=10).status_code == 200
                children = psutil.Process(up.pid).children(recursive=True)
                assert len(children) >= 6
                up.send_signal(ending)
                up.communicate(timeout=PATIENCE_SECONDS)
            finally:
                up.kill()
        assert up.returncode == (-9 if ending == signal.SIGKILL else 0)
        _, alive = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
        assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
        assert running_state(home) is None


def test_a_crash_loop_is_reported_and_not_hidden(tmp_path: Path) -> None:
    supervisor = Supervisor()
    program = Program("loop", ["sh", "-c", "exit 3"], dict(os.environ), tmp_path / "log", lambda _: False)
    supervisor.add("loop", program)
    supervisor.start(["loop"])
    patience = Patience(10)
    while patience.lasts() and supervisor.crashes("loop") < 3:
        pass
    supervisor.stop(["loop"])
    supervisor.close()
    assert supervisor.crashes("loop") >= 3


def test_a_start_that_fails_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    with throwaway_home(migrated=True) as home:
        stack = LocalStack(home, given=clean_environment(), only=("web",), durable=False, preferred_ports={})
        monkeypatch.setattr(LocalStack, "start_processes", _refuse)
        with pytest.raises(StackError, match="on purpose"):
            stack.start()
        assert not (home.directory / "postgres/postmaster.pid").exists()
        assert not Home(home.directory).state_file.exists()


def _refuse(_stack: LocalStack, _names: list[str]) -> None:
    raise StackError("on purpose")
