"""The hosted page: summary, Pay button, the way to the PSP's own page and back, and the result.

Plain HTML without a script or a cookie. Whoever has the link's token sees the page; the Pay form carries a second
token bound to the payment. No view waits for a PSP: the page of the PSP is opened by a due row, and the browser comes
back every second until its address is there.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string

from config import seam
from ledger.ids import parse_public_id, public_id
from ledger.money import format_minor
from payments import hosted, repairs
from payments.api import json_body, payment_lookup
from payments.checkout.presentation import (
    FACES,
    FINAL,
    FOLLOWED,
    PAYABLE,
    REST,
    Face,
    Status,
    failure_of,
    lines_of,
    unpaid_of,
    way_back,
)
from payments.checkout_links import is_token_of, token_for
from payments.errors import InvalidState, PaymentsError
from payments.models import Charge, MerchantBook, PaymentEvent

WAIT_SECONDS: Final = 1
WAITS_AT_MOST: Final = 60
RESULT_SECONDS: Final = 2
RESULTS_AT_MOST: Final = 300
GO_BACK_SECONDS: Final = 5
OFFERED_AGAIN_AFTER: Final = 5  # refreshes without news: the buyer may have left the PSP's page without paying
_FORM_LIMIT_BYTES: Final = 4096

log = structlog.get_logger(__name__)


def page(request: HttpRequest, payment_id: str) -> HttpResponse:
    """Show the payment; a POST of its form asks for the PSP's page."""
    event = _event(request, payment_id)
    if event is None:
        return _unknown()
    if request.method == "POST":
        return _start(request, event)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    return _show(request, event, "")


def pay(request: HttpRequest, payment_id: str) -> HttpResponse:
    """Wait for the PSP's page, then go there.

    The first visit never leaves at once: it follows a form, and a browser would apply the policy for forms to the
    PSP's address too.
    """
    event = _event(request, payment_id)
    if event is None:
        return _unknown()
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    visits = _visits(request)
    url = hosted.payable_url(event) if visits else None
    if url:
        return _redirect(url)
    if event.status not in (*PAYABLE, Status.PROCESSING) or _nothing_to_pay(event):
        return _redirect(_address(event))
    if visits >= WAITS_AT_MOST:
        return _show(request, event, "The payment page cannot be opened at the moment. Please try again.")
    if visits and visits % 5 == 0:
        _open(event)  # a page that was cancelled or never asked for; does nothing while one is being opened
    return _html(
        "checkout/waiting.html",
        {
            "refresh": f"{WAIT_SECONDS};url={_address(event, 'pay', n=visits + 1)}",
            "here": _address(event, "pay", n=visits + 1),
            "title": "One moment",
        },
    )


def returned(request: HttpRequest, payment_id: str) -> HttpResponse:
    """Follow the result after the PSP's page, until it is final; then lead back to the shop."""
    event = _event(request, payment_id)
    if event is None:
        return _unknown()
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if _visits(request) == 0:
        _ask_psp(event)
    return _show(request, event, "", returned=True)


def _start(request: HttpRequest, event: PaymentEvent) -> HttpResponse:
    """Ask for the PSP's page and go where it is waited for."""
    try:
        json_body.read(request, limit_bytes=_FORM_LIMIT_BYTES)
    except PaymentsError:
        return _unknown(400)
    if not is_token_of(request.POST.get("form_token", ""), event.public_id, "form"):
        return _unknown(403)
    refusal = _open(event)
    if refusal and event.status not in PAYABLE:
        return _redirect(_address(event))
    return _show(request, event, refusal) if refusal else _redirect(_address(event, "pay"))


def _open(event: PaymentEvent) -> str:
    """Ask for the PSP's page; return why not, in words for the buyer."""
    try:
        hosted.open_page(event, now=seam.now())
    except InvalidState as error:
        log.info("page_not_opened", payment=str(event.public_id), code=error.code)
        return "This payment is under way already. Please wait for its result."
    return ""


def _ask_psp(event: PaymentEvent) -> None:
    """Have the PSP asked now instead of waiting for its notification: the buyer is looking at the page."""
    rows = Charge.objects.filter(event=event, status__in=repairs.POLLABLE).exclude(session_id="").order_by("id")
    for charge in rows[:10]:
        try:
            repairs.requery_charge(charge.pk, actor="checkout", now=seam.now())
        except PaymentsError as error:
            log.info("charge_not_asked", charge=str(charge.public_id), code=error.code)


def _show(request: HttpRequest, event: PaymentEvent, problem: str, *, returned: bool = False) -> HttpResponse:
    orders, visits = payment_lookup.orders_of([event])[event.pk], _visits(request)
    unpaid = unpaid_of(event, orders)
    face, may_pay = FACES[event.status], bool(unpaid)
    if returned and event.status != Status.FAILED and any(order.charge.session_id for order in unpaid):
        face, may_pay = FOLLOWED, visits >= OFFERED_AGAIN_AFTER
    elif event.status == Status.PARTIALLY_SUCCEEDED and unpaid:
        face = REST
    elif event.status == Status.PROCESSING and not returned:
        # A payment that the buyer left on the PSP's page can be gone on with.
        may_pay = hosted.payable_url(event) is not None
    back = way_back(event)
    refresh = ""
    if face.waits and visits < RESULTS_AT_MOST:
        refresh = f"{RESULT_SECONDS};url={_address(event, 'return' if returned else '', n=visits + 1)}"
    elif returned and back and not unpaid and event.status in (*FINAL, Status.REQUIRES_CAPTURE):
        refresh = f"{GO_BACK_SECONDS};url={back}"
    return _html(
        "checkout/page.html",
        {
            "title": face.heading,
            "face": face,
            "merchant": _merchant_name(event),
            "lines": lines_of(orders),
            "total": f"{format_minor(event.amount_minor, event.currency_id)} {event.currency_id}",
            "failure": problem or (failure_of(unpaid) if event.status in PAYABLE else ""),
            "may_pay": may_pay,
            "label": _label(event, face),
            "form_token": token_for(event.public_id, "form"),
            "action_url": _action_url(event),
            "here": _address(event),
            "back": back,
            "refresh": refresh,
            "going_back": bool(refresh) and not face.waits,
        },
    )


def _label(event: PaymentEvent, face: Face) -> str:
    """Return what stands on the Pay button."""
    if face is REST:
        return "Pay the rest"
    if event.status == Status.FAILED:
        return "Try again"
    return f"Pay {format_minor(event.amount_minor, event.currency_id)} {event.currency_id}"


def _nothing_to_pay(event: PaymentEvent) -> bool:
    return not Charge.objects.filter(event=event, status__in=Charge.OPEN).exists()


def _action_url(event: PaymentEvent) -> str:
    action = event.next_action if event.status == Status.REQUIRES_ACTION else None
    url = str(action.get("url", "")) if isinstance(action, dict) else ""
    return url if url.startswith(("https://", "http://")) else ""


def _merchant_name(event: PaymentEvent) -> str:
    name: str = MerchantBook.objects.values_list("merchant__name", flat=True).get(book_id=event.book_id)
    return name


def _event(request: HttpRequest, payment_id: str) -> PaymentEvent | None:
    """Find the payment whose token came with the request; `None` for any other."""
    value = parse_public_id("pay", payment_id)
    if value is None or not is_token_of(request.GET.get("token", ""), value):
        return None
    return PaymentEvent.objects.filter(public_id=value).first()


def _visits(request: HttpRequest) -> int:
    """Return how often this page has refreshed itself; the address counts, because there is no cookie."""
    text = request.GET.get("n", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


def _address(event: PaymentEvent, step: str = "", **more: int) -> str:
    query = urlencode({"token": token_for(event.public_id), **more})
    return f"/checkout/{public_id('pay', event.public_id)}{'/' + step if step else ''}?{query}"


def _redirect(url: str) -> HttpResponse:
    """Go to another address with GET: ours, the PSP's, nothing that came with the request."""
    return HttpResponse(status=303, headers={"Location": url, "Cache-Control": "no-store"})


def _unknown(status: int = 404) -> HttpResponse:
    """Show that there is nothing here; a wrong token looks like a payment that does not exist."""
    return _html("checkout/unknown.html", {"title": "This link is not valid"}, status=status)


def _html(template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(render_to_string(template, context), status=status, headers={"Cache-Control": "no-store"})
