"""What the ledger may refuse.

LedgerError
+-- MoneyError            an amount or currency that cannot be money
+-- PostingRefused        the posting would break a rule; nothing was written
    +-- ReferenceConflict     same reference, other legs
    +-- ReferenceRaced        same reference, posted by someone else at the same moment
    +-- ReversalExceeds       a reversal does not negate its original, or all of them exceed it
    +-- PeriodClosed          the effective date lies in a period that is closed (to this actor)
    +-- PeriodOrder           the period cannot be closed like this now
    +-- UnknownAccount        no such account in this book and currency
    +-- AccountClosed         the account takes no more postings
    +-- AccountNotEmpty       the account cannot be closed while money is on it
    +-- PersonalData          metadata that looks personal
    +-- AmountOutOfRange      an amount, a balance or a number of legs that the books cannot hold
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


class ReferenceRaced(PostingRefused):
    """The reference was posted by someone else at the same moment; a new try finds that posting."""

    code = "reference_raced"


class ReversalExceeds(PostingRefused):
    """A reversal is not the negation of its original, or together with earlier ones it exceeds it."""

    code = "reversal_exceeds_original"


class PeriodClosed(PostingRefused):
    """The effective date lies in a period that is closed, or closed to this actor."""

    code = "period_closed"


class PeriodOrder(PostingRefused):
    """The period cannot be closed like this now: periods are closed one after another, when they are over."""

    code = "period_order"


class AccountNotEmpty(PostingRefused):
    """An account with money on it cannot be closed."""

    code = "account_not_empty"


class PersonalData(PostingRefused):
    """Metadata with a key that looks personal; the books hold no personal data."""

    code = "personal_data"


class AccountClosed(PostingRefused):
    """An account was closed and takes no more postings."""

    code = "account_closed"


class AmountOutOfRange(PostingRefused):
    """An amount, a balance or a number of legs is beyond what the books can hold."""

    code = "amount_out_of_range"


class UnknownAccount(PostingRefused):
    """An account does not exist in this book, or not in this currency."""

    code = "unknown_account"


class FloorBroken(PostingRefused):
    """A balance would fall below the floor of its account."""

    code = "insufficient_balance"


class Unbalanced(PostingRefused):
    """The legs of a transaction do not sum to zero in each currency."""

    code = "unbalanced"
