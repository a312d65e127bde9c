"""Drafts: a checkout before it is written, with the fields that its answer shows.

Intake answers before any row has an id, with the same function that shows stored rows
(`representations.payment`). An instance of a model could stand in for the row, as it once did, but making four of
them cost more than everything else that intake computes. What a new payment cannot have yet is a constant here, equal
to the column's default; a test compares both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class DraftCharge:
    """A charge that is not written yet."""

    public_id: UUID
    amount_minor: int
    next_action: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class DraftOrder:
    """An order that is not written yet."""

    public_id: UUID
    charge: DraftCharge
    seller_id: int
    position: int
    reference: str
    status: str
    currency_id: str
    amount_minor: int
    fee_minor: int
    description: str
    metadata: Mapping[str, str]
    captured_minor: ClassVar[int] = 0
    refunded_minor: ClassVar[int] = 0
    ledger_updated: ClassVar[bool] = False
    wallet_updated: ClassVar[bool] = False
    failure: ClassVar[None] = None
    method_details: ClassVar[None] = None
    delivered_at: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class DraftPayment:
    """A checkout that is not written yet."""

    public_id: UUID
    checkout_id: str
    status: str
    currency_id: str
    amount_minor: int
    charge_mode: str
    capture: str
    buyer: Mapping[str, Any]
    metadata: Mapping[str, str]
    created_at: datetime
    version: ClassVar[int] = 1
    next_action: ClassVar[None] = None
