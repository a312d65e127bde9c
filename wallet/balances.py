"""Wallet balances, read from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger import balances
from wallet import chart
from wallet.models import Wallet


@dataclass(frozen=True, slots=True)
class WalletBalance:
    """What a seller has in one currency, in minor units."""

    wallet: Wallet
    pending: int
    available: int
    reserved: int
    in_transit: int
    debt: int

    @property
    def balance(self) -> int:
        """Return pending + available + reserved - debt: what is the seller's and has not left."""
        return self.pending + self.available + self.reserved - self.debt


def of_wallets(wallets: Sequence[Wallet]) -> list[WalletBalance]:
    """Return the balances of wallets of one book (one statement)."""
    if not wallets:
        return []
    book_id = wallets[0].book_id
    assert all(wallet.book_id == book_id for wallet in wallets)
    codes = {
        (wallet.pk, part): chart.seller(book_id, wallet.seller, part, wallet.currency_id).code
        for wallet in wallets
        for part in chart.SELLER_PARTS
    }
    found = balances.of_codes(book_id, codes.values())
    amounts = {key: found[code].balance if code in found else 0 for key, code in codes.items()}
    return [WalletBalance(wallet, *(amounts[wallet.pk, part] for part in chart.SELLER_PARTS)) for wallet in wallets]
