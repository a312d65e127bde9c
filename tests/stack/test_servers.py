"""The embedded servers: who owns them, what a crash leaves behind, and which role may do what."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config.local_stack import processes
from config.local_stack.home import ROOT, Home, StackError, pick_port
from config.local_stack.postgres import NOBODY, EmbeddedPostgres, _sheltered
from config.local_stack.servers import Claim, Servers
from tests.conftest import OutsideTheMachineError
from tests.stacks import throwaway_home

OWNER = """\
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from config.local_stack.home import Home
from config.local_stack.postgres import NOBODY, EmbeddedPostgres, _sheltered
from config.local_stack.servers import Claim, Servers
home = Home(Path(sys.argv[2]))
claim = Claim(home)
assert claim.own()
servers = Servers(home, given={}, durable=False)
servers.start()
print(servers.postgres.child.pid, servers.valkey.child.pid, flush=True)
time.sleep(60)
"""


def test_data_survives_a_kill_of_everything() -> None:
    with throwaway_home() as home:
        servers = Servers(home, given={}, durable=False)
        for turn in range(3):
            servers.start()
            assert servers.postgres is not None
            assert servers.valkey is not None
            with psycopg.connect(home.postgres_url("florin_owner")) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS public.seen (turn int)")
                connection.execute("INSERT INTO public.seen VALUES (%s)", [turn])
            with psycopg.connect(home.postgres_url("florin_app")) as connection:
                rows = connection.execute("SELECT turn FROM public.seen ORDER BY 1").fetchall()
            assert rows == [(number,) for number in range(turn + 1)]
            with redis.Redis.from_url(home.valkey_url()) as client:
                assert client.ping()
            servers.postgres.kill()
            servers.valkey.kill()


def test_servers_die_with_a_killed_owner_and_start_again() -> None:
    with throwaway_home() as home:
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(ROOT), str(home.directory)], stdout=subprocess.PIPE, text=True
        )
        with owner:
            assert owner.stdout is not None
            pids = [int(pid) for pid in owner.stdout.readline().split()]
            assert not Claim(home).own()
            owner.kill()
        patience = processes.Patience(10)
        while patience.lasts() and any(_runs(pid) for pid in pids):
            pass
        assert not any(_runs(pid) for pid in pids)
        assert Claim(home).own()
        servers = Servers(home, given={}, durable=False)
        servers.start()
        servers.stop()


def test_a_lock_file_with_the_number_of_another_program_is_no_obstacle() -> None:
    with throwaway_home() as home:
        servers = Servers(home, given={}, durable=False)
        servers.start()
        assert servers.postgres is not None
        servers.postgres.kill()
        lock = servers.postgres.data / "postmaster.pid"
        lock.write_text("\n".join([str(os.getpid()), *lock.read_text().split("\n")[1:]]))
        servers.start()
        servers.stop()


def test_unreadable_broker_data_is_moved_aside() -> None:
    with throwaway_home() as home:
        servers = Servers(home, given={"DATABASE_URL": "postgresql://elsewhere/florin"})
        assert servers.postgres is None
        assert servers.valkey is not None
        manifest = servers.valkey.data / "appendonlydir/appendonly.aof.manifest"
        manifest.parent.mkdir(parents=True)
        manifest.write_text("nonsense\n")
        servers.start()
        servers.stop()
        assert list(home.directory.glob("valkey.unreadable-*"))


def test_given_servers_are_used_and_not_started() -> None:
    with throwaway_home() as home:
        given = {"DATABASE_URL": "postgresql://elsewhere/florin", "REDIS_URL": "redis://elsewhere/0"}
        servers = Servers(home, given=given)
        assert (servers.postgres, servers.valkey) == (None, None)
        made = home.environment(given)
        assert not {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"} & set(made)


def test_secrets_are_private_and_made_once() -> None:
    with throwaway_home() as home:
        first = home.environment({})
        assert (home.directory / "secrets.json").stat().st_mode & 0o777 == 0o600
        assert home.environment({}) == first
        assert "FLORIN_FIELD_KEY" not in home.environment({"FLORIN_FIELD_KEY": "mine"})


def test_a_home_from_before_gets_the_secrets_that_it_lacks() -> None:
    with throwaway_home() as home:
        home.make()
        path = home.directory / "secrets.json"
        path.write_text(json.dumps({"FLORIN_SECRET_KEY": "kept", "FLORIN_FIELD_KEY": "kept too"}))
        first = home.environment({})
        assert (first["FLORIN_SECRET_KEY"], first["FLORIN_FIELD_KEY"]) == ("kept", "kept too")
        assert len(base64.b64decode(first["FLORIN_SEAL_KEY"])) == 32
        assert path.stat().st_mode & 0o777 == 0o600
        assert home.environment({}) == first


@pytest.mark.parametrize("name", ["long" * 30, "with space", "ünicode", "per%cent"])
def test_an_unusual_path_gets_a_short_socket_directory(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / name)
    home.make()
    path = home.make_run_directory()
    assert not path.is_relative_to(home.directory)
    assert len(os.fsencode(path)) <= 85
    assert path.stat().st_mode & 0o777 == 0o700
    path.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_without_namespaces_root_becomes_nobody_and_stays_with_that_data(monkeypatch: pytest.MonkeyPatch) -> None:
    with throwaway_home() as home:
        server = EmbeddedPostgres(home.directory / "postgres", home.make_run_directory(), home.logs / "postgres.log")
        try:
            for allowed in (False, True):
                monkeypatch.setattr("config.local_stack.postgres._namespaces_allowed", lambda answer=allowed: answer)
                server.start()
                server.prepare("florin")
                assert server.child is not None
                assert psutil.Process(server.child.pid).uids().effective == NOBODY
                with psycopg.connect(home.postgres_url("florin_app")) as connection:
                    assert connection.execute("SELECT current_user").fetchone() == ("florin_app",)
                server.kill()
        finally:
            server.kill()
            for directory in (server.data, server.sockets):
                shutil.rmtree(_sheltered(directory))


def test_a_taken_port_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert pick_port(port) != port
    assert pick_port(port) == port
    assert pick_port(0, port) == port
    assert pick_port(port, taken={port}) != port


def test_only_one_process_owns_the_servers() -> None:
    with throwaway_home() as home:
        first, second = Claim(home), Claim(home)
        assert first.own()
        assert not second.own()
        first.release()
        assert second.own_or_attach()
        second.release()


def test_an_unwritable_home_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="FLORIN_HOME"):
        Home(tmp_path / "file" / "home").make()


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com"])
def test_a_test_reaches_nothing_outside_the_machine(host: str) -> None:
    with pytest.raises(OutsideTheMachineError):
        socket.create_connection((host, 80), timeout=1)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_process_is_recognised_by_more_than_its_number() -> None:
    me = processes.Identity.of(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert not processes.Identity(me.pid, me.started - 100).is_alive()


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = processes.start(["sh", "-c", "trap '' TERM; echo ready; sleep 60"], log=log)
    patience = processes.Patience(10)
    while patience.lasts() and not log.read_text():
        pass
    processes.stop(child, timeout_seconds=0.3)
    assert child.returncode == -signal.SIGKILL
