"""Wallets and proposals in the back office."""

from wallet.admin import proposals, wallets

__all__ = ["proposals", "wallets"]
