"""What the fixtures promise about the database of a test."""

import psycopg
import pytest
from django.db import connection, connections

from tests.database import Clone


def test_the_default_connection_is_the_runtime_role(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        user, name = cursor.fetchone()
    assert user == "florin_app"
    assert name.startswith("florin_")


@pytest.mark.django_db(databases=["default", "owner"])
def test_the_owner_connection_owns_the_schema() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT current_user, pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public'")
        assert cursor.fetchone() == ("florin_owner", "florin_owner")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "TRUNCATE django_migrations",
        "ALTER TABLE django_migrations ADD COLUMN mine int",
        "CREATE ROLE mine",
        "SET ROLE florin_owner",
        "CREATE TEMPORARY TABLE mine (id int)",
    ],
)
def test_the_runtime_role_cannot_change_the_schema(clone: Clone, statement: str) -> None:
    with psycopg.connect(clone.app_url) as mine, pytest.raises(psycopg.errors.InsufficientPrivilege):
        mine.execute(statement)


def test_what_a_test_commits_is_gone_afterwards(committed_db: Clone, superuser: psycopg.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('k', '', now())")
    assert superuser.execute("SELECT count(*) FROM django_session").fetchone() == (1,)
    seeded = superuser.execute("SELECT count(*) FROM django_migrations").fetchone()
    committed_db.empty()
    assert superuser.execute("SELECT count(*) FROM django_session").fetchone() == (0,)
    assert superuser.execute("SELECT count(*) FROM django_migrations").fetchone() == seeded
