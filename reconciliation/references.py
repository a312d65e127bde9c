"""How postings of reconciliation are called in the books: by the run, the line or the break that they book.

The closing identities recognise them by nothing else, and the books refuse a second posting of the same name. The word
in front is the kind of the transaction:

    psp_fee:rec_...:3:EUR:2026-11-20     the fees that a look of a run found, of one day and currency
    psp_payout:line:812, bank_credit:line:90     one line of a statement
    suspend:brk_...:812:0     a break, its newest line, and how often it was taken out of suspense before
"""

from __future__ import annotations


def of_line(line_id: int) -> str:
    """Return the subject of the posting that books one line of a statement."""
    return f"line:{line_id}"
