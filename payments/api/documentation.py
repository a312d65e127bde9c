"""What the OpenAPI document says of each operation: bodies, answers, headers, refusals.

Kept beside the views so that a view reads as what it does. The bodies are the models that check them, the answers are
models that a test holds against real answers.
"""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from pydantic import BaseModel

from payments.api import answers, bodies, evidence_body, ledger_answers, ledger_bodies, ledger_queries

_PROBLEM: Final = {
    code: OpenApiResponse(answers.Problem, description)
    for code, description in {
        400: "The request is wrong; every bad field is named.",
        401: "No valid key, or a bad signature.",
        403: "The key lacks the scope.",
        404: "There is no such object.",
        409: "The request contradicts something that exists.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        422: "Understood, and refused.",
        503: "Try again after `Retry-After`.",
    }.items()
}
_READ: Final = (401, 403, 404, 503)
_WRITE: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 255 printable ASCII characters, bare or quoted. The same key and request: the first answer.",
)
_SIGNATURE: Final = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)
    for name, description in {
        "X-Request-Timestamp": "RFC 3339 in UTC, within 300 s. Required for live keys, checked whenever present.",
        "X-Request-Nonce": "Unique per key for ten minutes.",
        "X-Signature": "`sha256=<hex>`: HMAC-SHA256 with the key's signing secret.",
    }.items()
]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # the base is untyped
    """How the document describes our authentication."""

    target_class = "payments.api.authentication.ApiKeyAuthentication"
    name = "api_key"

    def get_security_definition(self, _auto_schema: AutoSchema) -> dict[str, str]:
        """Return the scheme: a bearer key."""
        return {"type": "http", "scheme": "bearer", "description": "`sk_test_...`, `sk_live_...`"}


def _operation(
    name: str,
    summary: str,
    answer: type[BaseModel],
    *,
    status: int = 200,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    keyed: bool = False,
    conflicts: bool = False,
) -> dict[str, Any]:
    refusals = _WRITE if body is not None else _READ if query is None else (400, *_READ)
    if conflicts:
        refusals = (*refusals, 409)
    return {
        "operation_id": name,
        "summary": summary,
        "request": body,
        "parameters": [*(_query(query) if query else ()), *([_KEY] if keyed else ()), *(_SIGNATURE if body else ())],
        "responses": {
            status: answer,
            **{(code, "application/problem+json"): _PROBLEM[code] for code in refusals},
        },
    }


def _query(model: type[BaseModel]) -> list[OpenApiParameter]:
    properties: dict[str, dict[str, Any]] = model.model_json_schema()["properties"]
    return [OpenApiParameter(name, _plain(schema), OpenApiParameter.QUERY) for name, schema in properties.items()]


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out `null`, which a query cannot say."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return dict(option)
    return {key: value for key, value in schema.items() if key != "title"}


operation = _operation  # for the apps above, which describe their own

LIST_PAYMENTS: Final = _operation("list_payments", "List payments", answers.Payments, query=bodies.PaymentsPage)
CREATE_PAYMENT: Final = _operation(
    "create_payment", "Take a checkout in", answers.Payment, status=201, body=bodies.NewPayment, keyed=True
)
CREATE_PAYMENTS: Final = _operation("create_payments", "Take up to 500 checkouts in", answers.Bulk, body=bodies.NewBulk)
GET_PAYMENT: Final = _operation("get_payment", "Read a payment", answers.Payment)
PROCESS_PAYMENT: Final = _operation(
    "process_payment", "Pay with a token or stored value", answers.Payment, status=202, body=bodies.Process, keyed=True
)
CAPTURE_PAYMENT: Final = _operation(
    "capture_payment", "Take authorized money", answers.Payment, status=202, body=bodies.Capture, keyed=True
)
CANCEL_PAYMENT: Final = _operation(
    "cancel_payment", "Cancel what is not paid", answers.Payment, status=202, body=bodies.Cancel, keyed=True
)
GET_TIMELINE: Final = _operation("get_timeline", "Every fact of a payment", answers.Timeline)
GET_TRANSACTIONS: Final = _operation("get_transactions", "What happened at the PSP", answers.PspOperations)
GET_CHARGE: Final = _operation("get_charge", "Read a charge", answers.Charge)
LIST_DISPUTES: Final = _operation("list_disputes", "List disputes", answers.Disputes, query=bodies.DisputesPage)
GET_DISPUTE: Final = _operation("get_dispute", "Read a dispute", answers.Dispute)
SUBMIT_EVIDENCE: Final = _operation(
    "submit_evidence",
    "Answer a dispute: texts as JSON, or texts and documents as multipart/form-data",
    answers.Dispute,
    status=202,
    body=evidence_body.Texts,
    keyed=True,
)
ACCEPT_DISPUTE: Final = _operation(
    "accept_dispute", "Give a dispute up", answers.Dispute, status=202, body=bodies.Nothing, keyed=True
)
LIST_ORDERS: Final = _operation(
    "list_payment_orders", "List payment orders", answers.PaymentOrders, query=bodies.PaymentOrdersPage
)
GET_ORDER: Final = _operation("get_payment_order", "Read a payment order", answers.PaymentOrder)
PROCESS_ORDER: Final = _operation(
    "process_payment_order",
    "Execute or retry one order",
    answers.PaymentOrder,
    status=202,
    body=bodies.ProcessOrder,
    keyed=True,
)
DELIVER_ORDER: Final = _operation(
    "deliver_payment_order", "Confirm a delivery", answers.PaymentOrder, body=bodies.Deliver, keyed=True
)
GET_RECEIPT: Final = _operation("get_receipt", "Read the receipt of a paid order", answers.Receipt)
LIST_REFUNDS: Final = _operation("list_refunds", "List refunds", answers.Refunds, query=bodies.RefundsPage)
CREATE_REFUND: Final = _operation(
    "create_refund", "Refund an order", answers.Refund, status=201, body=bodies.NewRefund, keyed=True
)
GET_REFUND: Final = _operation("get_refund", "Read a refund", answers.Refund)
CREATE_TOP_UP: Final = _operation(
    "create_top_up", "Let a buyer pay in", answers.Payment, status=201, body=bodies.NewTopUp, keyed=True
)
GET_STORED_VALUE: Final = _operation("get_stored_value", "What a buyer keeps with the merchant", answers.StoredValue)
LIST_SELLERS: Final = _operation("list_sellers", "List sellers", answers.Sellers, query=bodies.SellersPage)
CREATE_SELLER: Final = _operation(
    "create_seller", "Make a seller", answers.Seller, status=201, body=bodies.NewSeller, keyed=True
)
GET_SELLER: Final = _operation("get_seller", "Read a seller", answers.Seller)
CHANGE_SELLER: Final = _operation("change_seller", "Change a seller", answers.Seller, body=bodies.ChangedSeller)
PUT_DESTINATION: Final = _operation(
    "put_payout_destination",
    "Set the bank account that a seller is paid to",
    answers.PayoutDestination,
    body=bodies.NewDestination,
)
RECORD_KYC: Final = _operation(
    "record_kyc", "Record the result of a verification", answers.Seller, body=bodies.Kyc, keyed=True
)
LIST_PAYOUTS: Final = _operation("list_payouts", "List payouts", answers.Payouts, query=bodies.PayoutsPage)
CREATE_PAYOUT: Final = _operation(
    "create_payout", "Pay a seller out", answers.Payout, status=201, body=bodies.NewPayout, keyed=True
)
GET_PAYOUT: Final = _operation("get_payout", "Read a payout", answers.Payout)
CANCEL_PAYOUT: Final = _operation(
    "cancel_payout",
    "Cancel what has not left, or ask the PSP to stop it",
    answers.Payout,
    body=bodies.Cancel,
    keyed=True,
)
EXPLAIN_PAYOUT: Final = _operation("explain_payout", "What a payout pays", answers.PayoutExplanation)
LIST_WALLETS: Final = _operation("list_wallets", "What a seller has, per currency", answers.Wallets)
LIST_DEBTS: Final = _operation("list_debts", "What a seller owes, debt by debt, with its age", answers.Debts)
ADJUST_WALLET: Final = _operation(
    "adjust_wallet",
    "Propose an adjustment of a wallet",
    answers.Proposal,
    status=202,
    body=ledger_bodies.NewAdjustment,
    keyed=True,
)
PROPOSE_TRANSACTION: Final = _operation(
    "propose_transaction",
    "Propose a manual journal, or rehearse one (`dry_run`)",
    answers.Proposal,
    status=202,
    body=ledger_bodies.NewTransaction,
    query=ledger_bodies.Rehearsal,
    keyed=True,
)
REVERSE_TRANSACTION: Final = _operation(
    "reverse_transaction",
    "Propose to take a transaction back",
    answers.Proposal,
    status=202,
    body=ledger_bodies.NewReversal,
    query=ledger_bodies.Rehearsal,
    keyed=True,
)
WITHDRAW_FEES: Final = _operation(
    "withdraw_fees",
    "Propose to withdraw the platform's fees, or rehearse it (`dry_run`)",
    answers.Proposal,
    status=202,
    body=ledger_bodies.NewFeeWithdrawal,
    query=ledger_bodies.Rehearsal,
    keyed=True,
)
LIST_PROPOSALS: Final = _operation(
    "list_proposals", "List proposed journals", answers.Proposals, query=ledger_bodies.ProposalsPage
)
GET_PROPOSAL: Final = _operation("get_proposal", "Read a proposed journal", answers.Proposal)
LIST_WALLET_TRANSACTIONS: Final = _operation(
    "list_wallet_transactions",
    "What moved a wallet, oldest first",
    answers.WalletTransactions,
    query=ledger_queries.Period,
)
GET_WALLET_STATEMENT: Final = _operation(
    "get_wallet_statement",
    "A wallet's statement of a period: opening, every movement with its order, closing",
    answers.WalletStatement,
    query=ledger_queries.Period,
)
LIST_QUOTES: Final = _operation(
    "list_quotes", "The quotes of a wallet, newest first", answers.Quotes, query=bodies.Page
)
CREATE_QUOTE: Final = _operation(
    "create_quote",
    "What an amount is worth in another currency",
    answers.Quote,
    status=201,
    body=bodies.NewQuote,
    keyed=True,
)
GET_QUOTE: Final = _operation("get_quote", "Read a quote", answers.Quote)
EXECUTE_QUOTE: Final = _operation("execute_quote", "Convert by a quote", answers.Quote, body=bodies.Nothing, keyed=True)
LIST_INVOICES: Final = _operation("list_invoices", "Invoices of fees", answers.Invoices, query=bodies.InvoicesPage)
GET_INVOICE: Final = _operation("get_invoice", "Read an invoice", answers.Invoice)
GET_BILLING: Final = _operation("get_billing", "Who bills, and by which rates", answers.BillingProfile)
PUT_BILLING: Final = _operation(
    "put_billing", "Set who bills, and add rates of value added tax", answers.BillingProfile, body=bodies.BillingTerms
)
CREATE_MERCHANT: Final = _operation(
    "create_merchant",
    "Make a merchant",
    answers.MerchantWithSecrets,
    status=201,
    body=bodies.NewMerchant,
    keyed=True,
)
GET_MERCHANT: Final = _operation("get_merchant", "Read a merchant", answers.Merchant)
PUT_MERCHANT_TERMS: Final = _operation(
    "put_merchant_terms", "Set when shares are released and fees go back", answers.Merchant, body=bodies.MerchantTerms
)
PUT_PSP_ACCOUNT: Final = _operation(
    "put_psp_account", "Set a merchant's credentials at a PSP", answers.PspAccount, body=bodies.PspCredentials
)
PUT_BANK_ACCOUNT: Final = _operation(
    "put_bank_account",
    "Set a bank account of the merchant's own, which pays sellers (signed)",
    answers.OwnBankAccount,
    body=bodies.OwnBankAccount,
)
LIST_LEDGER_ACCOUNTS: Final = _operation(
    "list_ledger_accounts",
    "List accounts of the book",
    ledger_answers.LedgerAccounts,
    query=ledger_queries.AccountsPage,
)
GET_LEDGER_ACCOUNT: Final = _operation("get_ledger_account", "Read an account", ledger_answers.LedgerAccount)
GET_LEDGER_BALANCE: Final = _operation(
    "get_ledger_balance",
    "Read a balance at any instant",
    ledger_answers.LedgerBalance,
    query=ledger_queries.BalanceQuery,
)
LIST_LEDGER_ENTRIES: Final = _operation(
    "list_ledger_entries",
    "Read the statement of an account",
    ledger_answers.LedgerEntries,
    query=ledger_queries.EntriesPage,
)
GET_LEDGER_TREE: Final = _operation(
    "get_ledger_tree",
    "Read the children of a node of the chart of accounts",
    ledger_answers.LedgerTree,
    query=ledger_queries.TreePage,
)
LIST_TURNOVER: Final = _operation(
    "list_turnover",
    "Read the turnover of a period, account by account",
    ledger_answers.LedgerTurnovers,
    query=ledger_queries.TurnoverPage,
)
GET_ACCOUNT_TURNOVER: Final = _operation(
    "get_account_turnover",
    "Read the turnover of an account by day or month",
    ledger_answers.LedgerTurnovers,
    query=ledger_queries.AccountTurnoverQuery,
)
LIST_LEDGER_TRANSACTIONS: Final = _operation(
    "list_ledger_transactions",
    "List transactions of the book",
    ledger_answers.LedgerTransactions,
    query=ledger_queries.TransactionsPage,
)
GET_LEDGER_TRANSACTION: Final = _operation(
    "get_ledger_transaction", "Read a transaction with its legs", ledger_answers.LedgerTransaction
)
GET_PROOF: Final = _operation(
    "get_ledger_transaction_proof",
    "Read the proof that a transaction is sealed",
    ledger_answers.Proof,
    conflicts=True,
)
LIST_SEALS: Final = _operation(
    "list_seals", "List the blocks of the book's chain", ledger_answers.Seals, query=bodies.Page
)
GET_TRIAL_BALANCE: Final = _operation(
    "get_trial_balance",
    "Read the trial balance at any instant",
    ledger_answers.TrialBalance,
    query=ledger_queries.TrialBalanceQuery,
)
