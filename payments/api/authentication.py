"""Who asks, and may they: API keys, scopes and signatures for the REST framework's views.

The hot path (`payments/api/intake.py`) calls the same functions without the framework. A view never looks at a key; it
starts every query from `caller.book_id`, so another merchant's object cannot be found. The framework loads this module
while it loads its views, so none is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from config import seam
from payments.api import card_numbers, headers, json_body, signatures
from payments.callers import Caller, find_caller
from payments.errors import Forbidden, Unauthenticated

ADMINISTRATOR: Final = "administrator"


class ApiKeyAuthentication(BaseAuthentication):
    """Bearer key, and the signature where one is required or present."""

    def authenticate(self, request: Request) -> tuple[Any, Caller]:
        """Return the caller. Raises `Unauthenticated`."""
        view = (request.parser_context or {}).get("view")
        caller = authenticate(request._request, limit_bytes=getattr(view, "limit_bytes", json_body.LIMIT_BYTES))
        return caller, caller

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge of a 401."""
        return 'Bearer realm="florin"'


class HasScope(BasePermission):
    """Compares the caller's scopes with what the view asks for per method: `scopes = {"GET": "payments:read"}`."""

    def has_permission(self, request: Request, view: object) -> bool:
        """Raise `Forbidden` unless the caller may use this method of the view."""
        scopes: Mapping[str, str] = view.scopes  # type: ignore[attr-defined] # every view of ours is a Resource
        scope = scopes.get("GET" if request.method == "HEAD" else request.method or "")
        if scope is not None:  # a method that the view does not have is refused by the framework
            require_scope(caller_of(request), scope)
        return True


def caller_of(request: Request) -> Caller:
    """Return who sent an authenticated request."""
    caller = request.auth
    assert isinstance(caller, Caller)
    return caller


def authenticate(request: HttpRequest, *, limit_bytes: int = json_body.LIMIT_BYTES) -> Caller:
    """Find the caller of a request and check its signature. One statement, two for a signed request."""
    now = seam.now()
    key = headers.api_key(request)
    body = json_body.read(request, limit_bytes=limit_bytes)
    card_numbers.refuse_address(request.path, request.META.get("QUERY_STRING", ""))
    caller = identify(key, now=now)
    signatures.verify(request, body, caller, now=now)
    return caller


def identify(key: str, *, seller_refs: Sequence[str] = (), now: datetime) -> Caller:
    """Return who holds a key. Raises `Unauthenticated` for one that is not valid. One statement.

    It is the first statement of a request, so it finds out whether the kept connection is still alive: a dead one is
    replaced and asked again, which costs nothing while all is well.
    """
    try:
        caller = find_caller(key, seller_refs=seller_refs, now=now)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
        caller = find_caller(key, seller_refs=seller_refs, now=now)
    if caller is None:
        raise Unauthenticated("api_key_invalid", "the API key is not valid")
    return caller


def require_scope(caller: Caller, scope: str) -> None:
    """Raise `Forbidden` unless the caller's key has the scope and is of the right kind."""
    if scope == ADMINISTRATOR:
        if not caller.is_administrator:
            raise Forbidden("administrator_required", "only an administrator's key may do this")
        return
    if caller.is_administrator:
        raise Forbidden("merchant_key_required", "use a merchant's key: an administrator's belongs to no book")
    if scope not in caller.scopes:
        raise Forbidden("scope_missing", f"the key lacks the scope {scope}")
