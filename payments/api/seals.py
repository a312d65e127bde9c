"""The seals of the caller's book, and the proof that a transaction is sealed."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.seals import proofs, reading
from payments.api import bodies, documentation, pagination, payment_lookup
from payments.api.authentication import caller_of
from payments.api.ledger_transactions import READ
from payments.api.requests import query_of
from payments.api.resource import Resource
from payments.errors import NotSealedYet

_CURSOR_BYTES = 8
_RETRY_AFTER_SECONDS = 60


class Seals(Resource):
    """`/ledger/seals`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_SEALS)
    def get(self, request: Request) -> Response:
        """List the blocks of the book, newest first."""
        query = query_of(request, bodies.Page)
        before = None if query.cursor is None else _number_in(query.cursor)
        blocks = reading.newest(caller_of(request).book_id, before=before, limit=query.limit + 1)
        shown, more = blocks[: query.limit], len(blocks) > query.limit
        cursor = pagination.written(shown[-1].number.to_bytes(_CURSOR_BYTES)) if more else None
        return Response({"data": [{"object": "seal", **one.shown()} for one in shown], "next_cursor": cursor})


class TransactionProof(Resource):
    """`/ledger/transactions/{txn_id}/proof`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_PROOF)
    def get(self, request: Request, transaction_id: str) -> Response:
        """Read the proof that a transaction is in a sealed block."""
        key = payment_lookup.public_uuid("txn", transaction_id)
        try:
            found = proofs.proof(caller_of(request).book_id, key)
        except proofs.NotSealed:
            raise NotSealedYet(
                "not_sealed_yet", "no block holds the transaction yet", retry_after_seconds=_RETRY_AFTER_SECONDS
            ) from None
        if found is None:
            raise payment_lookup.no_such_object()
        return Response({"object": "proof", **found})


def _number_in(cursor: str) -> int:
    key = pagination.read_back(cursor)
    if len(key) != _CURSOR_BYTES or (number := int.from_bytes(key)) >= 2**63:
        raise pagination.wrong_cursor()
    return number
