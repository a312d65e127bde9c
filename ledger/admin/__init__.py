"""The ledger in the back office, read-only: books, accounts with statements, transactions with their legs."""

from ledger.admin import accounts, books, transactions

__all__ = ["accounts", "books", "transactions"]
