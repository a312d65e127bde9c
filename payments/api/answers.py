"""The objects of the API as models, for the OpenAPI document only.

Answers are made by `payments/representations.py`; a test validates real answers against these models, which refuse
what they do not know, so neither can change without the other.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Object(BaseModel):
    """Base: every field is always there."""

    model_config = ConfigDict(extra="forbid")


class Failure(Object):
    """Why an order or charge failed."""

    code: str
    message: str
    retryable_by_buyer: bool


class NextAction(Object):
    """What the buyer must do."""

    type: str
    url: str


class PaymentMethodDetails(Object):
    """The method as the PSP describes it; never more than this of a card."""

    type: str
    funding: str = ""
    brand: str = ""
    last4: str = ""


class PaymentOrder(Object):
    """The part of a checkout that goes to one seller."""

    id: str
    object: Literal["payment_order"]
    reference: str
    seller: str
    amount: str
    currency: str
    platform_fee: str
    status: Literal["NOT_STARTED", "EXECUTING", "AUTHORIZED", "SUCCESS", "FAILED", "CANCELLED", "EXPIRED"]
    failure: Failure | None
    ledger_updated: bool
    wallet_updated: bool
    amount_captured: str
    amount_refunded: str
    delivered_at: str | None
    charge: str
    payment: str
    checkout_id: str
    payment_method_details: PaymentMethodDetails | None
    description: str
    metadata: dict[str, str]


class Payment(Object):
    """A checkout and its orders."""

    id: str
    object: Literal["payment"]
    checkout_id: str
    status: Literal[
        "requires_payment_method",
        "processing",
        "requires_action",
        "requires_capture",
        "succeeded",
        "partially_succeeded",
        "failed",
        "cancelled",
        "expired",
    ]
    amount: str
    currency: str
    amount_captured: str
    amount_refunded: str
    is_payment_done: bool
    charge_mode: Literal["single", "per_order"]
    capture: Literal["automatic", "manual"]
    checkout_url: str
    client_token: str
    next_action: NextAction | None
    payment_orders: list[PaymentOrder]
    result: Literal["success", "in_progress", "failed"]
    ledger_updated: bool
    wallet_updated: bool
    buyer: dict[str, Any]
    metadata: dict[str, str]
    created_at: str
    version: int


class Payments(Object):
    """One page of payments."""

    data: list[Payment]
    next_cursor: str | None


class PaymentOrders(Object):
    """One page of payment orders."""

    data: list[PaymentOrder]
    next_cursor: str | None


class FieldProblem(Object):
    """One bad field."""

    field: str
    code: str
    detail: str


class Problem(Object):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    retryable: bool
    outcome: Literal["none", "unknown", "executed"]
    errors: list[FieldProblem]


class BulkItem(Object):
    """The answer to one payment of a bulk request: `payment` or `error`."""

    status: int
    payment: Payment | None = None
    error: Problem | None = None
    replayed: bool = False


class Bulk(Object):
    """The answers to a bulk request, in the order of its payments."""

    data: list[BulkItem]


class Charge(Object):
    """One object at the PSP and the orders that it pays."""

    id: str
    object: Literal["charge"]
    payment: str
    payment_orders: list[str]
    status: str
    amount: str
    amount_captured: str
    currency: str
    psp: str
    psp_account: str
    psp_id: str | None
    payment_method_details: PaymentMethodDetails | None
    next_action: NextAction | None
    failure: Failure | None
    created_at: str


class RefundFailure(Object):
    """Why a refund did not arrive."""

    code: str
    message: str


class FromSeller(Object):
    """What a refund took from a seller, by the accounts of the wallet."""

    pending: str
    available: str
    debt: str


class Refund(Object):
    """Money that goes back to a buyer. `payment_order` is empty for money that came too late."""

    id: str
    object: Literal["refund"]
    payment_order: str | None
    payment: str
    checkout_id: str
    charge: str
    reference: str
    reason: Literal["requested_by_customer", "duplicate", "fraudulent", "late_success"]
    to: Literal["original", "stored_value"]
    amount: str
    currency: str
    status: Literal["pending", "succeeded", "failed"]
    failure: RefundFailure | None
    fee_policy: Literal["keep", "return", "proportional"] | None
    platform_fee: str
    from_seller: FromSeller
    created_at: str
    settled_at: str | None
    version: int


class StoredBalance(Object):
    """What a buyer has in one currency."""

    currency: str
    amount: str


class StoredValue(Object):
    """What a buyer keeps with the merchant."""

    object: Literal["stored_value"]
    buyer: str
    enabled: bool
    balances: list[StoredBalance]


class Refunds(Object):
    """One page of refunds."""

    data: list[Refund]
    next_cursor: str | None


class DisputePart(Object):
    """What of a dispute falls on one order, and on whom."""

    id: str
    seller: str
    amount: str
    amount_returned: str
    seller_share: str
    platform_share: str


class DisputeEvidence(Object):
    """What became of the evidence that was given."""

    status: Literal["none", "pending", "submitted", "refused"]
    submitted_at: str | None
    message: str | None


class Dispute(Object):
    """Money of a charge that a buyer's bank took back, or asks about."""

    id: str
    object: Literal["dispute"]
    payment: str
    checkout_id: str
    charge: str
    psp_id: str
    status: Literal["inquiry_open", "inquiry_review", "inquiry_closed", "needs_response", "under_review", "lost", "won"]
    reason: str
    network_reason: str | None
    amount: str
    amount_taken: str
    amount_returned: str
    fee: str
    currency: str
    payment_orders: list[DisputePart]
    evidence_due_by: str | None
    evidence: DisputeEvidence
    needs_attention: bool
    opened_at: str
    closed_at: str | None
    version: int


class Disputes(Object):
    """One page of disputes, newest first."""

    data: list[Dispute]
    next_cursor: str | None


class PspError(Object):
    """What went wrong with a call."""

    code: str
    message: str


class PspOperation(Object):
    """One call to the PSP."""

    id: str
    object: Literal["psp_operation"]
    type: str
    payment: str
    charge: str | None
    amount: str
    currency: str
    psp: str
    psp_account: str
    psp_id: str | None
    state: str
    outcome: str | None
    error: PspError | None
    psp_request_id: str | None
    tries: int
    created_at: str
    sent_at: str | None
    closed_at: str | None


class PspOperations(Object):
    """Every call that a payment led to."""

    data: list[PspOperation]
    next_cursor: None


class Leg(Object):
    """One entry of a posting."""

    account: str
    side: Literal["debit", "credit"]
    amount: str
    currency: str


class Fact(Object):
    """One thing that happened."""

    at: str
    type: str
    subject: str
    summary: str
    data: dict[str, Any]
    legs: list[Leg]


class Timeline(Object):
    """Every fact of a payment in order of time."""

    data: list[Fact]
    next_cursor: None


class Payee(Object):
    """Who was paid."""

    id: str
    name: str
    country: str


class Receipt(Object):
    """What a buyer paid to whom with one order."""

    id: str
    object: Literal["receipt"]
    payment: str
    checkout_id: str
    reference: str
    description: str
    amount: str
    amount_refunded: str
    currency: str
    payee: Payee
    payment_method_details: PaymentMethodDetails | None
    paid_at: str


class FeePlan(Object):
    """What the platform keeps of a sale."""

    name: str
    basis_points: int
    fixed: dict[str, str]


class Reserve(Object):
    """What is held back of each release, and for how many days."""

    basis_points: int
    days: int


class Seller(Object):
    """Who is owed money."""

    id: str
    object: Literal["seller"]
    external_id: str
    name: str
    country: str
    email: str
    default_currency: str
    settlement_currency: str | None
    fee_plan: FeePlan | None
    payout_schedule: dict[str, str | int]
    reserve: Reserve
    kyc_status: Literal["unverified", "pending", "verified", "rejected"]
    status: Literal["active", "closed"]
    metadata: dict[str, str]
    created_at: str


class Sellers(Object):
    """One page of sellers."""

    data: list[Seller]
    next_cursor: str | None


class PayoutDestination(Object):
    """A bank account, masked."""

    id: str
    object: Literal["payout_destination"]
    type: Literal["iban", "us_bank", "gb_bank"]
    country: str
    currency: str
    account: str
    usable_at: str
    created_at: str


class PayoutFailure(Object):
    """Why a payout failed or was cancelled."""

    code: str
    message: str


class Payout(Object):
    """Money on its way from a wallet to a bank account."""

    id: str
    object: Literal["payout"]
    seller: str
    amount: str
    currency: str
    status: Literal["requires_approval", "pending", "sent", "paid", "failed", "returned", "cancelled"]
    waiting_for: Literal["funding", "seller", "cool_down", "stopped"] | None
    reference: str | None
    destination: PayoutDestination
    failure: PayoutFailure | None
    requested_by: str
    approved_by: str | None
    created_at: str
    paid_at: str | None
    version: int


class Payouts(Object):
    """One page of payouts."""

    data: list[Payout]
    next_cursor: str | None


class PaidOrder(Object):
    """An order that a payout pays, in whole or in part."""

    id: str
    reference: str
    checkout_id: str
    captured: str
    platform_fee: str
    less_before: str


class PaidPart(Object):
    """A part of one credit of the wallet. `payout`: an earlier payout that came back; `pays`: what that had paid."""

    amount: str
    of: str
    kind: str
    transaction: str
    posted_at: str
    order: PaidOrder | None
    payout: str | None
    pays: list[PaidPart]


class PayoutExplanation(Object):
    """What a payout pays; the parts sum to its amount."""

    payout: str
    object: Literal["payout_explanation"]
    amount: str
    currency: str
    not_named: str
    pays: list[PaidPart]


class Wallet(Object):
    """What a seller has in one currency."""

    id: str
    object: Literal["wallet"]
    seller: str
    currency: str
    pending: str
    available: str
    reserved: str
    in_transit: str
    debt: str
    balance: str


class Wallets(Object):
    """A seller's wallets, one per currency."""

    data: list[Wallet]
    next_cursor: None


class Debt(Object):
    """What is still owed of one debt. `subject` is the id of what it was for; `payment_order` is its order, if it has
    one. `age` groups `days`: `0-30`, `31-60`, `61-90`, `over 90`.
    """

    object: Literal["debt"]
    wallet: str
    currency: str
    amount: str
    of: str
    kind: str
    subject: str
    transaction: str
    payment_order: str | None
    reference: str | None
    checkout_id: str | None
    since: str
    days: int
    age: Literal["0-30", "31-60", "61-90", "over 90"]


class Debts(Object):
    """A seller's debts, wallet by wallet, oldest first."""

    data: list[Debt]
    next_cursor: None


class WalletParts(Object):
    """An amount in each part of a wallet; `balance` is pending + available + reserved - debt."""

    pending: str
    available: str
    reserved: str
    in_transit: str
    debt: str
    balance: str


class WalletTransaction(Object):
    """One transaction as it moved a wallet. `amount` is the change of the balance."""

    id: str
    object: Literal["wallet_transaction"]
    kind: str
    subject: str
    payment_order: str | None
    reference: str | None
    checkout_id: str | None
    memo: str
    currency: str
    amount: str
    change: WalletParts
    balance: str
    effective_at: str
    posted_at: str


class WalletTransactions(Object):
    """One page of a wallet's transactions, oldest first."""

    data: list[WalletTransaction]
    next_cursor: str | None


class WalletStatement(Object):
    """What moved a wallet in a period: `from` is included, `to` is not. Of a page: before and after its lines."""

    object: Literal["wallet_statement"]
    wallet: str
    seller: str
    currency: str
    from_: str = Field(alias="from")
    to: str
    opening: WalletParts
    data: list[WalletTransaction]
    closing: WalletParts
    next_cursor: str | None


class Quote(Object):
    """What an amount is worth in another currency: worth = received + margin + rounding."""

    id: str
    object: Literal["quote"]
    seller: str
    amount: str
    currency: str
    to_currency: str
    worth: str
    margin: str
    margin_basis_points: int
    rounding: str
    received: str
    rate: str
    rate_exact: str
    rate_source: str
    rate_date: str
    quoted_at: str
    expires_at: str
    executed_at: str | None


class Quotes(Object):
    """One page of quotes, newest first."""

    data: list[Quote]
    next_cursor: str | None


class InvoiceLine(Object):
    """The fees of one kind of movement in the month."""

    kind: str
    count: int
    amount: str


class Invoice(Object):
    """What a seller was billed for a month. `total` is what the books say was kept; net + vat = total."""

    id: str
    object: Literal["invoice"]
    number: str
    seller: str
    month: str
    currency: str
    net: str
    vat: str
    vat_basis_points: int
    total: str
    lines: list[InvoiceLine]
    issuer: dict[str, str]
    recipient: dict[str, str]
    issued_at: str


class Invoices(Object):
    """One page of invoices, newest first."""

    data: list[Invoice]
    next_cursor: str | None


class VatRate(Object):
    """The tax on the platform's fee to sellers of a country, from a day on."""

    country: str
    valid_from: str
    basis_points: int
    note: str


class BillingProfile(Object):
    """Who bills sellers; `billed_until` is the first month that is not billed."""

    object: Literal["billing_profile"]
    name: str
    address: str
    country: str
    vat_id: str
    billed_until: str | None
    vat_rates: list[VatRate]


class Proposal(Object):
    """A manual journal that somebody proposed."""

    id: str
    object: Literal["ledger_proposal"]
    status: Literal["awaiting_approval", "approved", "rejected", "expired"]
    kind: Literal["adjust", "write_off", "reversal", "partial_reversal", "year_end_close", "withdraw_fees"]
    reference: str
    effective_at: str | None
    memo: str
    metadata: dict[str, str]
    legs: list[Leg]
    reverses: str | None
    maker: str
    created_at: str
    checker: str | None
    decided_at: str | None
    note: str
    transaction: str | None


class Proposals(Object):
    """One page of proposals."""

    data: list[Proposal]
    next_cursor: str | None


class Change(Object):
    """What approval would do to one account, positive on its normal side."""

    account: str
    currency: str
    before: str
    after: str


class Rehearsal(Object):
    """What a manual journal would do: the answer to `dry_run`."""

    object: Literal["ledger_rehearsal"]
    kind: str
    reference: str
    effective_at: str | None
    memo: str
    metadata: dict[str, str]
    legs: list[Leg]
    balances: list[Change]


class PspAccount(Object):
    """A merchant's account at a PSP; its secrets are masked."""

    id: str
    object: Literal["psp_account"]
    psp: str
    code: str
    base_url: str | None
    api_key: str
    webhook_secret: str | None
    webhook_url: str
    payout_mode: Literal["psp", "bank"]
    created_at: str


class OwnBankAccount(Object):
    """A bank account of the merchant's own, masked."""

    id: str
    object: Literal["bank_account"]
    name: str
    currency: str
    account: str
    account_holder: str
    bic: str | None
    file_format: Literal["pain.001.001.03", "pain.001.001.09"]
    status: Literal["paying", "closed"]
    created_at: str


class MerchantTerms(Object):
    """When sellers' shares become available, and what happens to the platform fee of a refund."""

    release_days_after_delivery: int | None
    release_days_after_capture: int | None
    capture_days_are_business_days: bool
    business_calendar: str
    time_zone: str
    refund_fee_policy: Literal["keep", "return", "proportional"]
    stored_value: bool
    payout_approval_above: dict[str, str]


class MerchantBook(Object):
    """One of a merchant's books."""

    mode: Literal["test", "live"]
    house_seller: str | None
    terms: MerchantTerms
    psp_accounts: list[PspAccount]


class Merchant(Object):
    """An e-commerce site."""

    id: str
    object: Literal["merchant"]
    name: str
    status: Literal["active", "suspended"]
    books: list[MerchantBook]
    created_at: str


class MerchantWithSecrets(Merchant):
    """A merchant that was just made: the only answer with its key and signing secret."""

    api_key: str
    signing_secret: str
