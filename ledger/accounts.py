"""Accounts by code: finds them, opens the missing ones, remembers the ids of those that are committed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection, transaction

from ledger.models import AccountType, PostingMode
from ledger.posting import refusal

# Ids of accounts never change, so they may be remembered; the limit keeps a long-lived process small.
_MEMORY_LIMIT = 200_000
_ids: dict[tuple[int, str], int] = {}


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """What an account is. `floor` in minor units; `None` means no limit."""

    book_id: int
    code: str
    type: AccountType
    currency: str
    mode: PostingMode
    floor: int | None = None


def resolve(specs: Iterable[AccountSpec]) -> dict[tuple[int, str], int]:
    """Return the account id of each (book, code), opening accounts that do not exist yet.

    At most one statement, none when every account is remembered. Safe under concurrency: two callers that
    open the same account get the same id. Raises `PostingRefused` when an account exists as something else.
    """
    wanted = {(spec.book_id, spec.code): spec for spec in specs}
    found = {key: _ids[key] for key in wanted if key in _ids}
    missing = [spec for key, spec in wanted.items() if key not in found]
    if missing:
        opened = _open(missing)
        found.update(opened)
        transaction.on_commit(lambda: _remember(opened))
    return found


def _open(specs: list[AccountSpec]) -> dict[tuple[int, str], int]:
    specs = sorted(specs, key=lambda spec: (spec.book_id, spec.code))
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT account_id FROM ledger_open_accounts("
                "%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]) ORDER BY ord",
                [
                    [spec.book_id for spec in specs],
                    [spec.code for spec in specs],
                    [str(spec.type) for spec in specs],
                    [spec.currency for spec in specs],
                    [str(spec.mode) for spec in specs],
                    [spec.floor for spec in specs],
                ],
            )
            rows = cursor.fetchall()
    except DatabaseError as error:
        raise refusal(error) from error
    return {(spec.book_id, spec.code): row[0] for spec, row in zip(specs, rows, strict=True)}


def close(account_id: int, *, now: datetime) -> None:
    """Let an account take no more postings; idempotent. Raises `AccountNotEmpty` while an authorizing one holds money.

    Waits for a posting that holds the balance row of the account.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ledger_close_account(%s, %s)", [account_id, now])
    except DatabaseError as error:
        raise refusal(error) from error


def _remember(opened: dict[tuple[int, str], int]) -> None:
    if len(_ids) + len(opened) > _MEMORY_LIMIT:
        _ids.clear()
    _ids.update(opened)


def is_known(spec: AccountSpec) -> bool:
    """Say whether this process has seen the account committed (no statement)."""
    return (spec.book_id, spec.code) in _ids


def forget() -> None:
    """Drop every remembered id (a database was replaced under a running process: tests, restores)."""
    _ids.clear()
