"""Middleware around everything the web process serves: a request id, the log's context, and no naked exception.

It is the outermost layer and on the hot path, so it does nothing that costs more than a few microseconds.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

from payments.api import request_id
from payments.api.card_numbers import contains_card_number
from payments.api.errors import problem, refusal_of

_READING = ("GET", "HEAD", "OPTIONS")


class RequestContextMiddleware:
    """Gives a request its id and turns what a view raises into a problem document."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request inside its context."""
        given = request.META.get("HTTP_X_REQUEST_ID")
        current = request_id.begin(given if given and not contains_card_number(given) else None)
        clear_contextvars()
        bind_contextvars(request_id=current)
        response = self.get_response(request)
        response["X-Request-Id"] = current
        response.headers.setdefault("Cache-Control", "no-store")  # what we answer is private unless it says otherwise
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase:
        """Answer an exception that a view did not handle."""
        return problem(refusal_of(exception, writes=request.method not in _READING))
