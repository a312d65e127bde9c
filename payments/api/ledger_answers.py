"""The objects of the ledger as models, for the OpenAPI document only.

Answers are made by `payments/api/ledger_objects.py`; a test validates real answers against these models.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from payments.api.answers import Object

AccountType = Literal["asset", "liability", "equity", "income", "expense"]
BasisName = Literal["posted", "effective"]
SideName = Literal["debit", "credit"]


class LedgerAccount(Object):
    """An account of the book, with its exact balance now (positive on its normal side) and gross turnover."""

    id: str
    object: Literal["ledger_account"]
    code: str
    type: AccountType
    currency: str
    posting_mode: Literal["authorizing", "recording"]
    normal_side: SideName
    balance: str
    debits: str
    credits: str
    created_at: str
    closed_at: str | None


class LedgerAccounts(Object):
    """One page of accounts, by code."""

    data: list[LedgerAccount]
    next_cursor: str | None


class LedgerTreeSum(Object):
    """All accounts of a node in a currency. `type` and `balance` are null when the accounts are of several types."""

    currency: str
    accounts: int
    type: AccountType | None
    debits: str
    credits: str
    balance: str | None


class LedgerNode(Object):
    """A child in the tree of accounts: an account (`account` is its id), or a node to walk down (`account` null)."""

    object: Literal["ledger_node"]
    code: str
    account: str | None
    sums: list[LedgerTreeSum]


class LedgerTree(Object):
    """One page of the children of a node, by code."""

    data: list[LedgerNode]
    next_cursor: str | None


class LedgerBalance(Object):
    """What an account held at an instant, positive on its normal side."""

    object: Literal["ledger_balance"]
    account: str
    currency: str
    at: str
    basis: BasisName
    balance: str


class LedgerEntry(Object):
    """One entry of an account; `balance` is the balance after it, in the order that was asked for."""

    object: Literal["ledger_entry"]
    transaction: str
    leg: int
    kind: str
    reference: str
    side: SideName
    amount: str
    currency: str
    balance: str
    effective_at: str
    posted_at: str


class LedgerEntries(Object):
    """One page of an account's entries."""

    data: list[LedgerEntry]
    next_cursor: str | None


class LedgerTurnover(Object):
    """What was on an account at the beginning of a period, its debits and credits, and what was there at the end."""

    object: Literal["ledger_turnover"]
    account: str
    type: AccountType
    currency: str
    from_: str = Field(alias="from")
    to: str
    opening: str
    debits: str
    credits: str
    closing: str


class LedgerTurnovers(Object):
    """One page of turnovers."""

    data: list[LedgerTurnover]
    next_cursor: str | None


class LedgerLeg(Object):
    """One leg of a transaction; `balance_after` only for accounts that keep a balance row."""

    account: str
    side: SideName
    amount: str
    currency: str
    balance_after: str | None


class LedgerTransaction(Object):
    """Two or more legs that were posted together. A list leaves out more than 100 legs (`legs` null)."""

    id: str
    object: Literal["ledger_transaction"]
    kind: str
    reference: str
    memo: str
    actor: str
    metadata: dict[str, str]
    effective_at: str
    occurred_at: str | None
    posted_at: str
    reverses: str | None
    reversed_by: list[str]
    leg_count: int
    legs: list[LedgerLeg] | None


class LedgerTransactions(Object):
    """One page of transactions."""

    data: list[LedgerTransaction]
    next_cursor: str | None


class TrialBalanceSum(Object):
    """All debit and all credit balances of a currency, which must be equal."""

    currency: str
    debit: str
    credit: str
    balanced: bool


class TrialBalanceType(Object):
    """The balances of a type of account."""

    type: AccountType
    currency: str
    debit: str
    credit: str


class TrialBalanceRow(Object):
    """The net balance of a control account: `accounts` accounts whose codes differ only in the id inside."""

    code: str
    accounts: int
    type: AccountType
    currency: str
    debit: str
    credit: str


class TrialBalance(Object):
    """Every control account that is not empty, and sums over all of them, also those of other pages."""

    object: Literal["trial_balance"]
    at: str
    basis: BasisName
    balanced: bool
    totals: list[TrialBalanceSum]
    types: list[TrialBalanceType]
    data: list[TrialBalanceRow]
    next_cursor: str | None


class SealedBlock(Object):
    """A block of the book's chain (docs/reference/seals.md)."""

    book: str
    number: int
    previous_hash: str
    root: str
    leaf_count: int
    first_position: int
    last_position: int
    sealed_at: str
    key_id: str
    block_hash: str
    signature: str


class Seal(SealedBlock):
    """A block of the book's chain, in a list."""

    object: Literal["seal"]


class Seals(Object):
    """One page of blocks, newest first."""

    data: list[Seal]
    next_cursor: str | None


class ProvedLeg(Object):
    """One leg as it is sealed; amounts in minor units, as text."""

    number: int
    account: str
    type: AccountType
    currency: str
    side: Literal["D", "C"]
    amount_minor: str
    account_version: str | None
    balance_after_minor: str | None


class ProvedTransaction(Object):
    """A transaction as it is sealed."""

    book: str
    id: str
    kind: str
    reference: str
    request_hash: str
    leg_count: int
    effective_at: str
    occurred_at: str | None
    posted_at: str
    actor: str
    memo: str
    metadata: str
    reverses: str | None
    legs: list[ProvedLeg]


class Proof(Object):
    """That a transaction is leaf `index` of a block: `path` leads from it to the block's root."""

    object: Literal["proof"]
    transaction: ProvedTransaction
    index: int
    path: list[str]
    block: SealedBlock
    public_key: str
