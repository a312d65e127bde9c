"""Signed requests: proof that a request comes from who holds the signing secret, is fresh, and comes once.

A leaked key alone cannot be used for a live book, and a captured request cannot be sent again. The string that is
signed covers method, path, query, time, nonce, Idempotency-Key and body (API.md, *Conventions*).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection
from django.http import HttpRequest

from payments.callers import Caller
from payments.errors import PaymentsError, Unauthenticated

TOLERANCE: Final = timedelta(seconds=300)
NONCE_LIFETIME: Final = timedelta(minutes=10)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]00:00)", re.ASCII)
_NONCE: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)


def verify(request: HttpRequest, body: bytes, caller: Caller, *, now: datetime) -> None:
    """Check the signature of a request when its key asks for one or when any of its headers is there.

    Raises `Unauthenticated` with `signature_required`, `timestamp_stale`, `signature_invalid` or `nonce_replayed`.
    Runs one statement for a signed request (the nonce), none for others.
    """
    verify_digest(request, lambda: hashlib.sha256(body).hexdigest(), caller, now=now)


def verify_digest(request: HttpRequest, digest: Callable[[], str], caller: Caller, *, now: datetime) -> None:
    """Check the signature as `verify` does, of a body that is not in memory: `digest` gives its SHA-256 in hex."""
    at = request.META.get("HTTP_X_REQUEST_TIMESTAMP")
    nonce = request.META.get("HTTP_X_REQUEST_NONCE")
    signature = request.META.get("HTTP_X_SIGNATURE")
    if at is None and nonce is None and signature is None and not caller.requires_signature:
        return
    if not (at and nonce and signature):
        raise _refused("signature_required", "send X-Request-Timestamp, X-Request-Nonce and X-Signature")
    if not _is_fresh(at, now=now):
        raise _refused("timestamp_stale", f"X-Request-Timestamp must be within {TOLERANCE.seconds} s of {now:%FT%TZ}")
    sent = _SIGNATURE.fullmatch(signature)
    if sent is None or not _NONCE.fullmatch(nonce):
        raise _refused("signature_invalid", "X-Signature must be sha256=<hex>, X-Request-Nonce 1 to 128 characters")
    expected = _expected(request, digest(), caller.signing_secret(), at, nonce)
    if not any(hmac.compare_digest(sent[1], one) for one in expected):
        raise _refused("signature_invalid", "the signature does not fit the request")
    if not _is_first_use(caller.key_id, nonce, now=now):
        raise _refused("nonce_replayed", "this nonce was used before")


def sign(secret: str, *, method: str, address: str, at: str, nonce: str, idempotency_key: str, body: bytes) -> str:
    """Return the hex signature of a request; `address` is path and query as sent."""
    digest = hashlib.sha256(body).hexdigest()
    return _signed(secret, method, address, at, nonce, idempotency_key, digest)


def _signed(secret: str, *parts: str) -> str:
    return hmac.digest(secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hex()


def _expected(request: HttpRequest, digest: str, secret: str, at: str, nonce: str) -> list[str]:
    """Return the signatures that fit: over the Idempotency-Key as sent, or without the quotes it may be sent in."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY", "")
    forms = {key, key.strip('"')}
    method, address = request.method or "", request.get_full_path()
    return [_signed(secret, method, address, at, nonce, form, digest) for form in forms]


def _is_fresh(text: str, *, now: datetime) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        at = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(at - now) <= TOLERANCE


# Uses index: nonce_is_used_once_per_key; nonce_by_age for the few old rows that each call takes away.
_REMEMBER = """
WITH old AS (
    DELETE FROM payments_requestnonce WHERE id IN (
        SELECT id FROM payments_requestnonce
         WHERE seen_at < %(old)s AND NOT (api_key_id = %(key)s AND nonce = %(nonce)s)
         ORDER BY seen_at LIMIT 4 FOR UPDATE SKIP LOCKED)
)
INSERT INTO payments_requestnonce AS n (api_key_id, nonce, seen_at) VALUES (%(key)s, %(nonce)s, %(now)s)
ON CONFLICT (api_key_id, nonce) DO UPDATE SET seen_at = excluded.seen_at WHERE n.seen_at < %(old)s
RETURNING 1
"""


def _is_first_use(key_id: int, nonce: str, *, now: datetime) -> bool:
    """Remember a nonce; False when it is in use. Commits on its own: a refused request has used its nonce too."""
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER, {"key": key_id, "nonce": nonce, "now": now, "old": now - NONCE_LIFETIME})
        return cursor.fetchone() is not None


def _refused(code: str, message: str) -> PaymentsError:
    return Unauthenticated(code, message)
