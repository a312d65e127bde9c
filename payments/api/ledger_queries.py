"""The queries of the ledger's endpoints: strict, like every body and query of the API.

Times are of RFC 3339 with an offset, so that nobody wonders whose midnight a period begins at.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from ledger import tree
from ledger.models import TransactionKind
from payments.api.bodies import Currency, Page
from payments.errors import FieldError

MAX_ROWS: Final = 1000
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_FIRST_YEAR, _LAST_YEAR = 1900, 2999


def _instant(value: object) -> object:
    try:
        if not isinstance(value, str) or not _INSTANT.fullmatch(value):
            raise ValueError
        at = datetime.fromisoformat(value.upper()).astimezone(UTC)
        if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
            raise ValueError
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "invalid_time", "must be a time with its offset (RFC 3339), for example 2026-11-01T00:00:00Z"
        ) from None
    return at


def _known_kind(value: object) -> object:
    if value not in TransactionKind.values:
        raise PydanticCustomError("invalid_value", "is not a kind of transaction")
    return value


Instant = Annotated[datetime, BeforeValidator(_instant), Field(examples=["2026-11-01T00:00:00Z"])]
Code = Annotated[str, StringConstraints(min_length=1, max_length=128), Field(examples=["bank:main:EUR"])]
Kind = Annotated[str, BeforeValidator(_known_kind), Field(examples=["settle_charge"])]
BasisName = Literal["posted", "effective"]


class Query(BaseModel):
    """Base of a query that is no list."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Period(Page):
    """A list of what happened in a period: `from` is included, `to` is not."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    to: Instant | None = None

    def errors(self) -> list[FieldError]:
        """Return what is wrong with fields that do not fit each other."""
        if self.from_ is None or self.to is None or self.from_ <= self.to:
            return []
        return [FieldError("to", "invalid_value", "must not be before from")]


class AccountsPage(Page):
    """Query of `GET /ledger/accounts`."""

    prefix: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None


class TreePage(Page):
    """Query of `GET /ledger/tree`: the children of `prefix`, a whole number of segments of a code."""

    limit: Annotated[int, Field(ge=1, le=tree.MAX_CHILDREN)] = 20
    prefix: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None


class BalanceQuery(Query):
    """Query of `GET /ledger/accounts/{code}/balance`."""

    at: Instant | None = None
    basis: BasisName = "posted"


class EntriesPage(Period):
    """Query of `GET /ledger/accounts/{code}/entries`."""

    basis: BasisName = "posted"
    order: Literal["newest", "oldest"] = "newest"


class TurnoverPage(Period):
    """Query of `GET /ledger/turnover`: `from` and `to` must be given."""

    from_: Annotated[Instant, Field(alias="from")]
    to: Instant
    prefix: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    basis: BasisName = "effective"


class AccountTurnoverQuery(Query):
    """Query of `GET /ledger/accounts/{code}/turnover`."""

    from_: Annotated[Instant, Field(alias="from")]
    to: Instant
    by: Literal["day", "month"] = "month"
    basis: BasisName = "effective"


class TransactionsPage(Period):
    """Query of `GET /ledger/transactions`."""

    reference: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    kind: Kind | None = None
    account: Code | None = None

    def errors(self) -> list[FieldError]:
        """Also refuse a kind within an account: no index leads there, so a page could read the whole account."""
        both = self.kind is not None and self.account is not None
        wrong = [FieldError("kind", "ambiguous", "give kind or account, not both")] if both else []
        return [*super().errors(), *wrong]


class TrialBalanceQuery(Page):
    """Query of `GET /ledger/trial-balance`."""

    limit: Annotated[int, Field(ge=1, le=MAX_ROWS)] = MAX_ROWS
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = None
    at: Instant | None = None
    basis: BasisName = "posted"
    currency: Currency | None = None
