"""What payments may refuse, and the closed list of codes that a client of the API can meet.

    PaymentsError
    +-- Invalid            400  the request is wrong; `errors` names every bad field
    +-- Unauthenticated    401  no valid key, or a bad signature
    +-- Forbidden          403  the key lacks a scope
    +-- NotFound           404  no such object in the caller's book
    +-- Conflict           409  the request contradicts something that exists
    |   +-- InvalidState       the object is not in a state that allows it
    |   +-- StillRunning       the same request is being worked on; try again
    |   +-- NotSealedYet       no seal covers the transaction; try again
    +-- TooLarge           413  the body is over its limit
    +-- Unprocessable      422  understood, and refused for a reason in the data
    +-- Unavailable        503  something we need is away; try again

A decline is not here: it is data on the order. An exception means that the caller is refused and nothing was
stored. `docs/errors.md` is generated from `CATALOGUE` (`python manage.py document_errors`), and a test finds
every code that the sources raise without being listed. This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

Outcome = Literal["none", "unknown", "executed"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: a path (`payment_orders[0].amount`), a code of `FIELD_CODES`, a sentence for people."""

    field: str
    code: str
    detail: str


class PaymentsError(Exception):
    """A refusal. `outcome` tells whether anything was executed: refusals never are unless they say so."""

    status: ClassVar[int] = 400
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str = "",
        errors: Sequence[FieldError] = (),
        retry_after_seconds: int | None = None,
        outcome: Outcome = "none",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = tuple(errors) or ((FieldError(field, code, message),) if field else ())
        self.retry_after_seconds = retry_after_seconds
        self.outcome = outcome


class Invalid(PaymentsError):
    """The request is wrong. Sending it again cannot help."""

    status = 400


class Unauthenticated(PaymentsError):
    """No valid key came with the request, or its signature is wrong."""

    status = 401


class Forbidden(PaymentsError):
    """The key is valid and lacks the scope."""

    status = 403


class NotFound(PaymentsError):
    """There is no such object in the caller's book; another merchant's object looks exactly the same."""

    status = 404


class Conflict(PaymentsError):
    """The request contradicts something that exists."""

    status = 409


class InvalidState(Conflict):
    """The object is in a state that does not allow what was asked."""


class StillRunning(Conflict):
    """The first request with this idempotency key has not ended yet."""

    retryable = True


class NotSealedYet(Conflict):
    """No seal covers the transaction yet."""

    retryable = True


class TooLarge(PaymentsError):
    """The body is over its limit and was not read."""

    status = 413


class Unprocessable(PaymentsError):
    """Understood, well-formed, and refused."""

    status = 422


class Unavailable(PaymentsError):
    """Something we need is away for the moment."""

    status = 503
    retryable = True


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of the catalogue: the HTTP status, a title that never varies, and what a client should do."""

    status: int
    title: str
    advice: str
    retryable: bool = False


CATALOGUE: Final[dict[str, Listed]] = {
    # The form of a request
    "invalid_request": Listed(400, "The request is not valid", "Correct every field that `errors` names."),
    "invalid_json": Listed(
        400,
        "The body is not acceptable JSON",
        "Send one JSON object in UTF-8: no duplicate keys, no NaN, no NUL, at most 20 levels deep.",
    ),
    "card_number_not_accepted": Listed(
        400,
        "Card numbers are not accepted",
        "Never send a card number: use a token of the PSP, or the hosted page. Nothing was stored or logged.",
    ),
    "idempotency_key_missing": Listed(
        400, "Idempotency-Key is missing", "Send one on every POST that creates or moves money."
    ),
    "idempotency_key_invalid": Listed(
        400,
        "Idempotency-Key is not valid",
        "Send it once: 1 to 255 printable ASCII characters, bare or quoted.",
    ),
    "idempotency_key_not_allowed": Listed(
        400,
        "Idempotency-Key does not belong here",
        "In a bulk request each item has its own `idempotency_key`.",
    ),
    "invalid_cursor": Listed(400, "The cursor is not valid", "Use `next_cursor` of the page before, unchanged."),
    "bad_request": Listed(400, "The request cannot be understood", "Check address, headers and encoding."),
    "length_required": Listed(411, "Content-Length is required", "Do not send the body in chunks."),
    "method_not_allowed": Listed(405, "This method is not allowed here", "See the `Allow` header."),
    "not_acceptable": Listed(406, "This form of answer does not exist", "Accept application/json."),
    "body_too_large": Listed(413, "The body is too large", "256 KiB at most, 2 MiB for a bulk request."),
    "unsupported_media_type": Listed(415, "The body must be JSON", "Send `Content-Type: application/json`."),
    # Who asks
    "authentication_required": Listed(401, "An API key is required", "Send `Authorization: Bearer sk_...`."),
    "api_key_invalid": Listed(
        401, "The API key is not valid", "It is unknown, revoked or expired, or its merchant is suspended."
    ),
    "signature_required": Listed(
        401, "This request must be signed", "Send X-Request-Timestamp, X-Request-Nonce and X-Signature."
    ),
    "signature_invalid": Listed(
        401, "The signature is wrong", "Check the string to sign, the body's bytes and the signing secret."
    ),
    "timestamp_stale": Listed(
        401,
        "The request's time is too far from ours",
        "Sign with the current time in UTC, within 300 seconds.",
    ),
    "nonce_replayed": Listed(401, "The nonce was used before", "Sign every request with a fresh nonce."),
    "scope_missing": Listed(403, "The key may not do this", "Use a key with the scope that `detail` names."),
    "administrator_required": Listed(403, "Only an administrator may do this", "Use an administrator's key."),
    "merchant_key_required": Listed(403, "An administrator's key belongs to no book", "Use a key of the merchant."),
    # What exists, and in which state
    "not_found": Listed(404, "There is no such object", "Check the id, and that the key is of the right mode."),
    "checkout_id_conflict": Listed(
        409, "This checkout_id has other content", "A checkout keeps its content: use a new checkout_id."
    ),
    "seller_exists": Listed(409, "A seller with this external_id exists", "Read it, or choose another external_id."),
    "psp_account_exists": Listed(
        409, "An account of another PSP has this code", "Choose another `code` for the account."
    ),
    "invalid_state": Listed(409, "The object's state does not allow this", "Read the object and decide again."),
    "idempotency_in_progress": Listed(
        409, "The same request is still running", "Repeat it after `Retry-After` seconds.", retryable=True
    ),
    "not_sealed_yet": Listed(
        409, "The transaction is not sealed yet", "Ask again after `Retry-After` seconds.", retryable=True
    ),
    "idempotency_key_reused": Listed(
        422, "This Idempotency-Key was used for another request", "Use a new key for a new request."
    ),
    "no_psp_account": Listed(
        409, "The merchant has no PSP account", "Add one with PUT /merchants/{id}/psp-accounts/{psp}."
    ),
    "payment_not_processable": Listed(
        409, "Nothing of the payment can be started", "It is paid, cancelled or expired: read it."
    ),
    "payment_in_progress": Listed(409, "The payment is under way", "Wait for its result, then decide.", retryable=True),
    "payment_not_capturable": Listed(409, "Nothing is authorized", "Only authorized orders can be captured."),
    "payment_not_cancellable": Listed(409, "Nothing is left to cancel", "Refund what was paid."),
    "hosted_page_open": Listed(
        409, "The payment is open on the PSP's own page", "Let the buyer finish there, or cancel the payment."
    ),
    "outcome_unknown": Listed(
        409,
        "The outcome of an earlier try is unknown",
        "A person is looking at it: do not pay in another way.",
    ),
    "seller_closed": Listed(409, "The seller is closed", "Open it again with PATCH /sellers/{id}, or pay another one."),
    "payout_reference_exists": Listed(409, "A payout has this reference", "Find it with GET /payouts?reference=."),
    "payouts_stopped": Listed(
        409, "Nothing is paid out of this book", "Its sums are being looked at; payouts go on when a person says so."
    ),
    "invalid_bank_report": Listed(400, "This is no report of a bank", "Send a pain.002 message as the bank made it."),
    "no_bank_account": Listed(
        409,
        "The merchant has no bank account to pay from",
        "Set one with PUT /merchants/{id}/bank-accounts/{name}: the payout mode of its PSP account is `bank`.",
    ),
    "bank_account_exists": Listed(
        409,
        "The bank account is set down already",
        "The IBAN of a name never changes: use another name for another IBAN.",
    ),
    "bank_file_outdated": Listed(
        409, "What the file pays has changed", "Withdraw the file; the next one pays what may still be paid."
    ),
    "payout_not_cancellable": Listed(
        409, "The payout cannot be cancelled", "It is on its way, or it has ended: read it."
    ),
    "maker_is_not_checker": Listed(409, "Who asked does not approve", "Let somebody else approve it."),
    "dispute_not_answerable": Listed(
        409, "The dispute waits for no answer", "Evidence is given once, while a response is asked for and in time."
    ),
    "receipt_not_ready": Listed(409, "The order is not paid", "There is a receipt after SUCCESS."),
    "payment_order_not_paid": Listed(
        409, "The order is not paid", "Deliver and refund orders that are SUCCESS; cancel a payment that is not paid."
    ),
    "refund_exists": Listed(409, "A refund with this reference exists", "Read it, or choose another reference."),
    "refund_exceeds_captured": Listed(
        422,
        "The amount is more than what can go back",
        "Refund at most what was captured of the order, less its refunds and what disputes have taken.",
    ),
    "stored_value_off": Listed(
        409, "This merchant has no stored value", "Switch `stored_value` on with PUT /merchants/{id}/terms."
    ),
    "stored_value_not_possible": Listed(
        409, "Stored value cannot pay this", "Read `detail`; pay with a token, or take a new checkout in."
    ),
    "top_up_not_refundable": Listed(
        409, "What a buyer paid in is not refunded", "Correct the buyer's account by hand, and pay back outside."
    ),
    "insufficient_stored_value": Listed(
        422, "The buyer has less stored value", "Pay with a token: stored value pays all that is unpaid, or nothing."
    ),
    "buyer_unknown": Listed(
        422, "The payment does not say who the buyer is", "Send `buyer.id` with the checkout; refund to the original."
    ),
    "amount_mismatch": Listed(422, "The amount differs", "Send the order's own amount, or none."),
    "capture_exceeds_authorized": Listed(
        422, "The amount is more than what is held", "Capture at most what was authorized for the order."
    ),
    # Wallets
    "insufficient_available_balance": Listed(422, "Less is available", "Take at most what the wallet has available."),
    "quote_expired": Listed(422, "The quote has expired", "Ask for another one."),
    "quote_used": Listed(409, "The quote was executed before", "Ask for another one."),
    "amount_too_small": Listed(422, "Nothing would arrive", "Convert more at once."),
    "rate_unavailable": Listed(
        503, "There is no rate of these days", "Load rates (`load_rates`), then repeat the request.", retryable=True
    ),
    "vat_rate_missing": Listed(
        422, "A country has no rate of value added tax", "Set the rate of every country that sellers are in."
    ),
    "vat_rate_differs": Listed(409, "Another rate was set for this day", "Rates never change: use a later day."),
    "month_not_billable": Listed(
        409, "The month cannot be billed now", "Months are billed in order, once they are over."
    ),
    "statement_too_long": Listed(422, "Too long for one document", "Ask for a shorter period, or for JSON pages."),
    # The books
    "reference_conflict": Listed(
        409, "This reference has other content", "A reference keeps its content: use a new one for something else."
    ),
    "reference_raced": Listed(409, "The reference is being used at this moment", "Repeat the request.", retryable=True),
    "unbalanced": Listed(422, "Debits and credits differ", "Make the legs sum to zero in each currency."),
    "insufficient_balance": Listed(
        422, "A balance would fall below its floor", "Take less: a wallet never falls below zero."
    ),
    "insufficient_fees": Listed(
        422, "The platform has earned less", "Withdraw at most what `fees:platform:{currency}` holds."
    ),
    "account_closed": Listed(422, "An account is closed", "Use an account that takes postings."),
    "amount_out_of_range": Listed(422, "A balance would be too large", "Use smaller amounts."),
    "period_closed": Listed(
        422, "The period is closed", "Use a date in an open period; say in `memo` when it really was."
    ),
    "reversal_exceeds_original": Listed(
        422,
        "The reversal does not fit its original",
        "Reverse at most what is left of the original, account by account.",
    ),
    "posting_refused": Listed(422, "The books do not take this", "Read `detail`."),
    "seller_not_verified": Listed(
        422, "The seller is not verified", "Record its verification with POST /sellers/{id}/kyc."
    ),
    "payout_destination_missing": Listed(
        422, "The seller has no bank account", "Set one with PUT /sellers/{id}/payout-destination."
    ),
    "payout_destination_cooling_down": Listed(
        422, "The bank account was changed too recently", "Wait until its `usable_at`.", retryable=True
    ),
    "payout_currency_mismatch": Listed(
        422, "The seller takes no payouts in this currency", "Set a bank account in this currency, or use another one."
    ),
    "payout_currency_not_sepa": Listed(
        422, "The merchant's bank pays in euro only", "Pay this currency through a PSP: set its payout mode to `psp`."
    ),
    "payout_destination_not_sepa": Listed(
        422, "The seller's bank account cannot be reached", "Set an IBAN of a SEPA country for payouts in euro."
    ),
    "payout_below_minimum": Listed(
        422, "The amount is below the seller's minimum", "Pay out more, or lower `payout_schedule.minimum`."
    ),
    # Reconciliation
    "settlement_file_refused": Listed(
        422,
        "The settlement file is not believed",
        "Nothing of it was kept. `errors` names each row; docs/reference/settlement-files.md explains the codes.",
    ),
    "source_exists": Listed(409, "A source with this name exists", "Use it, or choose another name."),
    # PSP notifications
    "notification_rejected": Listed(
        400, "The notification was not accepted", "Its signature, age or form is wrong; nothing was stored."
    ),
    # Ours
    "rate_limited": Listed(429, "Too many requests", "Wait `Retry-After` seconds.", retryable=True),
    "internal_error": Listed(
        500,
        "Something failed on our side",
        "Repeat the request with the same Idempotency-Key.",
        retryable=True,
    ),
    "service_unavailable": Listed(
        503,
        "The service is not available for the moment",
        "Repeat the request with the same Idempotency-Key after `Retry-After` seconds.",
        retryable=True,
    ),
}

FIELD_CODES: Final[dict[str, str]] = {
    "required": "the field is missing",
    "unknown_field": "the field does not exist here; nothing that was sent is ignored",
    "invalid_type": "the value has another JSON type",
    "invalid_value": "the value is not one of those allowed, or has another form",
    "invalid_amount": "not a positive decimal string in major units that fits the currency",
    "invalid_currency": "not an ISO 4217 currency code",
    "invalid_country": "not an ISO 3166 country code in capitals",
    "invalid_email": "not an e-mail address",
    "invalid_url": "not an absolute http or https address",
    "invalid_time": "not an RFC 3339 time",
    "invalid_bank_account": "not a bank account: form or check digits are wrong",
    "invalid_token": "not a token of a PSP",
    "invalid_file": "not a PDF, PNG or JPEG file, by its first bytes",
    "too_large": "the file, or all files together, are over the limit",
    "too_short": "too few characters or items",
    "too_long": "too many characters or items",
    "currency_mismatch": "the currency differs from that of the payment",
    "sum_mismatch": "the amount differs from the sum of the orders",
    "unknown_seller": "no such seller in this book",
    "unknown_order": "no such order in this payment",
    "unknown_account": "no such account in this book",
    "personal_data": "a name that looks personal; the books hold no personal data",
    "duplicate": "the value appears twice",
    "ambiguous": "two fields that exclude each other are both given",
    "not_supported": "the combination or the kind is not supported",
}
