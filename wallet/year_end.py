"""The close of a year: one proposal per currency, made when the year is softly closed, posted when it is approved.

Close the last month of the year softly first, and name the checker among those who may post into it. Approve the
proposals, then close the month for good: its stored trial balance shows income and expense at zero.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ledger.models import Book
from wallet import closing, proposals
from wallet.closing import Closing
from wallet.errors import YearNotClosable
from wallet.models import Proposal
from wallet.proposals import Draft


def propose(book_id: int, year: int, *, maker: str, now: datetime) -> list[tuple[Proposal, bool]]:
    """Propose the close of a year in each currency; return the proposals and whether this call made them.

    Idempotent: what waits is returned again, and what is closed needs nothing. What was posted into the year after its
    close was approved is proposed as a supplement. Raises `YearNotClosable`, or what `proposals.propose` raises.
    """
    ends_at = closing.year_end(year)
    _require_softly_closed(book_id, ends_at, now)
    with transaction.atomic():
        found = closing.closings(book_id, ends_at)
        return [proposals.propose(_draft(book_id, year, one, maker, ends_at), now=now) for one in found]


def _require_softly_closed(book_id: int, ends_at: datetime, now: datetime) -> None:
    book = Book.objects.get(pk=book_id)
    if ends_at >= now:
        raise YearNotClosable("the year is not over")
    if book.closed_before is not None and ends_at < book.closed_before:
        raise YearNotClosable("the year is closed for good: nothing can be posted into it")
    if book.soft_closed_before is None or ends_at >= book.soft_closed_before:
        raise YearNotClosable("close the last month of the year softly first, so that its result stays what it is")


def _draft(book_id: int, year: int, one: Closing, maker: str, ends_at: datetime) -> Draft:
    reference = f"{year}:{one.currency}"
    closed = Proposal.objects.filter(
        book_id=book_id,
        kind=Proposal.Kind.YEAR_END_CLOSE,
        reference__startswith=reference,
        state=Proposal.State.APPROVED,
    ).count()
    return Draft(
        book_id=book_id,
        kind=Proposal.Kind.YEAR_END_CLOSE,
        reference=f"{reference}:{closed + 1}" if closed else reference,
        legs=one.legs,
        memo=f"Close of {year} in {one.currency}",
        maker=maker,
        effective_at=ends_at,
    )
