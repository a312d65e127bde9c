"""The chart of accounts of the caller's book as a tree, to walk down."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger import tree
from ledger.models import Account
from payments.api import documentation, ledger_objects, ledger_queries, pagination
from payments.api.authentication import caller_of
from payments.api.ledger_accounts import READ
from payments.api.requests import query_of
from payments.api.resource import Resource


class Tree(Resource):
    """`/ledger/tree`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_LEDGER_TREE)
    def get(self, request: Request) -> Response:
        """Read the children of a node, each with the sums of all accounts below it."""
        query, book_id = query_of(request, ledger_queries.TreePage), caller_of(request).book_id
        after = _after(book_id, query) if query.cursor is not None else None
        nodes, more = tree.children(book_id, query.prefix, after=after, limit=query.limit)
        cursor = pagination.written(nodes[-1].first.bytes) if more else None
        return Response({"data": [ledger_objects.node(one) for one in nodes], "next_cursor": cursor})


def _after(book_id: int, query: ledger_queries.TreePage) -> str:
    """Return the key of the child whose first account the cursor names, which must be of this book and node."""
    assert query.cursor is not None
    last = Account.objects.filter(book_id=book_id, public_id=pagination.public_id_in(query.cursor)).first()
    key = tree.key_of(query.prefix, last.code) if last is not None else None
    if key is None:
        raise pagination.wrong_cursor()
    return key
