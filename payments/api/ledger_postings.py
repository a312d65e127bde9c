"""Manual journals: proposed here, approved by somebody else in the back office. Nothing here posts."""

from __future__ import annotations

from typing import ClassVar

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.models import Transaction
from payments.api import documentation, payment_lookup, proposals
from payments.api.authentication import caller_of
from payments.api.ledger_bodies import (
    NewFeeWithdrawal,
    NewReversal,
    NewTransaction,
    ProposalsPage,
    Rehearsal,
    draft_legs,
    minor_of,
)
from payments.api.ledger_refusals import translated
from payments.api.ledger_transactions import LedgerTransactions
from payments.api.pagination import page
from payments.api.requests import body_of, query_of
from payments.api.resource import Resource
from wallet import corrections, withdrawals
from wallet.models import Proposal
from wallet.proposals import Draft

READ, WRITE = "ledger:read", "ledger:write"


class Transactions(LedgerTransactions):
    """`/ledger/transactions`: reading them, and proposing one."""

    scopes: ClassVar[dict[str, str]] = {**LedgerTransactions.scopes, "POST": WRITE}

    @extend_schema(**documentation.PROPOSE_TRANSACTION)
    def post(self, request: Request) -> HttpResponseBase:
        """Propose a manual journal, or see what it would do (`?dry_run=true`)."""
        query, body = query_of(request, Rehearsal), body_of(request, NewTransaction)
        draft = Draft(
            book_id=caller_of(request).book_id,
            kind=Proposal.Kind(body.kind),
            reference=body.reference,
            legs=draft_legs(body.legs),
            memo=body.memo,
            maker=proposals.maker_of(request),
            effective_at=body.effective_at,
            metadata=body.metadata,
        )
        return _answered(request, draft, query)


class ReverseTransaction(Resource):
    """`/ledger/transactions/{id}/reverse`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.REVERSE_TRANSACTION)
    def post(self, request: Request, transaction_id: str) -> HttpResponseBase:
        """Propose to take a transaction back, in full or in part."""
        original = _transaction(caller_of(request).book_id, transaction_id)
        query, body = query_of(request, Rehearsal), body_of(request, NewReversal)
        with translated():
            draft = corrections.reversal(
                original,
                memo=body.memo,
                maker=proposals.maker_of(request),
                reference=body.reference or "",
                amount=None if body.amount is None else minor_of(body.amount, corrections.currency_of(original)),
                legs=draft_legs(body.legs or ()),
                effective_at=body.effective_at,
            )
        return _answered(request, draft, query)


class FeeWithdrawals(Resource):
    """`/ledger/fee-withdrawals`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.WITHDRAW_FEES)
    def post(self, request: Request) -> HttpResponseBase:
        """Propose to take the platform's fees out of a bank account, or see what it would do (`?dry_run=true`)."""
        query, body = query_of(request, Rehearsal), body_of(request, NewFeeWithdrawal)
        with translated():
            draft = withdrawals.fee_withdrawal(
                caller_of(request).book_id,
                currency=body.currency,
                amount=None if body.amount == "all" else minor_of(body.amount, body.currency),
                bank=body.bank,
                reference=body.reference,
                memo=body.memo,
                maker=proposals.maker_of(request),
                now=seam.now(),
            )
        return _answered(request, draft, query)


class Proposals(Resource):
    """`/ledger/proposals`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_PROPOSALS)
    def get(self, request: Request) -> Response:
        """List proposals, newest first."""
        query = query_of(request, ProposalsPage)
        scope = Proposal.objects.filter(book_id=caller_of(request).book_id)
        rows = proposals.loaded(caller_of(request).book_id)
        if query.status is not None:
            rows = rows.filter(state=query.status)
        if query.reference is not None:
            rows = rows.filter(reference=query.reference)
        return Response(page(rows, query, scope, proposals.shown))


class ProposalView(Resource):
    """`/ledger/proposals/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_PROPOSAL)
    def get(self, request: Request, proposal_id: str) -> Response:
        """Read a proposal."""
        value = payment_lookup.public_uuid("prp", proposal_id)
        found = proposals.loaded(caller_of(request).book_id).filter(public_id=value).first()
        if found is None:
            raise payment_lookup.no_such_object()
        return Response(proposals.shown([found])[0])


def _answered(request: Request, draft: Draft, query: Rehearsal) -> HttpResponseBase:
    now = seam.now()
    return proposals.rehearsed(draft, now=now) if query.dry_run else proposals.proposed(request, draft, now=now)


def _transaction(book_id: int, text: str) -> Transaction:
    value = payment_lookup.public_uuid("txn", text)
    found = Transaction.objects.filter(book_id=book_id, public_id=value).first()
    if found is None:
        raise payment_lookup.no_such_object()
    return found
