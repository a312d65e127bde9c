"""The ledger in the back office: accounts, transactions, periods, checks. All that changes is that a period closes."""

from ledger.admin import accounts, books, checks, periods, transactions

__all__ = ["accounts", "books", "checks", "periods", "transactions"]
