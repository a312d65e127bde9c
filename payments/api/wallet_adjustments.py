"""`POST /wallets/{id}/transactions`: propose to give a wallet an amount, or to take one from it."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from config import seam
from payments.api import documentation, payment_lookup, proposals
from payments.api.authentication import caller_of
from payments.api.ledger_bodies import NewAdjustment, minor_of, side_of
from payments.api.requests import body_of
from payments.api.resource import Resource
from wallet import corrections
from wallet.models import Wallet


class AdjustWallet(Resource):
    """`POST /wallets/{id}/transactions`."""

    scopes: ClassVar[dict[str, str]] = {"POST": "wallet:write"}

    @extend_schema(**documentation.ADJUST_WALLET)
    def post(self, request: Request, wallet_id: str) -> HttpResponse:
        """Propose an adjustment of what a wallet has available."""
        value = payment_lookup.public_uuid("wal", wallet_id)
        wallet = Wallet.objects.filter(book_id=caller_of(request).book_id, public_id=value).first()
        if wallet is None:
            raise payment_lookup.no_such_object()
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
