"""What proposals may refuse, beside what the ledger refuses.

LedgerError
+-- ProposalRefused       a proposal cannot be made, or not be decided like this; nothing was written
    +-- WrongProposal         its content is wrong; `faults` names every field
    +-- UnknownProposal       there is no such proposal
    +-- AlreadyDecided        somebody decided before
    +-- MakerIsChecker        its maker cannot decide about it
    +-- ProposalExpired       it waited too long
    +-- ProposalOutdated      the books moved on: its legs are not what they should be any more
    +-- YearNotClosable       the year is not over, or not softly closed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError


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
