"""The bodies of what proposes a manual journal: strict models, and how their legs become those of a draft."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from ledger.errors import MoneyError
from ledger.models import Side
from ledger.money import Money
from payments.api import bodies
from payments.api.bodies import Amount, AmountOrAll, Body, Currency, Metadata, Page
from payments.errors import FieldError
from wallet.legs import LIMIT, DraftLeg
from wallet.proposals import MAX_REFERENCE, MAX_TEXT

_SIDES: Final = {"debit": Side.DEBIT, "credit": Side.CREDIT}


def _printable(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("invalid_value", "must not hold control characters")
    return value


def _time(value: object) -> datetime:
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise PydanticCustomError("invalid_time", "must be an RFC 3339 time with its offset")
    return read


Code = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE), AfterValidator(_printable)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(_printable)]
Time = Annotated[datetime, BeforeValidator(_time)]


class NewLeg(Body):
    """One side of a manual journal. `"debit": "3.00"` is short for `"side": "debit", "amount": "3.00"`."""

    account: Code
    side: Literal["debit", "credit"]
    amount: Amount
    currency: Currency

    @model_validator(mode="before")
    @classmethod
    def _in_full(cls, leg: object) -> object:
        if not isinstance(leg, dict) or "side" in leg:
            return leg
        named = [word for word in _SIDES if word in leg]
        if len(named) != 1:
            return leg
        side = named[0]
        rest = {name: value for name, value in leg.items() if name != side}
        if rest.setdefault("amount", leg[side]) != leg[side]:
            raise PydanticCustomError("ambiguous", "names two amounts")
        return {**rest, "side": side}


Legs = Annotated[list[NewLeg], Field(min_length=2, max_length=LIMIT)]


class NewTransaction(Body):
    """A manual journal. Without `effective_at` it takes effect when it is approved; `memo` says why."""

    kind: Literal["adjust", "write_off"]
    reference: Reference
    effective_at: Time | None = None
    memo: Sentence
    legs: Legs
    metadata: Metadata = Field(default_factory=dict)


class NewReversal(Body):
    """Take a transaction back: all of it, `amount` of its two legs, or some `legs` of the other side."""

    memo: Sentence
    reference: Reference | None = None
    effective_at: Time | None = None
    amount: Amount | None = None
    legs: Legs | None = None


class NewAdjustment(Body):
    """Give a wallet an amount, or take one from what it has available."""

    type: Literal["credit", "debit"]
    amount: Amount
    reason: Sentence
    reference: Reference


class NewFeeWithdrawal(Body):
    """Take what the platform earned out of a bank account: `bank` is its name, `"all"` everything that there is."""

    amount: AmountOrAll
    currency: Currency
    bank: Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    reference: Reference
    memo: Sentence


class Rehearsal(BaseModel):
    """Query of a POST that can be tried without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    dry_run: bool = False


class ProposalsPage(Page):
    """Query of `GET /ledger/proposals`."""

    status: Literal["awaiting_approval", "approved", "rejected", "expired"] | None = None
    reference: Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE)] | None = None


def draft_legs(legs: Sequence[NewLeg]) -> tuple[DraftLeg, ...]:
    """Return legs in minor units. Raises `Invalid` naming every amount that its currency cannot express."""
    made, errors = [], []
    for place, leg in enumerate(legs):
        try:
            minor = Money.parse(leg.amount, leg.currency).minor
        except MoneyError as error:
            errors.append(FieldError(f"legs[{place}].amount", "invalid_amount", str(error)))
        else:
            made.append(DraftLeg(leg.account, _SIDES[leg.side], minor, leg.currency))
    if errors:
        raise bodies.invalid(errors)
    return tuple(made)


def minor_of(amount: str, currency: str) -> int:
    """Return the `amount` of a body in minor units. Raises `Invalid`."""
    try:
        return Money.parse(amount, currency).minor
    except MoneyError as error:
        raise bodies.invalid([FieldError("amount", "invalid_amount", str(error))]) from None


def side_of(word: str) -> Side:
    """Return the side that `debit` or `credit` means."""
    return _SIDES[word]
