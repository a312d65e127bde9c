"""What the outside world has in its books: the PSP's changes of our balance, and the bank's entries of our account."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class Kind(StrEnum):
    """Why our balance at a PSP changed."""

    CHARGE = "charge"
    CAPTURED_LESS = "captured less"  # the part of an authorization that was not captured
    CHARGE_FAILED = "charge failed"
    REFUND = "refund"
    REFUND_FAILED = "refund failed"
    DISPUTE = "dispute"
    DISPUTE_BACK = "dispute money back"
    TRANSFER = "transfer"
    TRANSFER_BACK = "transfer back"
    FEE = "fee"
    TAX = "tax"
    FX_FEE = "fee for exchange"
    RESERVE = "reserve"
    TOP_UP = "top-up"
    UNHEARD_OF = "a word that nobody knows"
    PAYOUT = "payout"
    PAYOUT_BACK = "payout back"


@dataclass(slots=True)
class PspLine:
    """One change of our balance: `gross` as it moves the balance, `fee` what was taken. Minor units."""

    id: str
    kind: Kind
    currency: str
    gross: int
    at: datetime
    source: str
    fee: int = 0
    available_on: date | None = None
    charge: str = ""  # the PSP's own charge, below the payment
    payment: str = ""
    own: str = ""  # the id of our operation, as the PSP keeps it for us
    checkout: str = ""
    payout: str = ""
    paid_currency: str = ""
    paid: int | None = None
    trace: str = ""
    text: str = ""

    @property
    def net(self) -> int:
        """Return what the balance changed by."""
        return self.gross - self.fee


class Entered(StrEnum):
    """What a bank entry is about."""

    PSP_CREDIT = "psp credit"
    PSP_DEBIT = "psp debit"
    TRANSFER_OUT = "transfer out"
    TRANSFER_RETURNED = "transfer returned"
    CHARGES = "charges"
    INTEREST = "interest"
    CREDIT = "credit"
    DEBIT = "debit"


@dataclass(slots=True)
class BankEntry:
    """One entry of our account at the bank: `amount` as it moves the account. Minor units."""

    kind: Entered
    currency: str
    amount: int
    day: date
    reference: str  # the bank's own
    value_day: date | None = None
    end_to_end: str = ""
    batch: str = ""
    name: str = ""
    account: str = ""
    text: str = ""
    reason: str = ""  # of a return
    charges: int = 0  # taken out of the amount by a bank on the way, and told
    pending: bool = False
    has_own_reference: bool = True  # False: the bank gives no reference of its own


@dataclass(slots=True)
class BankDay:
    """One statement: an account, a day, what it opened and closed with."""

    identity: str
    number: int
    day: date
    currency: str
    account: str
    opening: int
    entries: list[BankEntry] = field(default_factory=list)
    closing: int = 0
