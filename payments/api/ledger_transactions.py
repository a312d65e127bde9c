"""The transactions of the caller's book, and its trial balance. What posts is elsewhere."""

from __future__ import annotations

from typing import ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger import journals, trial_balances
from ledger.models import Account, Transaction
from payments.api import documentation, ledger_objects, ledger_queries, pagination, payment_lookup
from payments.api.authentication import caller_of
from payments.api.bodies import invalid
from payments.api.requests import query_of
from payments.api.resource import Resource

READ: Final = "ledger:read"
_BETWEEN: Final = "\x1f"


class LedgerTransactions(Resource):
    """`/ledger/transactions`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_LEDGER_TRANSACTIONS)
    def get(self, request: Request) -> Response:
        """List transactions, newest first."""
        query = query_of(request, ledger_queries.TransactionsPage)
        if errors := query.errors():
            raise invalid(errors)
        book_id = caller_of(request).book_id
        rows = _page(book_id, query)
        shown, more = rows[: query.limit], len(rows) > query.limit
        data = [ledger_objects.transaction(one) for one in journals.with_legs(shown, most=journals.SHOWN_LEGS)]
        cursor = pagination.written(shown[-1].public_id.bytes) if more else None
        return Response({"data": data, "next_cursor": cursor})


class LedgerTransaction(Resource):
    """`/ledger/transactions/{txn_id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_LEDGER_TRANSACTION)
    def get(self, request: Request, transaction_id: str) -> Response:
        """Read a transaction with all its legs."""
        key = payment_lookup.public_uuid("txn", transaction_id)
        row = journals.find(caller_of(request).book_id, public_id=key)
        if row is None:
            raise payment_lookup.no_such_object()
        return Response(ledger_objects.transaction(journals.with_legs([row])[0]))


class TrialBalance(Resource):
    """`/ledger/trial-balance`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_TRIAL_BALANCE)
    def get(self, request: Request) -> Response:
        """Read every control account of the book at an instant, with sums that must be equal."""
        query, now = query_of(request, ledger_queries.TrialBalanceQuery), seam.now()
        at = query.at or now
        rows, sums = trial_balances.of_book(
            caller_of(request).book_id,
            at=at,
            basis=query.basis,
            currency=query.currency,
            after=_key_in(query.cursor) if query.cursor is not None else None,
            limit=query.limit + 1,
        )
        shown, more = rows[: query.limit], len(rows) > query.limit
        cursor = pagination.written(_BETWEEN.join(shown[-1].key).encode()) if more else None
        return Response(ledger_objects.trial_balance(shown, sums, at=at, basis=query.basis, next_cursor=cursor))


def _page(book_id: int, query: ledger_queries.TransactionsPage) -> list[Transaction]:
    """Return the rows of a page and one more."""
    before = None
    if query.cursor is not None:
        before = journals.find(book_id, public_id=pagination.public_id_in(query.cursor))
        if before is None:
            raise pagination.wrong_cursor()
    account_id = None
    if query.account is not None:
        account_id = Account.objects.filter(book_id=book_id, code=query.account).values_list("pk", flat=True).first()
        if account_id is None:
            return []
    if query.reference is not None:
        return _of_reference(book_id, query, account_id)
    return journals.newest(
        book_id,
        **({"kinds": [query.kind]} if query.kind is not None else {}),
        account_id=account_id,
        since=query.from_,
        until=query.to,
        before=before,
        limit=query.limit + 1,
    )


def _of_reference(book_id: int, query: ledger_queries.TransactionsPage, account_id: int | None) -> list[Transaction]:
    """Return the one transaction of a reference, unless something else that was asked for does not fit it."""
    row = journals.find(book_id, reference=query.reference)
    if row is None or query.cursor is not None or query.kind not in (None, row.kind):
        return []
    early = query.from_ is not None and row.posted_at < query.from_
    late = query.to is not None and row.posted_at >= query.to
    touches = account_id is None or journals.touches(row, account_id)
    return [row] if touches and not early and not late else []


def _key_in(cursor: str) -> trial_balances.Key:
    try:
        code, kind, currency = pagination.read_back(cursor).decode().split(_BETWEEN)
    except ValueError:
        raise pagination.wrong_cursor() from None
    if "\0" in f"{code}{kind}{currency}":
        raise pagination.wrong_cursor()
    return code, kind, currency
