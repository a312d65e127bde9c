"""Quotes and conversions: what a wallet's money is worth in another currency, and changing it by a quote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.ids import public_id
from ledger.money import format_minor
from payments.api import bodies, documentation, pagination, payment_lookup, wallet_statements
from payments.api.authentication import caller_of
from payments.api.ledger_bodies import minor_of
from payments.api.proposals import maker_of
from payments.api.requests import body_of, query_of, run_once
from payments.api.resource import Resource
from payments.errors import Conflict, FieldError, Unavailable, Unprocessable
from payments.idempotency import Effect
from payments.models import MerchantBook
from payments.representations import Object, timestamp
from wallet import conversions
from wallet.balances import of_wallets
from wallet.conversions import Terms
from wallet.errors import InsufficientAvailable, QuoteExpired, QuoteUsed, TooLittle
from wallet.models import Quote
from wallet.rates import RateError

READ, WRITE = wallet_statements.READ, "wallet:write"
_RATE_PLACES: Final = 10


class WalletQuotes(Resource):
    """`/wallets/{id}/quotes`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ, "POST": WRITE}

    @extend_schema(**documentation.LIST_QUOTES)
    def get(self, request: Request, wallet_id: str) -> Response:
        """List the quotes of a wallet, newest first."""
        wallet = wallet_statements.found(caller_of(request).book_id, wallet_id)
        rows = Quote.objects.filter(book_id=wallet.book_id, seller=wallet.seller, currency_id=wallet.currency_id)
        return Response(
            pagination.page(rows, query_of(request, bodies.Page), rows, lambda found: [_shown(row) for row in found])
        )

    @extend_schema(**documentation.CREATE_QUOTE)
    def post(self, request: Request, wallet_id: str) -> HttpResponse:
        """Ask what an amount is worth now. Nothing moves; the quote can be executed until it expires."""
        book_id = caller_of(request).book_id
        wallet = wallet_statements.found(book_id, wallet_id)
        body, now = body_of(request, bodies.NewQuote), seam.now()
        if body.to_currency == wallet.currency_id:
            raise bodies.invalid([FieldError("to_currency", "invalid_value", "must differ from the wallet's currency")])
        amount = None if body.amount == "all" else minor_of(body.amount, wallet.currency_id)

        def run() -> Effect:
            margin = MerchantBook.objects.values_list("fx_margin_basis_points", flat=True).get(book_id=book_id)
            terms = Terms(
                book_id,
                wallet.seller,
                wallet.currency_id,
                body.to_currency,
                of_wallets([wallet])[0].available if amount is None else amount,
                margin,
            )
            with _translated():
                if terms.amount == 0:
                    raise InsufficientAvailable("nothing is available")
                return Effect(201, _shown(conversions.quote(terms, now=now)))

        return run_once(request, run, now=now)


class QuoteView(Resource):
    """`/quotes/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_QUOTE)
    def get(self, request: Request, quote_id: str) -> Response:
        """Read a quote: the rate and what became of it."""
        return Response(_shown(_found(caller_of(request).book_id, quote_id)))


class ExecuteQuote(Resource):
    """`/quotes/{id}/execute`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.EXECUTE_QUOTE)
    def post(self, request: Request, quote_id: str) -> HttpResponse:
        """Convert by a quote, once, before it expires."""
        row, now = _found(caller_of(request).book_id, quote_id), seam.now()
        body_of(request, bodies.Nothing)

        def run() -> Effect:
            with _translated():
                return Effect(200, _shown(conversions.execute(row.pk, now=now, actor=maker_of(request))))

        return run_once(request, run, now=now)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what the wallet and the rates refuse inside the block as the API's refusals."""
    try:
        yield
    except QuoteUsed as error:
        raise Conflict(error.code, str(error)) from None
    except QuoteExpired as error:
        raise Unprocessable(error.code, str(error)) from None
    except (InsufficientAvailable, TooLittle) as error:
        raise Unprocessable(error.code, str(error), field="amount") from None
    except RateError as error:
        raise Unavailable(error.code, str(error), field="to_currency") from None


def _found(book_id: int, text: str) -> Quote:
    row = Quote.objects.filter(book_id=book_id, public_id=payment_lookup.public_uuid("quo", text)).first()
    if row is None:
        raise payment_lookup.no_such_object()
    return row


def _shown(row: Quote) -> Object:
    """Show a quote. `rate` is rounded for reading; the exact one is the fraction of `rate_exact`."""
    to = row.to_currency_id
    return {
        "id": public_id("quo", row.public_id),
        "object": "quote",
        "seller": public_id("sel", row.seller),
        "amount": format_minor(row.amount_minor, row.currency_id),
        "currency": row.currency_id,
        "to_currency": to,
        "worth": format_minor(row.mid_minor, to),
        "margin": format_minor(row.margin_minor, to),
        "margin_basis_points": row.margin_basis_points,
        "rounding": format_minor(row.rounding_minor, to),
        "received": format_minor(row.received_minor, to),
        "rate": f"{row.rate_numerator / row.rate_denominator:.{_RATE_PLACES}f}",
        "rate_exact": f"{row.rate_numerator}/{row.rate_denominator}",
        "rate_source": row.source,
        "rate_date": row.observed_on.isoformat(),
        "quoted_at": timestamp(row.quoted_at),
        "expires_at": timestamp(row.expires_at),
        "executed_at": timestamp(row.executed_at) if row.executed_at is not None else None,
    }
