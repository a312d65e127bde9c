"""Turnover of the caller's book: of a period account by account, and of one account by day or month."""

from __future__ import annotations

from typing import ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger import turnover
from payments.api import documentation, ledger_accounts, ledger_objects, ledger_queries
from payments.api.authentication import caller_of
from payments.api.bodies import invalid
from payments.api.requests import query_of
from payments.api.resource import Resource
from payments.errors import FieldError

READ: Final = "ledger:read"


class Turnover(Resource):
    """`/ledger/turnover`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_TURNOVER)
    def get(self, request: Request) -> Response:
        """Read what moved in a period, account by account."""
        query = query_of(request, ledger_queries.TurnoverPage)
        if errors := query.errors():
            raise invalid(errors)
        accounts, cursor = ledger_accounts.page_of(caller_of(request).book_id, query.prefix, query)
        rows = turnover.of_accounts(accounts, since=query.from_, until=query.to, basis=query.basis)
        return Response({"data": [ledger_objects.turnover(row) for row in rows], "next_cursor": cursor})


class AccountTurnover(Resource):
    """`/ledger/accounts/{code}/turnover`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_ACCOUNT_TURNOVER)
    def get(self, request: Request, code: str) -> Response:
        """Read what moved on an account by day or month, oldest first."""
        query = query_of(request, ledger_queries.AccountTurnoverQuery)
        if query.from_ > query.to:
            raise invalid([FieldError("to", "invalid_value", "must not be before from")])
        row = ledger_accounts.found(caller_of(request).book_id, code)
        try:
            rows = turnover.by_period(row, since=query.from_, until=query.to, by=query.by, basis=query.basis)
        except ValueError as error:
            raise invalid([FieldError("to", "too_long", str(error))]) from None
        return Response({"data": [ledger_objects.turnover(one) for one in rows], "next_cursor": None})
