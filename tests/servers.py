"""Servers of the test run's own: started before Django is configured, stopped after the last test.

A pytest plugin and not a fixture, because the settings are read from the environment before any fixture runs.
The process that was started (not the workers of pytest-xdist) owns a PostgreSQL and a Valkey under
`<home>/test`, beside and independent of a running stack; the database `florin` there is the migrated template
that every worker clones. DATABASE_URL and REDIS_URL of the caller are never used: a test must not be able to
reach them.
"""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from config.local_stack.home import DATABASE, Home, StackError
from config.local_stack.servers import Claim, Servers, schema_digest
from config.local_stack.session import export

MARK = "FLORIN_TEST_SERVERS"
HOMES = 8  # so many test runs at once in one checkout
OURS = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "FLORIN_SECRET_KEY",
    "FLORIN_FIELD_KEY",
    "FLORIN_SEAL_KEY",
    "SANDBOX_PSP_URL",
)

_running: list[tuple[Servers, Claim]] = []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """Start the servers and set the environment before pytest-django imports the settings."""
    if MARK not in os.environ:
        try:
            _start()
        except StackError as error:
            raise pytest.UsageError(str(error)) from error
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop what this process started."""
    while _running:
        servers, claim = _running.pop()
        servers.stop()
        claim.release()


def _start() -> None:
    outer = Home.from_environment()
    for number in range(1, HOMES + 1):
        home = Home(outer.directory / ("test" if number == 1 else f"test{number}"))
        claim = Claim(home)
        if claim.own():
            break
    else:
        raise StackError(f"{HOMES} test runs are active in {outer.directory} already")
    servers = Servers(home, given={}, durable=False)
    _running.append((servers, claim))
    for name in OURS:
        os.environ.pop(name, None)
    export({**home.environment({}), MARK: "1", "FLORIN_STACK": "1"})
    try:
        servers.start()
    except StackError:  # written without fsync: a crash of the machine may have spoilt it
        servers.stop()
        shutil.rmtree(home.directory / "postgres", ignore_errors=True)
        servers.start()
    assert servers.postgres is not None
    _make_template(servers, servers.postgres.superuser_url())
    _take_snapshot(servers, home.directory / "snapshot")
    os.environ["FLORIN_TEST_SUPERUSER_URL"] = servers.postgres.superuser_url()
    export({"FLORIN_HOME": str(_clean(home.directory / "files"))})


def _make_template(servers: Servers, superuser_url: str) -> None:
    """Migrate from nothing whenever the code has changed; drop the clones of earlier runs."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"
            " WHERE datname LIKE %s",
            [DATABASE + "%"],
        ).fetchall()
        for name, comment in rows:
            if name != DATABASE or comment != f"schema {schema_digest()}":
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    assert servers.postgres is not None
    servers.postgres.prepare(DATABASE)
    servers.migrate(os.environ)


def _take_snapshot(servers: Servers, snapshot: Path) -> None:
    """Keep a copy of the migrated data for stacks that tests start on their own."""
    mark = snapshot / "schema"
    os.environ["FLORIN_TEST_SNAPSHOT"] = str(snapshot / "postgres")
    if mark.exists() and mark.read_text() == schema_digest():
        return
    assert servers.postgres is not None
    servers.postgres.stop()
    _clean(snapshot)
    if servers.postgres.data.exists():  # not where the server has to run as another user
        shutil.copytree(servers.postgres.data, snapshot / "postgres")
    mark.write_text(schema_digest())
    servers.postgres.start()


def _clean(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
