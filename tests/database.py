"""A clone of the migrated template database for one test process, and how to empty it again.

Django's own way (TRUNCATE by the connection under test) is closed on purpose: the runtime role may not
truncate, and the ledger's triggers refuse it. Cleaning is therefore the superuser's work, with triggers off,
outside Django.
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql

from config.local_stack.home import DATABASE


@dataclass
class Clone:
    """One database made from the template."""

    name: str

    @property
    def superuser_url(self) -> str:
        """Address of this database for the superuser."""
        return self._url("postgres")

    @property
    def app_url(self) -> str:
        """Address of this database for the runtime role."""
        return self._url("florin_app")

    @property
    def owner_url(self) -> str:
        """Address of this database for the owner of the schema."""
        return self._url("florin_owner")

    def _url(self, role: str) -> str:
        scheme, rest = os.environ["FLORIN_TEST_SUPERUSER_URL"].split("://", 1)
        host = rest.split("?", 1)[1]
        return f"{scheme}://{role}@/{self.name}?{host}"

    def create(self) -> None:
        """Clone the template; point Django's connections and the environment of children at the clone."""
        name, template = sql.Identifier(self.name), sql.Identifier(DATABASE)
        with psycopg.connect(os.environ["FLORIN_TEST_SUPERUSER_URL"], autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER florin_owner").format(name, template))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO florin_app").format(name))
        assert self.seeded is not None
        for alias in settings.DATABASES:
            connections[alias].settings_dict["NAME"] = self.name
        os.environ["DATABASE_URL"] = self.app_url
        os.environ["DATABASE_OWNER_URL"] = self.owner_url

    def leave(self) -> None:
        """Close our connections; the next run drops the clone, which costs a checkpoint while it is being written."""
        connections.close_all()
        if "superuser" in self.__dict__:
            self.superuser.close()

    @cached_property
    def superuser(self) -> psycopg.Connection:
        """A superuser's connection that stays open, autocommit: for what thousands of tests do around themselves."""
        return psycopg.connect(self.superuser_url, autocommit=True)

    def pass_time(self, by: timedelta) -> None:
        """Move the clock of due rows and leases forward, for every session."""
        self.superuser.execute("UPDATE payments_clockshift SET shift = shift + %s", [by])

    def reset_time(self) -> None:
        """Put the clock of due rows and leases back to now."""
        self.superuser.execute("UPDATE payments_clockshift SET shift = '0'")

    @cached_property
    def seeded(self) -> frozenset[str]:
        """Tables that the migrations fill: reference data, kept by `empty`."""
        with psycopg.connect(self.superuser_url) as connection:
            return frozenset(_filled_tables(connection))

    def empty(self) -> None:
        """Delete what a test committed: every row of all but the seeded tables; end stray sessions first."""
        connections.close_all()
        connection = self.superuser
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '10s'")
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
                " AND backend_type = 'client backend'"
            )
            for table in _filled_tables(connection):
                if table not in self.seeded:
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("public", table)))


def _filled_tables(connection: psycopg.Connection) -> list[str]:
    names = [
        row[0]
        for row in connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
        )
    ]
    if not names:
        return []
    probes = [
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(sql.Literal(name), sql.Identifier("public", name))
        for name in names
    ]
    return [row[0] for row in connection.execute(sql.SQL(" UNION ALL ").join(probes))]
