"""The wire to Stripe: one client, one way out, and what each kind of trouble proves.

Every call of the SDK goes through `Wire.call`, which numbers it at the seam and turns whatever happens into
an `Answer` or a `Refusal`. The question that matters after trouble is whether the request may have had an
effect: `Refusal.outcome` is NOT_EXECUTED only where that is proven (no connection was made, or Stripe refused
it before its idempotency layer), DECLINED where Stripe said a definitive no, and UNKNOWN for everything else.

It must never retry, follow a redirect, send a cookie or read credentials from the environment.
"""

import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import stripe
from django.conf import settings
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationValueError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.exceptions import SSLError as TLSError

from config import seam
from payments.psp.base import CallError, ErrorCode, Outcome, Result
from payments.psp.stripe.fields import Json, child, text_or_empty
from payments.psp.stripe.transport import PooledClient, RefusedLocallyError

API_VERSION: Final = "2026-10-28.endive"
DEFAULT_BASE_URL: Final = "https://api.stripe.com"
FILES_BASE_URL: Final = "https://files.stripe.com"  # uploads have an address of their own at Stripe
MAX_MESSAGE_LENGTH: Final = 500
MAX_RETRY_AFTER_SECONDS: Final = 3600.0

# Telemetry would write a file into the home directory and tell Stripe how long each call took.
stripe.enable_telemetry = False

# The error shows the intent itself, and that says more than the refusal.
_UNEXPECTED_STATES: Final = ("payment_intent_unexpected_state", "setup_intent_unexpected_state")
# What the SDK stumbles over when an answer is JSON of a strange shape. By then the request has been sent.
_STUMBLES: Final = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer: the object that was asked for, as JSON."""

    body: Json
    request_id: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Anything but a 2xx answer, with what it proves and Stripe's error object (empty if it gave none)."""

    outcome: Outcome
    error: CallError
    body: Json
    request_id: str = ""

    def result(self) -> Result:
        """Return it as the result of a call that has nothing to add to it."""
        return Result(self.outcome, error=self.error, request_id=self.request_id)


class Wire:
    """One account's connection to Stripe. Thread-safe: the pool is shared, the SDK keeps nothing else."""

    def __init__(self, api_key: str, base_url: str) -> None:
        address = base_url.rstrip("/") or DEFAULT_BASE_URL
        files = address if base_url else FILES_BASE_URL
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": address, "files": files},
            max_network_retries=0,
            stripe_version=API_VERSION,
            http_client=PooledClient(
                address,
                files,
                connect_seconds=settings.PSP_CONNECT_TIMEOUT_SECONDS,
                read_seconds=settings.PSP_READ_TIMEOUT_SECONDS,
            ),
        )
        self.v1 = self._client.v1

    def raw(self, method: str, path: str, params: Mapping[str, object], key: str = "") -> stripe.StripeResponse:
        """Send a request through the SDK without building its objects: most of a call's CPU, and we read JSON.

        The caller types `params` with the SDK's own parameter types. `key` is the idempotency key of a POST.
        """
        options = {"idempotency_key": key} if key else {}
        answer: stripe.StripeResponse = self._client.raw_request(method, path, **params, **options)
        return answer

    def call(self, operation: str, send: Callable[[], object]) -> Answer | Refusal:
        """Make one call and say what came of it. Raises nothing but programming errors."""
        try:
            with seam.crossing("http", operation):
                answer = send()
        except stripe.APIConnectionError as problem:
            return _broken_wire(problem)
        except stripe.StripeError as problem:
            return _refused(problem)
        except _STUMBLES as problem:
            return _unknown(ErrorCode.UNEXPECTED_ANSWER, f"{type(problem).__name__}: {problem}")
        response = answer.last_response if isinstance(answer, stripe.StripeObject) else answer
        if not isinstance(response, stripe.StripeResponse) or not isinstance(response.data, Mapping):
            return _unknown(ErrorCode.UNEXPECTED_ANSWER, "the answer is not an object")
        return Answer(response.data, response.request_id or "")


def _unknown(code: ErrorCode, message: str, status: int | None = None) -> Refusal:
    return Refusal(Outcome.UNKNOWN, CallError(code, message[:MAX_MESSAGE_LENGTH], http_status=status), {})


def _broken_wire(problem: stripe.APIConnectionError) -> Refusal:
    cause = problem.__cause__
    message = f"{type(cause).__name__}: {cause}"[:MAX_MESSAGE_LENGTH]
    if isinstance(cause, (RefusedLocallyError, LocationValueError)):
        return Refusal(Outcome.NOT_EXECUTED, CallError(ErrorCode.MISCONFIGURED, type(cause).__name__), {})
    if _never_connected(cause):
        return Refusal(Outcome.NOT_EXECUTED, CallError(ErrorCode.UNREACHABLE, message), {})
    return _unknown(ErrorCode.TIMEOUT if isinstance(cause, ReadTimeoutError) else ErrorCode.CONNECTION_BROKEN, message)


def _never_connected(reason: BaseException | None) -> bool:
    """Say whether it is proven that no byte of the request was sent: there was no connection to send it on.

    With redirects and retries switched off, the first connection is the only one, so these exceptions can
    only come from before the request was written. A timeout of the TLS handshake is reported as a read
    timeout: not proven.
    """
    if isinstance(reason, ProxyError):
        reason = reason.original_error
    if isinstance(reason, TLSError):  # the certificate is checked in the handshake, before the request
        return bool(reason.args) and isinstance(reason.args[0], ssl.SSLCertVerificationError)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _refused(problem: stripe.StripeError) -> Refusal:
    status = problem.http_status
    envelope = problem.json_body if isinstance(problem.json_body, Mapping) else {}
    error = child(envelope, "error")
    request_id = problem.request_id or ""
    message = (text_or_empty(error, "message") if error else str(problem.user_message or ""))[:MAX_MESSAGE_LENGTH]

    def refusal(
        outcome: Outcome, code: ErrorCode, *, stored: bool = False, retry_after: float | None = None
    ) -> Refusal:
        call_error = CallError(code, message, status, retry_after, stored_by_psp=stored)
        return Refusal(outcome, call_error, error or {}, request_id)

    if status == 429 or isinstance(problem, stripe.RateLimitError):
        return refusal(Outcome.NOT_EXECUTED, ErrorCode.RATE_LIMITED, retry_after=_retry_after(problem.headers))
    if error is None:  # not Stripe's own words: a gateway or a proxy answered
        by_gateway = status is not None and status >= 500
        return _unknown(ErrorCode.GATEWAY if by_gateway else ErrorCode.UNEXPECTED_ANSWER, message, status)
    if status in (401, 403):
        message = "Stripe does not take the account's key for this"  # its own words show parts of the key
        return refusal(Outcome.NOT_EXECUTED, ErrorCode.AUTHENTICATION)
    if text_or_empty(error, "code") == "idempotency_key_in_use" or status == 409:
        return refusal(Outcome.UNKNOWN, ErrorCode.KEY_IN_USE)
    if isinstance(problem, stripe.IdempotencyError) or text_or_empty(error, "type") == "idempotency_error":
        return refusal(Outcome.UNKNOWN, ErrorCode.KEY_MISMATCH)
    if status is None or status >= 500:
        return refusal(Outcome.UNKNOWN, ErrorCode.SERVER_ERROR, stored=True)
    if status == 404:
        return refusal(Outcome.DECLINED, ErrorCode.NOT_FOUND)
    if text_or_empty(error, "code") in _UNEXPECTED_STATES:
        return refusal(Outcome.UNKNOWN, ErrorCode.UNEXPECTED_STATE)
    return refusal(Outcome.DECLINED, ErrorCode.REFUSED, stored=status == 402)


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    for name, value in (headers or {}).items():
        if name.lower() == "retry-after":
            with contextlib.suppress(ValueError):  # a date is allowed by HTTP; then our own back-off decides
                return max(0.0, min(float(value), MAX_RETRY_AFTER_SECONDS))
    return None
