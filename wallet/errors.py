"""What the wallet may refuse.

WalletError
+-- InsufficientAvailable   less is available than what is to be moved
+-- QuoteExpired            the quote is older than it may be
+-- QuoteUsed               the quote was executed before
+-- TooLittle               so little that nothing would arrive
"""


class WalletError(Exception):
    """Base of everything the wallet refuses. `code` is stable and appears in API errors."""

    code = "wallet_error"


class InsufficientAvailable(WalletError):
    """Less is available than what is to be moved."""

    code = "insufficient_available_balance"


class QuoteExpired(WalletError):
    """The quote is older than it may be; ask for another one."""

    code = "quote_expired"


class QuoteUsed(WalletError):
    """The quote was executed before."""

    code = "quote_used"


class TooLittle(WalletError):
    """The amount is so little that nothing would arrive in the other currency."""

    code = "amount_too_small"
