"""What a verb builds: a movement, with the heading that every verb takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.accounts import AccountSpec
from ledger.models import Side, TransactionKind

Line = tuple[Side, AccountSpec, int]


@dataclass(frozen=True, slots=True)
class Heading:
    """What every movement has. `subject` is the public id of what it is about; with the verb it is the reference."""

    book_id: int
    subject: str
    currency: str
    effective_at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class Share:
    """A seller's part of money that goes back, by the accounts that it comes from. Minor units."""

    pending: int = 0
    available: int = 0
    debt: int = 0

    @property
    def total(self) -> int:
        """Return the whole part."""
        return self.pending + self.available + self.debt


@dataclass(frozen=True, slots=True)
class Movement:
    """One verb, ready to be recorded. Amounts in minor units; lines of zero are left out."""

    kind: TransactionKind
    reference: str
    lines: tuple[Line, ...]
    effective_at: datetime
    actor: str
    seller: UUID | None = None


def movement(kind: TransactionKind, heading: Heading, *lines: Line, seller: UUID | None = None) -> Movement:
    """Build a movement of the lines that are not zero; its reference is `verb:subject`."""
    return Movement(
        kind,
        f"{kind}:{heading.subject}",
        tuple(line for line in lines if line[2] != 0),
        heading.effective_at,
        heading.actor,
        seller,
    )
