"""`/wallets/{id}/transactions`: read what moved a wallet; propose to give it an amount, or to take one from it."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from payments.api import documentation, proposals, wallet_statements
from payments.api.authentication import caller_of
from payments.api.ledger_bodies import NewAdjustment, minor_of, side_of
from payments.api.ledger_queries import Period
from payments.api.requests import body_of, query_of
from payments.api.resource import Resource
from wallet import corrections


class WalletTransactions(Resource):
    """`/wallets/{id}/transactions`."""

    scopes: ClassVar[dict[str, str]] = {"GET": wallet_statements.READ, "POST": "wallet:write"}

    @extend_schema(**documentation.LIST_WALLET_TRANSACTIONS)
    def get(self, request: Request, wallet_id: str) -> Response:
        """List what moved a wallet, oldest first."""
        wallet = wallet_statements.found(caller_of(request).book_id, wallet_id)
        return Response(wallet_statements.transactions(wallet, query_of(request, Period), now=seam.now()))

    @extend_schema(**documentation.ADJUST_WALLET)
    def post(self, request: Request, wallet_id: str) -> HttpResponse:
        """Propose an adjustment of what a wallet has available."""
        wallet = wallet_statements.found(caller_of(request).book_id, wallet_id)
        body = body_of(request, NewAdjustment)
        draft = corrections.adjustment(
            wallet,
            side=side_of(body.type),
            amount=minor_of(body.amount, wallet.currency_id),
            reference=body.reference,
            reason=body.reason,
            maker=proposals.maker_of(request),
        )
        return proposals.proposed(request, draft, now=seam.now())
