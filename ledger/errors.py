"""What the ledger may refuse.

    LedgerError
    +-- MoneyError            an amount or currency that cannot be money
    +-- PostingRefused        the posting would break a rule; nothing was written
        +-- ReferenceConflict     same reference, other legs
        +-- UnknownAccount        no such account in this book and currency
        +-- FloorBroken           a wallet would fall below its floor
        +-- Unbalanced            debits and credits differ
"""


class LedgerError(Exception):
    """Base of everything the ledger raises on purpose. `code` is stable and appears in API errors."""

    code = "ledger_error"


class MoneyError(LedgerError, ValueError):
    """An amount or a currency that cannot be money."""

    code = "invalid_amount"


class PostingRefused(LedgerError):
    """The posting would break a rule of the books; nothing was written."""

    code = "posting_refused"


class ReferenceConflict(PostingRefused):
    """The reference was used before for a transaction with other legs."""

    code = "reference_conflict"


class UnknownAccount(PostingRefused):
    """An account does not exist in this book, or not in this currency."""

    code = "unknown_account"


class FloorBroken(PostingRefused):
    """A balance would fall below the floor of its account."""

    code = "insufficient_balance"


class Unbalanced(PostingRefused):
    """The legs of a transaction do not sum to zero in each currency."""

    code = "unbalanced"
