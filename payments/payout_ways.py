"""Ways out: whether a book pays its sellers through its PSP or through a bank account of its own.

The payout mode of the book's PSP account decides, when a payout is asked for; a payout keeps its way.
"""

from __future__ import annotations

from dataclasses import dataclass

from payments import sepa
from payments.errors import Conflict, PaymentsError, Unprocessable
from payments.models import MerchantBook, OwnBankAccount, PayoutDestination, PspAccount

FILE = "file"  # what a payout through the bank waits for


@dataclass(frozen=True, slots=True)
class Way:
    """The PSP account or the bank account that pays; the other is `None`."""

    psp_account: PspAccount | None
    bank_account: OwnBankAccount | None

    @property
    def waiting_for(self) -> str:
        """Return what a new payout waits for."""
        return FILE if self.bank_account is not None else ""

    def require(self, destination: PayoutDestination) -> None:
        """Raise `Unprocessable` for a bank account that this way does not reach."""
        if self.bank_account is not None and not sepa.reaches(destination):
            raise Unprocessable(
                "payout_destination_not_sepa", "the seller's bank account has no IBAN that SEPA reaches", field="seller"
            )


def of_book(settings_: MerchantBook, currency: str) -> Way:
    """Return the way of a new payout of a book. Raises `Conflict` or `Unprocessable` when there is none."""
    account = settings_.default_psp_account
    if account is None:
        raise Conflict("no_psp_account", "the merchant has no PSP account")
    if account.payout_mode == PspAccount.PayoutMode.PSP:
        return Way(account, None)
    if currency != sepa.CURRENCY:
        raise Unprocessable(
            "payout_currency_not_sepa", f"the merchant's bank pays in {sepa.CURRENCY} only", field="currency"
        )
    # Uses index: one_bank_account_pays_in_a_currency.
    own = OwnBankAccount.objects.filter(book_id=settings_.pk, currency_id=currency, closed_at__isnull=True).first()
    if own is None:
        raise Conflict("no_bank_account", f"the merchant has no bank account of its own in {currency}")
    return Way(None, own)


def reached(book_id: int, destinations: list[PayoutDestination]) -> list[PayoutDestination]:
    """Leave out the bank accounts that a payout of the book would not reach now."""
    settings_ = MerchantBook.objects.select_related("default_psp_account").get(book_id=book_id)
    found: dict[str, Way | None] = {}
    for currency in {row.currency_id for row in destinations}:
        try:
            found[currency] = of_book(settings_, currency)
        except PaymentsError:
            found[currency] = None
    return [row for row in destinations if _is_reached(found[row.currency_id], row)]


def _is_reached(way: Way | None, destination: PayoutDestination) -> bool:
    return way is not None and (way.bank_account is None or sepa.reaches(destination))
