"""The ledger in the back office: books, accounts, transactions, periods. All that changes is that a period closes."""

from ledger.admin import accounts, books, periods, transactions

__all__ = ["accounts", "books", "periods", "transactions"]
