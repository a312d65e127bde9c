"""What the books and the proposals refuse, as refusals of the API: a code, a field and a sentence without inner ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.errors import LedgerError
from payments.api import bodies
from payments.errors import Conflict, FieldError, PaymentsError, Unprocessable
from wallet.errors import WrongProposal

# Refused for what the books hold: field and sentence by the ledger's code.
_UNPROCESSABLE: Final = {
    "unbalanced": ("legs", "debits and credits differ in a currency"),
    "insufficient_balance": ("legs", "a balance would fall below the floor of its account"),
    "account_closed": ("legs", "an account takes no more postings"),
    "amount_out_of_range": ("legs", "a balance would be larger than the books can hold"),
    "insufficient_fees": ("amount", "the platform's fees are less"),
    "period_closed": ("effective_at", "the period of this date is closed"),
    "reversal_exceeds_original": ("legs", "a reversal negates its original; all of them together never exceed it"),
}
_CONFLICTS: Final = {
    "reference_conflict": "the reference was used for something else",
    "reference_raced": "the reference was used by another request at the same moment",
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the ledger and the proposals refuse inside the block as the API's refusals."""
    try:
        yield
    except LedgerError as error:
        raise _refusal(error) from error


def _refusal(error: LedgerError) -> PaymentsError:
    if isinstance(error, WrongProposal):
        return bodies.invalid([FieldError(fault.field, fault.code, fault.detail) for fault in error.faults])
    if error.code == "personal_data":
        detail = "a key looks personal; the books hold no personal data"
        return bodies.invalid([FieldError("metadata", "personal_data", detail)])
    if error.code in _CONFLICTS:
        return Conflict(error.code, _CONFLICTS[error.code], field="reference")
    if error.code in _UNPROCESSABLE:
        field, sentence = _UNPROCESSABLE[error.code]
        return Unprocessable(error.code, sentence, field=field)
    return Unprocessable("posting_refused", "the books do not take this")
