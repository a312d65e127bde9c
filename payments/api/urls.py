"""Addresses of the API. The hot ones come first: the resolver tries them in this order."""

from django.urls import path

from payments.api import (
    conversions,
    intake,
    ledger_accounts,
    ledger_postings,
    ledger_transactions,
    merchants,
    payment_orders,
    payments,
    refunds,
    seals,
    sellers,
    wallet_adjustments,
    wallet_statements,
)

_P = "payments/<str:payment_id>"
_A = "ledger/accounts/<str:code>"

urlpatterns = [
    path("payments", payments.collection(payments.Payments, intake.accept_payment)),
    path("payments/bulk", payments.collection(payments.BulkPayments, intake.accept_bulk)),
    path(_P, payments.Payment.as_view()),
    path(f"{_P}/process", payments.ProcessPayment.as_view()),
    path(f"{_P}/capture", payments.CapturePayment.as_view()),
    path(f"{_P}/cancel", payments.CancelPayment.as_view()),
    path(f"{_P}/timeline", payments.PaymentTimeline.as_view()),
    path(f"{_P}/transactions", payments.PaymentTransactions.as_view()),
    path("charges/<str:charge_id>", payments.Charge.as_view()),
    path("payment-orders", payment_orders.PaymentOrders.as_view()),
    path("payment-orders/<str:order_id>", payment_orders.Order.as_view()),
    path("payment-orders/<str:order_id>/process", payment_orders.ProcessOrder.as_view()),
    path("payment-orders/<str:order_id>/deliver", payment_orders.DeliverOrder.as_view()),
    path("payment-orders/<str:order_id>/receipt", payment_orders.Receipt.as_view()),
    path("refunds", refunds.Refunds.as_view()),
    path("refunds/<str:refund_id>", refunds.Refund.as_view()),
    path("sellers", sellers.Sellers.as_view()),
    path("sellers/<str:seller_id>", sellers.Seller.as_view()),
    path("sellers/<str:seller_id>/wallets", sellers.SellerWallets.as_view()),
    path("wallets/<str:wallet_id>/transactions", wallet_adjustments.WalletTransactions.as_view()),
    path("wallets/<str:wallet_id>/statement", wallet_statements.WalletStatement.as_view()),
    path("wallets/<str:wallet_id>/quotes", conversions.WalletQuotes.as_view()),
    path("quotes/<str:quote_id>", conversions.QuoteView.as_view()),
    path("quotes/<str:quote_id>/execute", conversions.ExecuteQuote.as_view()),
    path("merchants", merchants.Merchants.as_view()),
    path("merchants/<str:merchant_id>", merchants.MerchantView.as_view()),
    path("merchants/<str:merchant_id>/psp-accounts/<str:psp>", merchants.MerchantPspAccount.as_view()),
    path("ledger/accounts", ledger_accounts.LedgerAccounts.as_view()),
    path(_A, ledger_accounts.LedgerAccount.as_view()),
    path(f"{_A}/balance", ledger_accounts.LedgerAccountBalance.as_view()),
    path(f"{_A}/entries", ledger_accounts.LedgerAccountEntries.as_view()),
    path("ledger/transactions", ledger_postings.Transactions.as_view()),
    path("ledger/transactions/<str:transaction_id>", ledger_transactions.LedgerTransaction.as_view()),
    path("ledger/transactions/<str:transaction_id>/proof", seals.TransactionProof.as_view()),
    path("ledger/seals", seals.Seals.as_view()),
    path("ledger/transactions/<str:transaction_id>/reverse", ledger_postings.ReverseTransaction.as_view()),
    path("ledger/proposals", ledger_postings.Proposals.as_view()),
    path("ledger/proposals/<str:proposal_id>", ledger_postings.ProposalView.as_view()),
    path("ledger/trial-balance", ledger_transactions.TrialBalance.as_view()),
]
