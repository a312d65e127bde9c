"""Middleware of the office process: a request id in the answer and in every log line, as the web process has it.

The web's own middleware also turns every exception into a problem document; here people read the answers, so
refusals stay what Django makes of them.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

from payments.api import request_id


class OfficeContextMiddleware:
    """Gives a request its id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request inside its context."""
        current = request_id.begin(None)
        clear_contextvars()
        bind_contextvars(request_id=current)
        response = self.get_response(request)
        response["X-Request-Id"] = current
        return response
