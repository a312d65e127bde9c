"""What the wallet may refuse, and what proposals of manual journals may refuse beside what the ledger refuses.

WalletError
+-- InsufficientAvailable   less is available than what is to be moved
+-- QuoteExpired            the quote is older than it may be
+-- QuoteUsed               the quote was executed before
+-- TooLittle               so little that nothing would arrive

LedgerError
+-- ProposalRefused         a proposal cannot be made, or not be decided like this; nothing was written
    +-- WrongProposal           its content is wrong; `faults` names every field
    +-- UnknownProposal         there is no such proposal
    +-- AlreadyDecided          somebody decided before
    +-- MakerIsChecker          its maker cannot decide about it
    +-- ProposalExpired         it waited too long
    +-- ProposalOutdated        the books moved on: its legs are not what they should be any more
    +-- YearNotClosable         the year is not over, or not softly closed
    +-- InsufficientFees        the platform has earned less than is to be withdrawn
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError


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


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong field of a proposal: its path (`legs[2].amount`), a stable code, a sentence for people."""

    field: str
    code: str
    detail: str


class ProposalRefused(LedgerError):
    """A proposal cannot be made, or not be decided like this; nothing was written."""

    code = "proposal_refused"


class WrongProposal(ProposalRefused):
    """The content of a proposal is wrong."""

    code = "wrong_proposal"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.detail}" for fault in faults[:10]))
        self.faults = tuple(faults)


class UnknownProposal(ProposalRefused):
    """There is no such proposal."""

    code = "unknown_proposal"


class AlreadyDecided(ProposalRefused):
    """The proposal was approved, rejected or has expired before."""

    code = "already_decided"


class MakerIsChecker(ProposalRefused):
    """Whoever proposed a journal cannot decide about it."""

    code = "maker_is_checker"


class ProposalExpired(ProposalRefused):
    """The proposal waited too long and can only be proposed anew."""

    code = "proposal_expired"


class ProposalOutdated(ProposalRefused):
    """The books moved on: what is proposed is not what would be proposed now."""

    code = "proposal_outdated"


class YearNotClosable(ProposalRefused):
    """The year is not over, not softly closed up to its end, or closed for good."""

    code = "year_not_closable"


class InsufficientFees(ProposalRefused):
    """The platform has earned less than is to be withdrawn."""

    code = "insufficient_fees"
