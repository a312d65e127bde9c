"""The contract between Florin and a payment service provider (PSP).

An adapter translates, nothing else: our request into the PSP's call, the PSP's answer into a `Result`. It
knows no model, no retry, no state; it is called from threads without a database connection. A PSP's "no" is
data. An adapter raises for programming errors only: a broken wire is `Outcome.UNKNOWN`, or `NOT_EXECUTED`
when no byte of the request can have arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What one call led to."""

    SUCCEEDED = "succeeded"  # the PSP did what was asked; for confirm: the money is authorized or captured
    PENDING = "pending"  # accepted, the result comes later
    REQUIRES_ACTION = "requires_action"  # the buyer must act (3-D Secure, a QR code)
    DECLINED = "declined"  # a definitive no
    NOT_EXECUTED = "not_executed"  # proven: nothing happened (never connected, 429, refused before the effect)
    UNKNOWN = "unknown"  # it may have happened: ask before doing anything else


class ObjectKind(StrEnum):
    """Kinds of objects at the PSP that we follow."""

    CHARGE = "charge"  # Stripe: PaymentIntent
    SESSION = "session"  # Stripe: Checkout Session
    SAVED_METHOD = "saved_method"  # Stripe: SetupIntent
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYEE = "payee"  # Stripe: a connected account
    TRANSFER = "transfer"  # from the platform's balance to a payee
    REVERSAL = "reversal"  # of a transfer
    PAYOUT = "payout"  # from a payee's balance to its bank
    BALANCE = "balance"


class ObjectStatus(StrEnum):
    """Where an object at the PSP stands, in our words."""

    OPEN = "open"  # exists, nothing tried yet
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    DECLINED = "declined"  # the last try was refused; the object can be tried again
    AUTHORIZED = "authorized"  # money is held, not captured
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # a refund that did not arrive
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the PSP said no. `code` is from our closed list (docs/errors.md), `message` is fit for a buyer."""

    code: str
    message: str
    retryable_by_buyer: bool
    psp_code: str = ""


@dataclass(frozen=True, slots=True)
class NextAction:
    """What the buyer must do: go to `url`."""

    type: str
    url: str


@dataclass(frozen=True, slots=True)
class MethodDetails:
    """The payment method as the PSP describes it; never more than this of a card."""

    type: str
    funding: str = ""
    brand: str = ""
    last4: str = ""


class DisputeStage(StrEnum):
    """Where a dispute stands. In an inquiry no money has moved; it may become a dispute, also after it was closed."""

    INQUIRY_OPEN = "inquiry_open"
    INQUIRY_REVIEW = "inquiry_review"
    INQUIRY_CLOSED = "inquiry_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    LOST = "lost"
    WON = "won"


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """What the PSP says of a dispute and of the money that moved because of it. Amounts in our minor units.

    The four amounts only ever grow. They are counted in `money_currency`, which is empty while nothing has moved and
    names every currency (`EUR+USD`) when there are several: then the amounts mean nothing.
    """

    stage: DisputeStage
    reason: str = ""
    network_reason: str = ""
    taken_minor: int = 0
    returned_minor: int = 0
    cost_minor: int = 0  # what the PSP charged for the dispute
    cost_returned_minor: int = 0
    money_currency: str = ""
    evidence_due_at: datetime | None = None
    evidence_count: int = 0  # how often evidence was handed in


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the PSP says an object is now. Amounts in our minor units (ISO 4217 exponents)."""

    kind: ObjectKind
    psp_id: str
    status: ObjectStatus
    currency: str = ""
    amount_minor: int = 0
    capturable_minor: int = 0
    captured_minor: int = 0
    failure: Failure | None = None
    next_action: NextAction | None = None
    method: MethodDetails | None = None
    # Of a session: the charge it pays; of a refund or a dispute: the charge it is about; of a reversal: its transfer.
    charge_psp_id: str = ""
    customer: str = ""
    payment_method: str = ""  # the reusable method of a saved-method object
    url: str = ""  # where a hosted session is paid
    created_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    dispute: DisputeFacts | None = None  # given with every dispute


class ErrorCode(StrEnum):
    """What went wrong with a call, whatever its outcome."""

    UNREACHABLE = "psp_unreachable"  # no connection was made
    MISCONFIGURED = "psp_misconfigured"  # the address or the key cannot even be sent
    AUTHENTICATION = "psp_authentication"
    RATE_LIMITED = "psp_rate_limited"
    TIMEOUT = "psp_timeout"
    CONNECTION_BROKEN = "psp_connection_broken"
    GATEWAY = "psp_gateway"  # a 5xx that the PSP itself did not write
    UNEXPECTED_ANSWER = "psp_unexpected_answer"
    SERVER_ERROR = "psp_server_error"
    KEY_IN_USE = "psp_key_in_use"  # the same request is still being worked on
    KEY_MISMATCH = "psp_key_mismatch"  # the key was used for another request: never send it again
    UNEXPECTED_STATE = "psp_unexpected_state"
    REFUSED = "psp_refused"  # a definitive no; `Result.failure` says why
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class CallError:
    """What went wrong with a call, for people and for the retry policy. `code` is one of `ErrorCode`."""

    code: str
    message: str
    http_status: int | None = None
    retry_after_seconds: float | None = None
    stored_by_psp: bool = False  # the PSP will repeat this answer for the same idempotency key


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """One movement of our balance at the PSP, as its own books have it. Amounts in our minor units, signed.

    `amount_minor` is before the fee, `net_minor` after it. `category` is the PSP's word. The ids are the PSP's: of what
    moved, of the charge that it is about (the object that we follow, and the payment beneath it).
    """

    psp_id: str
    category: str
    currency: str
    amount_minor: int
    fee_minor: int
    net_minor: int
    created_at: datetime
    available_at: datetime
    moved_psp_id: str = ""
    charge_psp_id: str = ""
    payment_psp_id: str = ""
    payout_psp_id: str = ""
    description: str = ""
    trace_id: str = ""
    # What the buyer was charged, where it is another currency than the one that is settled.
    paid_currency: str = ""
    paid_minor: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one call. `snapshot` is given whenever the PSP said what the object is.

    `failure` is given with every DECLINED: a refusal may come without an object (an unknown token, a refund).
    """

    outcome: Outcome
    snapshot: Snapshot | None = None
    error: CallError | None = None
    request_id: str = ""
    failure: Failure | None = None
    # Of a list: one page of it, and where the next one goes on; empty at its end.
    changes: tuple[Change, ...] = ()
    balance_lines: tuple[BalanceLine, ...] = ()
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What every money-moving call carries: the idempotency key and the metadata that identifies us later."""

    idempotency_key: str
    operation_id: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line on the PSP's own page."""

    description: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """Create the charge object, unconfirmed: it moves no money."""

    amount_minor: int
    currency: str
    capture_later: bool
    description: str = ""
    method_types: tuple[str, ...] = ()
    customer: str = ""  # with a saved method


@dataclass(frozen=True, slots=True)
class HostedRequest:
    """Open the PSP's own page for a charge (`saves_method` False) or for saving a method (True)."""

    amount_minor: int
    currency: str
    capture_later: bool
    lines: tuple[OrderLine, ...]
    return_url: str
    cancel_url: str
    method_types: tuple[str, ...] = ()
    saves_method: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """Pay a registered charge with a token; `customer` and `off_session` for a saved method."""

    token: str
    return_url: str
    customer: str = ""


@dataclass(frozen=True, slots=True)
class PayeeRequest:
    """Make a seller's bank account known to the PSP. The numbers are secrets: they are never logged or kept."""

    country: str
    currency: str
    account_number: str = field(repr=False)
    routing_number: str = field(repr=False)
    account_holder: str = field(repr=False)
    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceDocument:
    """A document of evidence. `kind` says what it shows (`receipt`); the type was checked by its first bytes."""

    kind: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """Answer a dispute, for good: texts and documents by what they show (payments/evidence.py lists the names)."""

    texts: Mapping[str, str]
    documents: tuple[EvidenceDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class NotificationRef:
    """What a verified notification points to: a hint. The object is fetched before anything is believed."""

    event_id: str
    type: str
    kind: ObjectKind | None  # None: not a kind that we follow
    psp_id: str
    created_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    charge_psp_id: str = ""  # of a refund or a dispute: the charge it is about


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a PSP says has happened, found by asking: what its notification would have said, or did say."""

    ref: NotificationRef
    payload: Mapping[str, object]


class NotificationRejected(Exception):  # it is a verdict, not a fault
    """A notification whose signature, age or form is wrong. Nothing about it may be believed or stored."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Adapter(Protocol):
    """One PSP account, ready to call. Thread-safe; holds credentials and a connection pool, nothing else."""

    name: str

    def register(self, context: CallContext, request: RegisterRequest) -> Result: ...

    def create_hosted_session(self, context: CallContext, request: HostedRequest) -> Result: ...

    def save_method(self, context: CallContext, token: str, return_url: str, customer: str = "") -> Result: ...

    def confirm(self, context: CallContext, psp_id: str, request: ConfirmRequest) -> Result: ...

    def capture(self, context: CallContext, psp_id: str, amount_minor: int, currency: str) -> Result: ...

    def cancel(self, context: CallContext, psp_id: str, session_id: str) -> Result: ...

    def refund(self, context: CallContext, psp_id: str, amount_minor: int, currency: str) -> Result: ...

    def submit_evidence(self, context: CallContext, psp_id: str, request: EvidenceRequest) -> Result:
        """Hand evidence in. SUCCEEDED: the PSP has it. DECLINED: it does not take it (any more)."""
        ...

    def accept_dispute(self, context: CallContext, psp_id: str) -> Result:
        """Give a dispute up: the buyer keeps the money. SUCCEEDED: it is lost. DECLINED: it cannot be given up."""
        ...

    def create_payee(self, context: CallContext, request: PayeeRequest) -> Result: ...

    def transfer(self, context: CallContext, payee: str, amount_minor: int, currency: str) -> Result:
        """Move money from our balance to a payee's. A balance that is too low is DECLINED, `insufficient_balance`."""
        ...

    def reverse_transfer(self, context: CallContext, transfer: str, amount_minor: int, currency: str) -> Result: ...

    def payout(self, context: CallContext, payee: str, amount_minor: int, currency: str) -> Result:
        """Pay a payee's balance out to its bank. PENDING until the PSP says that it arrived."""
        ...

    def cancel_payout(self, context: CallContext, payee: str, payout: str) -> Result:
        """Stop a payout that has not left yet, and say where it stands.

        SUCCEEDED: it is cancelled, or had ended before: the snapshot tells. DECLINED, `payout_not_cancellable`: it is
        on its way and goes on.
        """
        ...

    def balance(self, currency: str) -> Result:
        """Ask what is available in our own balance now: `Snapshot.amount_minor` of kind BALANCE, zero or less too."""
        ...

    def fetch(self, kind: ObjectKind, psp_id: str, owner: str = "") -> Result:
        """Ask what an object is now (strongly consistent): SUCCEEDED whenever the PSP says what it is.

        An unknown id is DECLINED with code `not_found`. `owner`: of a payout, the payee whose balance it is paid from;
        of a reversal, its transfer.
        """
        ...

    def find(self, kind: ObjectKind, operation_id: str, near: datetime, owner: str = "") -> Result:
        """Look for the object that an operation created, by listing and comparing metadata, never by search.

        SUCCEEDED with a snapshot when found, NOT_EXECUTED when the listing proves its absence, else UNKNOWN. `owner`
        narrows the list: a refund's charge, a payout's payee, a reversal's transfer.
        """
        ...

    def changes(self, since: datetime, cursor: str = "") -> Result:
        """List what has happened since a moment and is found in no other way: one page, newest first.

        SUCCEEDED with `Result.changes`; with a `Result.cursor` while there is more. Only what moves money without a
        call of ours: refunds and disputes, and payments that succeed when nobody waits for them any more.
        """
        ...

    def balance_lines(self, since: datetime, until: datetime, cursor: str = "") -> Result:
        """List every movement of our own balance from `since` on and before `until`: one page, newest first.

        SUCCEEDED with `Result.balance_lines`; with a `Result.cursor` while there is more.
        """
        ...

    def ensure_webhook(self, url: str) -> str:
        """Register our notification address and return its secret. Raises `ConnectionError` on failure."""
        ...


class NotificationReader(Protocol):
    """How a PSP's notifications are verified and read; needs no credentials but the signing secret."""

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> None:
        """Raise `NotificationRejected` unless the signature is right and fresh."""
        ...

    def parse(self, body: bytes) -> NotificationRef:
        """Read a verified body. Raises `NotificationRejected` for a form that is not the PSP's."""
        ...
