"""What moved a wallet: its transactions, and its statement of a period."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.ids import public_id
from ledger.money import format_minor
from payments import subjects
from payments.api import documentation, pagination, payment_lookup
from payments.api.authentication import caller_of
from payments.api.bodies import invalid
from payments.api.ledger_queries import Period
from payments.api.requests import query_of
from payments.api.resource import Resource
from payments.documents import wallet_statement as document
from payments.errors import Unprocessable
from payments.models import Seller
from payments.representations import Object, timestamp
from payments.subjects import Subject
from wallet import statements
from wallet.models import Wallet
from wallet.statements import Line, Page, Parts, Place

READ: Final = "wallet:read"
_SINCE_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)
_PLACE_BYTES: Final = 8


class Csv(BaseRenderer):
    """`Accept: text/csv`: the view writes it, line by line."""

    media_type, format = "text/csv", "csv"

    def render(self, data: Object, *_context: Any, **_more: Any) -> bytes:
        """Write a refusal, which is JSON however the table was asked for."""
        return bytes(JSONRenderer().render(data))


class Pdf(Csv):
    """`Accept: application/pdf`."""

    media_type, format = "application/pdf", "pdf"


class WalletStatement(Resource):
    """`/wallets/{id}/statement`, as JSON page by page, as CSV and PDF whole."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}
    renderer_classes = [JSONRenderer, Csv, Pdf]

    @extend_schema(**documentation.GET_WALLET_STATEMENT)
    def get(self, request: Request, wallet_id: str) -> Response | StreamingHttpResponse | HttpResponse:
        """Read what moved a wallet in a period, oldest first, with what was in it before and after."""
        wallet, query = found(caller_of(request).book_id, wallet_id), query_of(request, Period)
        if errors := query.errors():
            raise invalid(errors)
        start, end = query.from_ or _SINCE_EVER, query.to or seam.now()
        try:
            match request.accepted_renderer.format:
                case Csv.format:
                    return _file(StreamingHttpResponse(document.as_csv(wallet, start=start, end=end)), wallet, Csv)
                case Pdf.format:
                    seller = Seller.objects.get(book_id=wallet.book_id, public_id=wallet.seller)
                    return _file(HttpResponse(document.as_pdf(wallet, seller, start=start, end=end)), wallet, Pdf)
        except document.TooLong as error:
            raise Unprocessable(error.code, str(error), field="from") from None
        after = _place_in(query.cursor) if query.cursor is not None else None
        page = statements.page(wallet, start=start, end=end, after=after, limit=query.limit)
        return Response(_statement(wallet, page, start=start, end=end))


def _file[R: HttpResponseBase](response: R, wallet: Wallet, kind: type[Csv]) -> R:
    name = f"{public_id('wal', wallet.public_id)}.{kind.format}"
    response["Content-Type"] = kind.media_type
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def found(book_id: int, text: str) -> Wallet:
    """Find a wallet of a book by its id (one statement). Raises `NotFound`."""
    value = payment_lookup.public_uuid("wal", text)
    wallet = Wallet.objects.filter(book_id=book_id, public_id=value).first()
    if wallet is None:
        raise payment_lookup.no_such_object()
    return wallet


def transactions(wallet: Wallet, query: Period, *, now: datetime) -> Object:
    """Return the lines of a wallet's statement as a list, oldest first. Raises `Invalid`."""
    if errors := query.errors():
        raise invalid(errors)
    after = _place_in(query.cursor) if query.cursor is not None else None
    page = statements.page(
        wallet, start=query.from_ or _SINCE_EVER, end=query.to or now, after=after, limit=query.limit
    )
    return {"data": _lines(wallet, page), "next_cursor": _cursor_of(page)}


def _statement(wallet: Wallet, page: Page, *, start: datetime, end: datetime) -> Object:
    return {
        "object": "wallet_statement",
        "wallet": public_id("wal", wallet.public_id),
        "seller": public_id("sel", wallet.seller),
        "currency": wallet.currency_id,
        "from": timestamp(start),
        "to": timestamp(end),
        "opening": _parts(page.opening, wallet.currency_id),
        "data": _lines(wallet, page),
        "closing": _parts(page.closing, wallet.currency_id),
        "next_cursor": _cursor_of(page),
    }


def _lines(wallet: Wallet, page: Page) -> list[Object]:
    about = subjects.of_orders(wallet.book_id, (line.subject for line in page.lines))
    return [_line(line, about.get(line.subject), wallet.currency_id) for line in page.lines]


def _line(line: Line, about: Subject | None, currency: str) -> Object:
    return {
        "id": public_id("txn", line.transaction_public_id),
        "object": "wallet_transaction",
        "kind": line.kind,
        "subject": line.subject,
        "payment_order": public_id("ord", about.order) if about else None,
        "reference": about.reference if about else None,
        "checkout_id": about.checkout_id if about else None,
        "memo": line.memo,
        "currency": currency,
        "amount": format_minor(line.change.balance, currency),
        "change": _parts(line.change, currency),
        "balance": format_minor(line.after.balance, currency),
        "effective_at": timestamp(line.effective_at),
        "posted_at": timestamp(line.posted_at),
    }


def _parts(parts: Parts, currency: str) -> Object:
    return {
        "pending": format_minor(parts.pending, currency),
        "available": format_minor(parts.available, currency),
        "reserved": format_minor(parts.reserved, currency),
        "in_transit": format_minor(parts.in_transit, currency),
        "debt": format_minor(parts.debt, currency),
        "balance": format_minor(parts.balance, currency),
    }


def _cursor_of(page: Page) -> str | None:
    if not page.more or not page.lines:
        return None
    at, key = page.lines[-1].place
    microseconds = (at - _SINCE_EVER) // _MICROSECOND
    return pagination.written(microseconds.to_bytes(_PLACE_BYTES) + key.to_bytes(_PLACE_BYTES))


def _place_in(cursor: str) -> Place:
    raw = pagination.read_back(cursor)
    microseconds, key = int.from_bytes(raw[:_PLACE_BYTES]), int.from_bytes(raw[_PLACE_BYTES:])
    if len(raw) != 2 * _PLACE_BYTES or microseconds >= _LAST or key >= _MAX_KEY:
        raise pagination.wrong_cursor()
    return _SINCE_EVER + microseconds * _MICROSECOND, key


_MICROSECOND: Final = datetime.resolution
_LAST: Final = (datetime(2999, 1, 1, tzinfo=UTC) - _SINCE_EVER) // _MICROSECOND
_MAX_KEY: Final = 2**47  # a transaction's id times 32768 is an entry's id
