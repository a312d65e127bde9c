"""How postings of reconciliation are called in the books: by the line, the fees or the break that they book.

The closing identities recognise them by nothing else, and the books refuse a second posting of the same name. The word
in front is the kind of the transaction (`psp_payout:line:812`).
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from ledger.ids import public_id


def of_line(line_id: int) -> str:
    """Return the subject of the posting that books one line of a statement."""
    return f"line:{line_id}"


def of_fees(source_id: int, day: date, lines_to: int, currency: str) -> str:
    """Return the subject of the posting that books what a source charged so far.

    Of lines booked until `day` and with ids until `lines_to`: by both the sum can be computed again at any time.
    """
    return f"fees:{source_id}:{day.isoformat()}:{lines_to}:{currency}"


def of_break(break_public_id: UUID, number: int = 1) -> str:
    """Return the subject of the `number`-th posting about a break."""
    return f"{public_id('brk', break_public_id)}:{number}"
