"""Scratch databases: a clone of the migrated template for each seed, on a server of the run's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from benchmarks.ledger.server import Server, started
from config.local_stack.home import DATABASE

HOME = "bench-reconciliation"


@contextmanager
def server(*, throwaway: bool = False) -> Iterator[Server]:
    """Run a server and prepare this process for Django on it. Call it before anything of Django is imported."""
    with started(HOME if throwaway else f"{HOME}-score", throwaway=throwaway) as running:
        os.environ.update(running.environment)
        os.environ["FLORIN_DOORBELLS"] = "off"
        os.environ.setdefault("FLORIN_LOG_LEVEL", "CRITICAL")
        import django

        django.setup()
        yield running


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server of the run is, for processes that did not start it."""

    socket: str

    def url(self, database: str) -> str:
        """Return the superuser's address of a database."""
        return f"postgresql://postgres@/{database}?host={self.socket}"

    def connect(self) -> psycopg.Connection:
        """Connect as the superuser, beside all scratch databases."""
        return psycopg.connect(self.url("postgres"), autocommit=True)


@contextmanager
def database(running: Address, name: str) -> Iterator[str]:
    """Clone the template, point Django at the clone, and give the superuser's address of it; it is dropped again."""
    from django.conf import settings
    from django.db import connections

    words = {"name": sql.Identifier(name), "template": sql.Identifier(DATABASE)}
    connections.close_all()
    with running.connect() as superuser:
        superuser.execute(sql.SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)").format(**words))
        superuser.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} OWNER florin_owner").format(**words))
        superuser.execute(sql.SQL("GRANT CONNECT ON DATABASE {name} TO florin_app").format(**words))
    for alias in settings.DATABASES:
        connections[alias].settings_dict["NAME"] = name
    try:
        yield running.url(name)
    finally:
        connections.close_all()
        if not os.environ.get("FLORIN_SCORE_KEEP"):
            with running.connect() as superuser:
                superuser.execute(sql.SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)").format(**words))
