"""Changing back: what a converted order gives back is taken at the rate of its conversion, and returned at the same.

The seller has the money in its own currency. For a refund or a dispute the share that lacks in the order's currency is
changed back by the order's quote, before it is taken; what comes back is changed again by that quote. So neither a
refund that fails nor a dispute that is won costs anybody a rate. Rows are locked here, wallets are not.
"""

from __future__ import annotations

from collections.abc import Callable

from payments.appliers.batch import Batch
from payments.models import OrderConversion, PaymentOrder
from wallet import conversions
from wallet.conversions import MarginPolicy
from wallet.holdings import Holding
from wallet.models import Quote
from wallet.movements import Movement

# Gets the wallet of the order's currency and, when the order was changed, quote and wallet of what it was changed into.
type Decision = Callable[[Holding, "Changing | None"], None]


class Changing:
    """The executed quote of an order, with both locked wallets of its seller."""

    def __init__(self, batch: Batch, quote: Quote, sold: Holding, bought: Holding) -> None:
        self._batch, self._quote, self._sold, self._bought = batch, quote, sold, bought

    def back(self, share: int, *, pending: int, margin: MarginPolicy, subject: str) -> int:
        """Change back what lacks of a `share` in the order's currency, and return how much that was.

        `pending` is what is pending of the order. What was changed back for others before counts as gone.
        """
        lacking = share - min(share, pending) - self._sold.available
        amount = min(max(0, lacking), self._quote.amount_minor - self._quote.undone_minor)
        if amount:
            self._book(conversions.undo, amount, margin, subject)
        return amount

    def again(self, amount: int, *, margin: MarginPolicy, subject: str) -> None:
        """Change `amount`, which is available again, into the seller's currency, as before."""
        if amount:
            self._book(conversions.redo, amount, margin, subject)

    def _book(self, verb: Callable[..., Movement], amount: int, margin: MarginPolicy, subject: str) -> None:
        booked = verb(
            self._quote,
            amount,
            sold=self._sold,
            bought=self._bought,
            margin=margin,
            subject=subject,
            now=self._batch.now,
            actor="settlement",
        )
        self._batch.movements.append(booked)
        self._quote.save(update_fields=conversions.UNDONE)


def decide(batch: Batch, order: PaymentOrder, decision: Decision) -> None:
    """Put a decision off until the wallets of an order's seller are locked: one, or two when the order was changed.

    Locks the conversion of the order and its quote now.
    """
    owner, quote = batch.owner_of(order), _quote_of(batch, order)
    if quote is None:
        batch.decide(owner, lambda holding: decision(holding, None))
        return
    other = (owner[0], owner[1], quote.to_currency_id)
    batch.decide_on_both(owner, other, lambda sold, bought: decision(sold, Changing(batch, quote, sold, bought)))


def _quote_of(batch: Batch, order: PaymentOrder) -> Quote | None:
    """Return the quote by which an order's money was changed, if it was; the same row for the whole batch."""
    if order.pk not in batch.quotes:
        row = OrderConversion.objects.select_for_update(no_key=True).filter(pk=order.pk).first()
        found = None
        if row is not None and row.quote_id is not None:
            found = Quote.objects.select_for_update(no_key=True).get(pk=row.quote_id)
        batch.quotes[order.pk] = found
    return batch.quotes[order.pk]
