"""Refusals as RFC 9457 problem documents: the one place where an exception becomes an HTTP answer.

Never a stack trace, never a 500 for bad input, and no word about an object that is not the caller's. What the database
refuses because of a lost connection is a 503 that may be repeated; what it refuses because of a value is a 400.
"""

from __future__ import annotations

import json
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions

from payments.api.request_id import current_request_id
from payments.errors import (
    CATALOGUE,
    Conflict,
    FieldError,
    Invalid,
    Listed,
    PaymentsError,
    StillRunning,
    Unavailable,
)

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS: Final = 2
_LOCK_NOT_AVAILABLE: Final = "55P03"
_UNLISTED: Final = Listed(400, "The request was refused", "Read `detail`.")


class BadRequest(PaymentsError):
    """A refusal by the framework, with the status that it chose."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.own_status = status


def document(error: PaymentsError) -> dict[str, Any]:
    """Return the problem document of a refusal; key order is part of the contract."""
    listed = CATALOGUE.get(error.code, _UNLISTED)
    return {
        "type": f"{settings.PUBLIC_URL}/api/docs/errors/#{error.code}",
        "title": listed.title,
        "status": status_of(error),
        "detail": error.message,
        "code": error.code,
        "request_id": current_request_id(),
        "retryable": error.retryable or listed.retryable,
        "outcome": error.outcome,
        "errors": [{"field": one.field, "code": one.code, "detail": one.detail} for one in error.errors],
    }


def status_of(error: PaymentsError) -> int:
    """Return the HTTP status of a refusal."""
    return error.own_status if isinstance(error, BadRequest) else error.status


def problem(error: PaymentsError) -> HttpResponse:
    """Make the HTTP answer of a refusal."""
    body = json.dumps(document(error), ensure_ascii=False).encode()
    response = HttpResponse(body, content_type="application/problem+json", status=status_of(error))
    response["Content-Length"] = str(len(body))
    response["Cache-Control"] = "no-store"
    if error.retry_after_seconds is not None:
        response["Retry-After"] = str(error.retry_after_seconds)
    if response.status_code == 401:
        response["WWW-Authenticate"] = 'Bearer realm="florin"'
    return response


def refusal_of(error: Exception, *, writes: bool) -> PaymentsError:
    """Turn any exception into a refusal; what is not expected becomes `internal_error` and is logged with its trace.

    `writes`: the request may have changed something before it broke, so its outcome is not known.
    """
    if isinstance(error, PaymentsError):
        return error
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, Http404):
        return BadRequest(404, "not_found", "there is no such object")
    if isinstance(error, OperationalError | InterfaceError):
        return _of_database(error, writes=writes)
    if isinstance(error, DataError):
        return Invalid("invalid_request", "a value cannot be stored")
    log.error("request_failed", exc_info=error)
    return _InternalError("internal_error", "something failed on our side", outcome="unknown" if writes else "none")


class _InternalError(PaymentsError):
    """A bug of ours."""

    status = 500
    retryable = True


def _of_database(error: Exception, *, writes: bool) -> PaymentsError:
    if getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
        return StillRunning(
            "idempotency_in_progress",
            "another request holds what this one needs",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    log.error("database_unavailable", error=type(error).__name__)
    return Unavailable(
        "service_unavailable",
        "the database cannot be reached",
        retry_after_seconds=RETRY_AFTER_SECONDS,
        outcome="unknown" if writes else "none",
    )


_FRAMEWORK_CODES: Final = {
    400: "bad_request",
    401: "authentication_required",
    403: "scope_missing",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    415: "unsupported_media_type",
    429: "rate_limited",
}


def _of_framework(error: exceptions.APIException) -> PaymentsError:
    status = error.status_code
    return BadRequest(status, _FRAMEWORK_CODES.get(status, "bad_request"), str(error.detail))


def problem_response(error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """Answer an exception of a REST framework view (its `EXCEPTION_HANDLER`)."""
    method = context["request"].method
    response = problem(refusal_of(error, writes=method not in ("GET", "HEAD", "OPTIONS")))
    if isinstance(error, exceptions.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def method_not_allowed(allowed: str) -> HttpResponse:
    """Answer a method that an address does not have."""
    response = problem(BadRequest(405, "method_not_allowed", f"use {allowed}"))
    response["Allow"] = allowed
    return response


def bad_request(_request: HttpRequest, *_exception: object, **_named: object) -> HttpResponse:
    """Answer what Django itself cannot make sense of (handler400)."""
    return problem(BadRequest(400, "bad_request", "the request cannot be understood"))


def permission_denied(_request: HttpRequest, *_exception: object, **_named: object) -> HttpResponse:
    """Answer what Django forbids (handler403)."""
    return problem(BadRequest(403, "scope_missing", "this is not allowed"))


def page_not_found(_request: HttpRequest, *_exception: object, **_named: object) -> HttpResponse:
    """Answer an address that does not exist (handler404)."""
    return problem(BadRequest(404, "not_found", "there is nothing at this address"))


def server_error(_request: HttpRequest) -> HttpResponse:
    """Answer what broke outside a view (handler500); Django has logged it."""
    return problem(_InternalError("internal_error", "something failed on our side", outcome="unknown"))


__all__ = ["Conflict", "FieldError", "document", "problem", "problem_response", "refusal_of"]
