"""The accounts of the caller's book: lists by prefix, balances at any instant, statements.

Every look-up starts from the caller's book, so a code of another book is as unknown as one that never existed.
"""

from __future__ import annotations

from typing import ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger import balances, statements
from ledger.ids import parse_public_id
from ledger.models import LEGS, Account, Entry, Transaction
from payments.api import documentation, ledger_objects, ledger_queries, pagination, payment_lookup
from payments.api.authentication import caller_of
from payments.api.bodies import Page, invalid
from payments.api.requests import query_of
from payments.api.resource import Resource
from payments.representations import Object

READ: Final = "ledger:read"
_LEG_BYTES: Final = 2


class LedgerAccounts(Resource):
    """`/ledger/accounts`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_LEDGER_ACCOUNTS)
    def get(self, request: Request) -> Response:
        """List accounts by code, each with its balance now."""
        query = query_of(request, ledger_queries.AccountsPage)
        shown, cursor = page_of(caller_of(request).book_id, query.prefix, query)
        return Response({"data": _shown(shown), "next_cursor": cursor})


class LedgerAccount(Resource):
    """`/ledger/accounts/{code}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_LEDGER_ACCOUNT)
    def get(self, request: Request, code: str) -> Response:
        """Read an account, by code or id, with its balance now."""
        return Response(_shown([found(caller_of(request).book_id, code)])[0])


class LedgerAccountBalance(Resource):
    """`/ledger/accounts/{code}/balance`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_LEDGER_BALANCE)
    def get(self, request: Request, code: str) -> Response:
        """Read what an account held at an instant: of what was posted, or of what is effective until then."""
        query, now = query_of(request, ledger_queries.BalanceQuery), seam.now()
        row = found(caller_of(request).book_id, code)
        if query.at is None and query.basis == "posted":
            minor = balances.of_accounts([row.pk])[row.pk].balance
        else:
            minor = balances.at(row.pk, at=query.at or now, basis=query.basis)
        return Response(ledger_objects.balance(row, minor, at=query.at or now, basis=query.basis))


class LedgerAccountEntries(Resource):
    """`/ledger/accounts/{code}/entries`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_LEDGER_ENTRIES)
    def get(self, request: Request, code: str) -> Response:
        """List the entries of an account, each with the balance after it."""
        query = query_of(request, ledger_queries.EntriesPage)
        if errors := query.errors():
            raise invalid(errors)
        row = found(caller_of(request).book_id, code)
        place = _entry_of(query.cursor, row) if query.cursor is not None else None
        newest = query.order == "newest"
        read = statements.statement(
            row,
            before=place if newest else None,
            after=None if newest else place or 0,
            since=query.from_,
            until=query.to,
            basis=query.basis,
            limit=query.limit,
        )
        lines = read.lines[::-1] if newest else read.lines
        more = (read.older if newest else read.newer) is not None
        cursor = _cursor_of(lines[-1]) if more and lines else None
        return Response({"data": [ledger_objects.entry(line, row) for line in lines], "next_cursor": cursor})


def page_of(book_id: int, prefix: str | None, query: Page) -> tuple[list[Account], str | None]:
    """Return a page of a book's accounts by code, and the cursor to go on with. Raises `Invalid` for a wrong one."""
    scope = Account.objects.filter(book_id=book_id)
    # Uses index: account_code_is_unique_in_its_book; codes compare byte by byte.
    rows = scope.order_by("code")
    if prefix is not None:
        rows = rows.filter(code__gte=prefix)
        end = _after_all_with(prefix)
        rows = rows.filter(code__lt=end) if end is not None else rows
    if query.cursor is not None:
        last = scope.filter(public_id=pagination.public_id_in(query.cursor)).first()
        if last is None:
            raise pagination.wrong_cursor()
        rows = rows.filter(code__gt=last.code)
    read = list(rows[: query.limit + 1])
    shown, more = read[: query.limit], len(read) > query.limit
    return shown, pagination.written(shown[-1].public_id.bytes) if more else None


def found(book_id: int, text: str) -> Account:
    """Find an account of a book by its code or its id (one statement). Raises `NotFound`."""
    value = parse_public_id("acc", text)
    rows = Account.objects.filter(book_id=book_id)
    row = None
    if value is not None:
        row = rows.filter(public_id=value).first()
    elif len(text) <= 128 and text.isprintable():
        row = rows.filter(code=text).first()
    if row is None:
        raise payment_lookup.no_such_object()
    return row


def _shown(rows: list[Account]) -> list[Object]:
    read = balances.of_accounts([row.pk for row in rows]) if rows else {}
    return [ledger_objects.account(row, read[row.pk]) for row in rows]


def _after_all_with(prefix: str) -> str | None:
    """Return the first text after all that begin with a prefix; `None` when nothing comes after them."""
    for place in range(len(prefix) - 1, -1, -1):
        number = ord(prefix[place]) + 1
        if number <= 0x10FFFF:
            return prefix[:place] + chr(0xE000 if number == 0xD800 else number)
    return None


def _cursor_of(line: statements.Line) -> str:
    return pagination.written(line.transaction_public_id.bytes + (line.entry_id % LEGS).to_bytes(_LEG_BYTES))


def _entry_of(cursor: str, row: Account) -> int:
    """Return the entry that a cursor names, which must be of this account."""
    raw = pagination.read_back(cursor)
    if len(raw) == 16 + _LEG_BYTES:
        key = pagination.public_id_in(pagination.written(raw[:16]))
        own = Transaction.objects.filter(book_id=row.book_id, public_id=key).values_list("pk", flat=True).first()
        if own is not None:
            entry = own * LEGS + int.from_bytes(raw[16:]) % LEGS
            if Entry.objects.filter(pk=entry, account_id=row.pk).exists():
                return entry
    raise pagination.wrong_cursor()
