"""The chart of accounts: which accounts exist, of what type, and which of them may be hot.

Accounts of sellers and buyers are *authorizing*: one balance row each, locked, never below zero. What many payments
touch at once (clearing, fees) is *recording*: entries only, no row lock.
"""

from __future__ import annotations

from uuid import UUID

from ledger.accounts import AccountSpec
from ledger.ids import public_id
from ledger.models import AccountType, PostingMode
from ledger.money import EXPONENTS

SELLER_PARTS = ("pending", "available", "reserved", "in_transit", "debt")


def seller(book_id: int, seller_id: UUID, part: str, currency: str) -> AccountSpec:
    """Return one of a seller's accounts: what we owe the seller, or (`debt`) what the seller owes us."""
    kind = AccountType.ASSET if part == "debt" else AccountType.LIABILITY
    code = f"seller:{public_id('sel', seller_id)}:{part}:{currency}"
    return AccountSpec(book_id, code, kind, currency, PostingMode.AUTHORIZING, floor=0)


def buyer_stored(book_id: int, buyer: UUID, currency: str) -> AccountSpec:
    """Return the account of a buyer's stored value. `buyer` is an id of ours: codes hold no personal data."""
    code = f"buyer:{public_id('buy', buyer)}:stored:{currency}"
    return AccountSpec(book_id, code, AccountType.LIABILITY, currency, PostingMode.AUTHORIZING, floor=0)


def psp_clearing(book_id: int, psp_account: str, currency: str) -> AccountSpec:
    """Return the account of our money at a PSP."""
    return _recording(book_id, f"psp:{psp_account}:clearing:{currency}", AccountType.ASSET, currency)


def psp_connected(book_id: int, psp_account: str, currency: str) -> AccountSpec:
    """Return the account of what was transferred to sellers' connected accounts and not paid out yet."""
    return _recording(book_id, f"psp:{psp_account}:connected:{currency}", AccountType.ASSET, currency)


def dispute_held(book_id: int, psp_account: str, currency: str) -> AccountSpec:
    """Return the account of money that a PSP holds until disputes are decided."""
    return _recording(book_id, f"psp:{psp_account}:dispute_held:{currency}", AccountType.ASSET, currency)


def bank(book_id: int, name: str, currency: str) -> AccountSpec:
    """Return the account of our money at a bank."""
    return _recording(book_id, f"bank:{name}:{currency}", AccountType.ASSET, currency)


def bank_in_transit(book_id: int, currency: str) -> AccountSpec:
    """Return the account of what PSPs paid out to our banks and has not arrived."""
    return bank(book_id, "in_transit", currency)


def place(book_id: int, code: str, currency: str) -> AccountSpec:
    """Return the account where money of ours is outside: `psp:{account}:clearing` or `bank:{name}`."""
    words = code.split(":")
    assert (words[0], len(words)) == ("bank", 2) or (words[0], words[2:]) == ("psp", ["clearing"]), code
    return _recording(book_id, f"{code}:{currency}", AccountType.ASSET, currency)


def suspense_debit(book_id: int, currency: str) -> AccountSpec:
    """Return the account of money that left and that nobody can name yet."""
    return _recording(book_id, f"suspense:debit:{currency}", AccountType.ASSET, currency)


def suspense_credit(book_id: int, currency: str) -> AccountSpec:
    """Return the account of money that came and that nobody can name yet."""
    return _recording(book_id, f"suspense:credit:{currency}", AccountType.LIABILITY, currency)


def psp_fees(book_id: int, currency: str) -> AccountSpec:
    """Return what PSPs charge."""
    return _recording(book_id, f"fees:psp:{currency}", AccountType.EXPENSE, currency)


def fee_variance(book_id: int, currency: str) -> AccountSpec:
    """Return what PSPs charged beyond their contracts, to be claimed."""
    return _recording(book_id, f"fees:variance:{currency}", AccountType.EXPENSE, currency)


def bank_charges(book_id: int, currency: str) -> AccountSpec:
    """Return what banks charge, less the interest that they pay."""
    return _recording(book_id, f"bank:charges:{currency}", AccountType.EXPENSE, currency)


def platform_fees(book_id: int, currency: str) -> AccountSpec:
    """Return the platform's income from sales."""
    return _recording(book_id, f"fees:platform:{currency}", AccountType.INCOME, currency)


def dispute_fees(book_id: int, currency: str) -> AccountSpec:
    """Return what PSPs charge for disputes."""
    return _recording(book_id, f"fees:dispute:{currency}", AccountType.EXPENSE, currency)


def chargeback_loss(book_id: int, currency: str) -> AccountSpec:
    """Return what the platform lost to disputes beyond the sellers' shares."""
    return _recording(book_id, f"chargeback:loss:{currency}", AccountType.EXPENSE, currency)


def fx_clearing(book_id: int, currency: str) -> AccountSpec:
    """Return the account in which the two halves of a conversion meet: our position in a currency."""
    return _recording(book_id, f"fx:clearing:{currency}", AccountType.EQUITY, currency)


def fx_fees(book_id: int, currency: str) -> AccountSpec:
    """Return the platform's margin on conversions."""
    return _recording(book_id, f"fees:fx:{currency}", AccountType.INCOME, currency)


def fx_gain_loss(book_id: int, currency: str) -> AccountSpec:
    """Return what moving rates brought or cost."""
    return _recording(book_id, f"fx:gain_loss:{currency}", AccountType.INCOME, currency)


def rounding(book_id: int, currency: str) -> AccountSpec:
    """Return the cents that exact divisions leave over."""
    return _recording(book_id, f"rounding:{currency}", AccountType.INCOME, currency)


def refund_payable(book_id: int, currency: str) -> AccountSpec:
    """Return what we owe to buyers and have not paid back yet."""
    return _recording(book_id, f"refund:payable:{currency}", AccountType.LIABILITY, currency)


def write_off(book_id: int, currency: str) -> AccountSpec:
    """Return what the platform gave up, and what manual adjustments of wallets cost it."""
    return _recording(book_id, f"write_off:{currency}", AccountType.EXPENSE, currency)


def retained(book_id: int, currency: str) -> AccountSpec:
    """Return the profit and loss of closed years."""
    return _recording(book_id, f"retained:{currency}", AccountType.EQUITY, currency)


def of_the_platform(book_id: int, code: str) -> AccountSpec | None:
    """Return the account of a code that a book has once per currency, opened or not; `None` for any other code."""
    for make in _OF_THE_PLATFORM:
        spec = make(book_id, code.rpartition(":")[2])
        if spec.code == code and spec.currency in EXPONENTS:
            return spec
    return None


def follows_a_flow(code: str) -> bool:
    """Say whether the balance of an account is that of orders, disputes or payouts, which a manual journal forgets."""
    words = code.split(":")
    return (words[0], words[-2:-1]) in _OF_FLOWS


def _recording(book_id: int, code: str, kind: AccountType, currency: str) -> AccountSpec:
    return AccountSpec(book_id, code, kind, currency, PostingMode.RECORDING)


_OF_THE_PLATFORM = (
    bank_in_transit,
    suspense_debit,
    suspense_credit,
    psp_fees,
    fee_variance,
    bank_charges,
    platform_fees,
    dispute_fees,
    chargeback_loss,
    fx_clearing,
    fx_fees,
    fx_gain_loss,
    rounding,
    refund_payable,
    write_off,
    retained,
)
_OF_FLOWS = (("seller", ["pending"]), ("seller", ["reserved"]), ("seller", ["in_transit"]), ("psp", ["dispute_held"]))
