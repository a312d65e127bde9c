"""The bodies and queries of the API: strict models that refuse what they do not know.

They check the shape of one field at a time. What depends on several fields, or on the database, is checked where it is
known (`new_payments` for a checkout). Errors become the API's field errors, all at once; a message never repeats the
value that was sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ledger.errors import MoneyError
from ledger.ids import parse_public_id
from ledger.money import EXPONENTS, Money
from payments import calendars
from payments.errors import FIELD_CODES, FieldError, Invalid

MAX_ORDERS: Final = 100
MAX_PAYMENTS: Final = 500
MAX_ERRORS: Final = 100
_MAX_METADATA_KEYS: Final = 50
_FINEST: Final = "CLF"  # four decimals: the form of an amount whose currency is not known
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)

Method = Literal["card", "wallet", "qr"]
METHODS: Final[tuple[Method, ...]] = ("card", "wallet", "qr")


def _amount(value: object) -> object:
    try:
        Money.parse(value, _FINEST)  # type: ignore[arg-type] # what is no text is refused by it
    except MoneyError as error:
        reason = "has too many decimals" if _FINEST in str(error) else str(error)
        raise PydanticCustomError("invalid_amount", "{reason}", {"reason": reason}) from None
    return value


def _currency(value: object) -> object:
    if not isinstance(value, str) or value not in EXPONENTS:
        raise PydanticCustomError("invalid_currency", "must be an ISO 4217 code in capitals, for example EUR")
    return value


def _country(value: str) -> str:
    if not _COUNTRY.fullmatch(value):
        raise PydanticCustomError("invalid_country", "must be an ISO 3166 code of two capitals, for example DE")
    return value


def _email(value: str) -> str:
    if value and not _EMAIL.fullmatch(value):
        raise PydanticCustomError("invalid_email", "must be an e-mail address")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("invalid_value", "must not hold control characters")
    return value


def _web_address(value: str) -> str:
    if not value:
        return value
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        good = good and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not value.isprintable() or any(character in value for character in ' "<>\\^`{|}'):
        raise PydanticCustomError("invalid_url", "must be an absolute http or https address")
    return value


def _metadata(value: object) -> object:
    if not isinstance(value, dict):
        raise PydanticCustomError("invalid_type", "must be an object of texts")
    if len(value) > _MAX_METADATA_KEYS:
        raise PydanticCustomError("too_long", "holds more than 50 keys")
    for key, text in value.items():
        if not isinstance(text, str):
            raise PydanticCustomError("invalid_type", "every value must be a text")
        if not 1 <= len(key) <= 40 or len(text) > 500:
            raise PydanticCustomError("too_long", "keys have 1 to 40 characters, values at most 500")
    return value


def _token(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_\-]{1,255}", value, re.ASCII):
        raise PydanticCustomError("invalid_token", "must be a token of a PSP: letters, digits, _ and -")
    return value


def _not_an_id_of_ours(value: str) -> str:
    if parse_public_id("sel", value) is not None:
        raise PydanticCustomError("invalid_value", "must not look like an id of ours")
    return value


def _calendar(value: str) -> str:
    if not calendars.is_calendar(value):
        raise PydanticCustomError("invalid_value", "must be target2, weekends or a country, for example DE")
    return value


def _time_zone(value: str) -> str:
    if not calendars.is_time_zone(value):
        raise PydanticCustomError("invalid_value", "must be a time zone, for example Europe/Berlin")
    return value


def _each_once(value: list[str]) -> list[str]:
    if len(set(value)) != len(value):
        raise PydanticCustomError("duplicate", "names a method twice")
    return value


def _day(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("invalid_time", "must be a day, for example 2026-01-01")


def _month(value: object) -> object:
    return _day(f"{value}-01") if isinstance(value, str) and len(value) == 7 else _day(None)


def _amount_or_all(value: object) -> object:
    return value if value == "all" else _amount(value)


def _amount_or_zero(value: object) -> object:
    return value if isinstance(value, str) and ZERO.fullmatch(value) else _amount(value)


ZERO: Final = re.compile(r"0(\.0{1,4})?", re.ASCII)
Amount = Annotated[str, BeforeValidator(_amount), Field(examples=["19.99"])]
AmountOrAll = Annotated[str, BeforeValidator(_amount_or_all), Field(examples=["19.99", "all"])]
AmountOrZero = Annotated[str, BeforeValidator(_amount_or_zero), Field(examples=["1000.00", "0"])]
Currency = Annotated[str, BeforeValidator(_currency), Field(examples=["EUR"])]
Day = Annotated[date, BeforeValidator(_day), Field(examples=["2026-01-01"])]
Month = Annotated[date, BeforeValidator(_month), Field(examples=["2026-10"])]
Country = Annotated[str, AfterValidator(_country), Field(examples=["DE"])]
Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(_email)]
Metadata = Annotated[dict[str, str], BeforeValidator(_metadata)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
Reference = Annotated[str, StringConstraints(max_length=255), AfterValidator(_printable)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
Token = Annotated[str, AfterValidator(_token), Field(examples=["pm_card_visa"])]
WebAddress = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_web_address)]


class Body(BaseModel):
    """Base: strict types, no unknown fields, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Buyer(Body):
    """Who pays. All of it is optional; nothing depends on `kind`."""

    id: Annotated[str, StringConstraints(max_length=255), AfterValidator(_printable)] | None = None
    kind: Literal["person", "organisation"] = "person"
    name: Name | None = None
    email: Email | None = None
    phone: Annotated[str, StringConstraints(max_length=40), AfterValidator(_printable)] | None = None
    country: Country | None = None


class PaymentMethod(Body):
    """A token of the PSP that stands for the buyer's card, wallet or account."""

    token: Token


class NewOrder(Body):
    """The part of a checkout that goes to one seller."""

    reference: Reference = ""
    seller: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    amount: Amount
    currency: Currency | None = None
    description: Annotated[str, StringConstraints(max_length=500)] = ""
    metadata: Metadata = Field(default_factory=dict)


class NewPayment(Body):
    """A checkout. One of `payment_orders`, `items` or `amount` says what is paid."""

    checkout_id: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)]
    payment_type: Literal["pay_in"] = "pay_in"
    currency: Currency
    amount: Amount | None = None
    buyer: Buyer = Field(default_factory=Buyer)
    payment_orders: Annotated[list[NewOrder], Field(min_length=1, max_length=MAX_ORDERS)] | None = None
    items: Annotated[list[NewOrder], Field(min_length=1, max_length=1000)] | None = None
    payment_method: PaymentMethod | None = None
    payment_method_types: Annotated[list[Method], Field(min_length=1, max_length=3), AfterValidator(_each_once)] = (
        Field(default_factory=lambda: list(METHODS))
    )
    charge_mode: Literal["single", "per_order"] = "single"
    capture: Literal["automatic", "manual"] = "automatic"
    return_url: WebAddress = ""
    metadata: Metadata = Field(default_factory=dict)


class NewBulkPayment(NewPayment):
    """A checkout of a bulk request, with a key of its own."""

    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class NewBulk(Body):
    """Up to 500 checkouts; each is answered on its own."""

    payments: Annotated[list[NewBulkPayment], Field(min_length=1, max_length=MAX_PAYMENTS)]


class ProcessMethod(Body):
    """A token of the PSP, or the buyer's stored value, which needs none."""

    type: Literal["token", "stored_value"] = "token"
    token: Token | None = None


class Process(Body):
    """Pay what is unpaid of a payment."""

    payment_method: ProcessMethod


class ProcessOrder(Body):
    """Pay one order; an amount given must be the order's own."""

    payment_method: PaymentMethod
    amount: Amount | None = None


class CaptureOrder(Body):
    """How much of one order to capture."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    amount: Amount


class Capture(Body):
    """All (`{}`), a part of the only order (`amount`), or parts of some (`payment_orders`)."""

    amount: Amount | None = None
    payment_orders: Annotated[list[CaptureOrder], Field(min_length=1, max_length=MAX_ORDERS)] | None = None


class Cancel(Body):
    """Nothing to say."""


class Deliver(Body):
    """Nothing to say."""


class NewTopUp(Body):
    """A buyer pays in: with a token at once, without one on the hosted page."""

    checkout_id: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)]
    currency: Currency
    amount: Amount
    payment_method: PaymentMethod | None = None
    return_url: WebAddress = ""
    metadata: Metadata = Field(default_factory=dict)


class NewRefund(Body):
    """Money of one order goes back: `amount` of it, or all that is left."""

    payment_order: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    amount: Amount | None = None
    reason: Literal["requested_by_customer", "duplicate", "fraudulent"] = "requested_by_customer"
    reference: Reference = ""
    to: Literal["original", "stored_value"] = "original"


class NewFeePlan(Body):
    """What the platform keeps: basis points of the amount, and a fixed part per currency and order."""

    basis_points: Annotated[int, Field(ge=0, le=10_000)]
    fixed: dict[Currency, Amount] = Field(default_factory=dict)


class PayoutSchedule(Body):
    """When a seller is paid out, and from which balance on."""

    interval: Literal["manual", "on_release", "daily", "weekly", "monthly"] = "manual"
    minimum: Amount | None = None
    day: Annotated[int, Field(ge=1, le=31)] | None = None

    @model_validator(mode="after")
    def _day_fits(self) -> PayoutSchedule:
        longest = {"weekly": 7, "monthly": 31}.get(self.interval, 0)
        if self.day is not None and self.day > longest:
            raise PydanticCustomError("not_supported", "weekly has days 1 (Monday) to 7, monthly 1 to 31, others none")
        return self


class Reserve(Body):
    """What is held back of each release, and for how many days; 0 and 0 for nothing."""

    basis_points: Annotated[int, Field(ge=0, le=10_000)]
    days: Annotated[int, Field(ge=0, le=365)]

    @model_validator(mode="after")
    def _both_or_none(self) -> Reserve:
        if bool(self.basis_points) != bool(self.days):
            raise PydanticCustomError("invalid_value", "a share needs days, and days need a share")
        return self


class NewSeller(Body):
    """Who is owed money. `fee_plan` replaces the merchant's own for this seller."""

    external_id: Annotated[
        str,
        StringConstraints(min_length=1, max_length=100),
        AfterValidator(_printable),
        AfterValidator(_not_an_id_of_ours),
    ]
    name: Name
    country: Country
    email: Email = ""
    default_currency: Currency
    settlement_currency: Currency | None = None
    fee_plan: NewFeePlan | None = None
    payout_schedule: PayoutSchedule = Field(default_factory=PayoutSchedule)
    reserve: Reserve | None = None
    metadata: Metadata = Field(default_factory=dict)


class NewQuote(Body):
    """Ask what an amount of a wallet is worth in another currency; `all` is what is available now."""

    to_currency: Currency
    amount: AmountOrAll


class Nothing(Body):
    """A body without fields, or none."""


class VatRate(Body):
    """The tax on the platform's fee to sellers of a country, from a day on. Zero says in `note` why."""

    country: Country
    valid_from: Day
    basis_points: Annotated[int, Field(ge=0, le=5000)]
    note: Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)] = ""

    @model_validator(mode="after")
    def _zero_is_explained(self) -> VatRate:
        if self.basis_points == 0 and not self.note:
            raise PydanticCustomError("required", "a rate of zero needs a note that says why")
        return self


class BillingTerms(Body):
    """Who bills sellers, and by which rates."""

    name: Name
    address: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]
    country: Country
    vat_id: Annotated[str, StringConstraints(max_length=20), AfterValidator(_printable)] = ""
    vat_rates: Annotated[list[VatRate], Field(max_length=300)] = Field(default_factory=list)


class ChangedSeller(Body):
    """What changes of a seller; a field that is left out stays. A closed seller is paid out nothing."""

    name: Name | None = None
    email: Email | None = None
    payout_schedule: PayoutSchedule | None = None
    reserve: Reserve | None = None
    metadata: Metadata | None = None
    status: Literal["active", "closed"] | None = None


class Kyc(Body):
    """The result of a verification, and where it can be looked up."""

    status: Literal["unverified", "pending", "verified", "rejected"]
    reference: Reference = ""


class NewDestination(Body):
    """A bank account: `iban`; or `us_bank` with routing and account number; or `gb_bank` with sort code and account."""

    type: Literal["iban", "us_bank", "gb_bank"]
    account_holder: Annotated[str, StringConstraints(min_length=1, max_length=70), AfterValidator(_printable)]
    iban: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = None
    routing_number: Annotated[str, StringConstraints(min_length=1, max_length=20)] | None = None
    sort_code: Annotated[str, StringConstraints(min_length=1, max_length=20)] | None = None
    account_number: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    currency: Currency | None = None


class NewPayout(Body):
    """A payout: an amount, or `all` that is available."""

    seller: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    amount: AmountOrAll
    currency: Currency
    reference: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)] | None = None


class NewPayOut(NewPayout):
    """The pay-out event: a payout asked for where payments are. `seller_details` is a bank account."""

    payment_type: Literal["pay_out"]
    seller_details: NewDestination | None = None


class NewMerchant(Body):
    """An e-commerce site. It gets a book, a key, a fee plan and a house seller."""

    name: Name
    mode: Literal["test", "live"] = "test"
    country: Country = "DE"
    default_currency: Currency = "EUR"
    fee_plan: NewFeePlan = Field(default_factory=lambda: NewFeePlan(basis_points=1000))


class MerchantTerms(Body):
    """When sellers' shares become available, and what happens to the platform fee of a refund. All of it is set.

    Days after delivery are business days, `null` when delivery does not matter. Days after capture are calendar days
    unless `capture_days_are_business_days` says otherwise, `null` for never. `stored_value`: whether buyers may keep
    value with the merchant and pay with it. `payout_approval_above` stays as it is when it is left out, and only an
    administrator may set it: by currency, above which amount a payout needs a second person (`"0"`: every one; a
    currency that is not named: none).
    """

    mode: Literal["test", "live"] = "test"
    release_days_after_delivery: Annotated[int, Field(ge=0, le=365)] | None
    release_days_after_capture: Annotated[int, Field(ge=0, le=365)] | None
    capture_days_are_business_days: bool = False
    business_calendar: Annotated[str, AfterValidator(_calendar)] = "target2"
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    refund_fee_policy: Literal["keep", "return", "proportional"]
    stored_value: bool = False
    payout_approval_above: Annotated[dict[Currency, AmountOrZero], Field(max_length=200)] | None = None


class PspCredentials(Body):
    """A merchant's account at a PSP. Secrets are sealed and never shown again."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_\-]{0,31}$")] | None = None
    mode: Literal["test", "live"] = "test"
    api_key: Secret
    webhook_secret: Secret | None = None
    base_url: Annotated[str, StringConstraints(max_length=200), AfterValidator(_web_address)] = ""
    payout_mode: Literal["psp", "bank"] = "psp"


class OwnBankAccount(Body):
    """A bank account of the merchant's own. The IBAN of a name never changes."""

    mode: Literal["test", "live"] = "test"
    currency: Currency = "EUR"
    iban: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    bic: Annotated[str, StringConstraints(pattern=r"^[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?$")] | None = None
    account_holder: Annotated[str, StringConstraints(min_length=1, max_length=70), AfterValidator(_printable)]
    file_format: Literal["pain.001.001.03", "pain.001.001.09"] = "pain.001.001.09"


class Page(BaseModel):
    """Query of a list."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None


class InvoicesPage(Page):
    """Query of `GET /invoices`."""

    seller: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    month: Month | None = None


class PaymentsPage(Page):
    """Query of `GET /payments`."""

    checkout_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    status: (
        Literal[
            "requires_payment_method",
            "processing",
            "requires_action",
            "requires_capture",
            "succeeded",
            "partially_succeeded",
            "failed",
            "cancelled",
            "expired",
        ]
        | None
    ) = None
    created_after: datetime | None = None


class PaymentOrdersPage(Page):
    """Query of `GET /payment-orders`."""

    status: Literal["NOT_STARTED", "EXECUTING", "AUTHORIZED", "SUCCESS", "FAILED", "CANCELLED", "EXPIRED"] | None = None
    seller: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    reference: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    checkout_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None


class RefundsPage(Page):
    """Query of `GET /refunds`."""

    payment_order: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    status: Literal["pending", "succeeded", "failed"] | None = None
    reference: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None


class PayoutsPage(Page):
    """Query of `GET /payouts`."""

    status: Literal["requires_approval", "pending", "sent", "paid", "failed", "returned", "cancelled"] | None = None
    seller: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    reference: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None


class DisputesPage(Page):
    """Query of `GET /disputes`."""

    status: (
        Literal["inquiry_open", "inquiry_review", "inquiry_closed", "needs_response", "under_review", "lost", "won"]
        | None
    ) = None
    payment_order: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    payment: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None


class SellersPage(Page):
    """Query of `GET /sellers`."""

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None


_CODES: Final = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "literal_error": "invalid_value",
    "enum": "invalid_value",
    "string_pattern_mismatch": "invalid_value",
    "greater_than_equal": "invalid_value",
    "less_than_equal": "invalid_value",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "int_parsing": "invalid_value",
}
_DETAILS: Final = {
    "required": "this field is required",
    "unknown_field": "this field does not exist",
    "invalid_type": "this field has another type",
}


def read[M: BaseModel](model: type[M], value: object) -> M:
    """Check a value against a model. Raises `Invalid` with every bad field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(field_errors(error)) from None


def invalid(errors: Sequence[FieldError]) -> Invalid:
    """Return the refusal of a request whose fields are wrong."""
    names = ", ".join(dict.fromkeys(error.field for error in errors[:10]))
    return Invalid("invalid_request", f"wrong: {names}", errors=errors[:MAX_ERRORS])


def field_errors(error: ValidationError) -> list[FieldError]:
    """Translate pydantic's errors into ours."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [_field_error(one) for one in details[:MAX_ERRORS]]


def path(location: Sequence[int | str]) -> str:
    """Write a location as `payment_orders[0].amount`."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step != "[key]":
            text += f".{step}" if text else step
    return text[:200]


def _field_error(one: ErrorDetails) -> FieldError:
    kind = one["type"]
    if kind in FIELD_CODES and kind not in ("too_long", "too_short"):  # one of ours, with a sentence of ours
        return FieldError(path(one["loc"]), kind, one["msg"])
    code = _CODES.get(kind, "invalid_time" if kind.startswith(("datetime", "timezone")) else "invalid_type")
    return FieldError(path(one["loc"]), code, _DETAILS.get(code, one["msg"]))
