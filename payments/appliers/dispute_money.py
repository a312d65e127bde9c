"""The money of a dispute, order by order: taken, given back, given up, regained.

What was changed into the seller's own currency is changed back for it at the rate of the sale, the platform's margin
with it, and changed again at that rate when it comes back (`changing.py`).

Each verb changes the locked dispute and orders at once, and puts off what needs the seller's wallet (where the money is
taken from, what it goes back to) until that is locked.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.ids import public_id
from ledger.money import allocate
from payments import dispute_shares
from payments.appliers import changing
from payments.appliers.batch import Batch
from payments.appliers.cases import Case
from payments.appliers.changing import Changing
from payments.models import Charge, DisputePart, PaymentOrder
from payments.psp.base import DisputeFacts
from wallet import movements
from wallet.holdings import Holding
from wallet.movements import Heading, Share


@dataclass(frozen=True, slots=True)
class Money:
    """The money of one locked case."""

    batch: Batch
    case: Case
    charge: Charge

    def take(self, facts: DisputeFacts) -> None:
        """Hold what was taken: split over the orders by what is left of each, the rest by what they were."""
        batch, case = self.batch, self.case
        dispute, taken = case.dispute, facts.taken_minor
        orders = batch.orders_of(self.charge) or batch.orders_of_event(self.charge.event_id)
        left = [dispute_shares.left_of(order) for order in orders]
        within = allocate(min(taken, sum(left)), left)
        excess = allocate(taken - sum(within), [order.captured_minor or order.amount_minor for order in orders])
        dispute.taken_minor, dispute.cost_minor = taken, facts.cost_minor
        for order, inside, beyond in zip(orders, within, excess, strict=True):
            # The PSP's charge for the dispute is booked with the first part: there has to be one.
            if inside or beyond or (not case.parts and order is orders[-1]):
                part = DisputePart(
                    dispute=dispute,
                    order=order,
                    position=len(case.parts) + 1,
                    amount_minor=inside + beyond,
                    excess_minor=beyond,
                    fee_minor=dispute_shares.fee_of(order, inside),
                )
                case.parts.append(part)
                case.new_parts.append(part)
                self._settle_with(order, part.amount_minor, part.fee_minor)
                self._take_from_seller(part)

    def _take_from_seller(self, part: DisputePart) -> None:
        """Take the seller's share: pending of the order, then available, the rest as debt."""
        order, cost = self.batch.orders[part.order_id], self._of_first(part, self.case.dispute.cost_minor)
        owed = part.amount_minor - part.excess_minor - part.fee_minor

        def decide(holding: Holding, changed: Changing | None) -> None:
            if changed is not None:
                part.changed_back_minor = changed.back(
                    owed, pending=order.pending_minor, margin="return", subject=self._subject(part)
                )
            share = holding.take(owed, pending_of_order=order.pending_minor)
            part.pending_minor, part.available_minor, part.debt_minor = share.pending, share.available, share.debt
            order.pending_minor -= share.pending
            self.batch.movements.append(
                movements.open_dispute(
                    self._heading(part),
                    psp_account=self.charge.psp_account.code,
                    seller=self.batch.sellers[order.seller_id],
                    share=share,
                    amount=part.amount_minor,
                    cost=cost,
                )
            )

        changing.decide(self.batch, order, decide)

    def give_back(self, facts: DisputeFacts) -> None:
        """Take back what the PSP gave back of what it held, and give the sellers their shares again."""
        dispute = self.case.dispute
        dispute.returned_minor, dispute.cost_returned_minor = facts.returned_minor, facts.cost_returned_minor
        for part, amount in self._spread(facts.returned_minor):
            cost = self._of_first(part, facts.cost_returned_minor)
            if amount or cost:
                self._give_to_seller(part, amount, cost)

    def _give_to_seller(self, part: DisputePart, amount: int, cost: int) -> None:
        order = self.batch.orders[part.order_id]
        part.returned_minor = amount
        back = dispute_shares.between(part, 0, amount)
        self._settle_with(order, -back.total, -back.fee)

        def decide(holding: Holding, changed: Changing | None) -> None:
            share = _give(holding, order, part, back.seller)
            self.batch.movements.append(
                movements.win_dispute(
                    self._heading(part),
                    psp_account=self.charge.psp_account.code,
                    seller=self.batch.sellers[order.seller_id],
                    share=share,
                    amount=amount,
                    cost=cost,
                )
            )
            self._change_again(part, share.available, changed, self._subject(part))

        changing.decide(self.batch, order, decide)

    def return_cost(self, facts: DisputeFacts) -> None:
        """Take back what the PSP charged for a dispute, which it returns by itself: without any money, or after it."""
        dispute, part = self.case.dispute, self.case.parts[0]
        cost = facts.cost_returned_minor - dispute.cost_returned_minor
        dispute.cost_returned_minor = facts.cost_returned_minor
        heading = self.batch.heading(dispute.book_id, f"{self._subject(part)}:cost", self.charge.currency_id)
        order = self.batch.orders[part.order_id]

        def decide(_holding: Holding, _changed: Changing | None) -> None:
            self.batch.movements.append(
                movements.win_dispute(
                    heading,
                    psp_account=self.charge.psp_account.code,
                    seller=self.batch.sellers[order.seller_id],
                    share=Share(),
                    amount=0,
                    cost=cost,
                )
            )

        changing.decide(self.batch, order, decide)

    def give_up(self) -> None:
        """Let go of what is still held: the sellers' shares, the platform's fee, and its loss."""
        self.case.dispute.lost_minor = self.case.dispute.held_minor
        for part in self.case.parts:
            part.lost_minor = part.amount_minor - part.returned_minor
            if part.lost_minor:
                self._book_loss(part)

    def _book_loss(self, part: DisputePart) -> None:
        order = self.batch.orders[part.order_id]
        gone = dispute_shares.between(part, part.returned_minor, part.amount_minor)

        def decide(_holding: Holding, _changed: Changing | None) -> None:
            self.batch.movements.append(
                movements.lose_dispute(
                    self._heading(part),
                    psp_account=self.charge.psp_account.code,
                    seller=self.batch.sellers[order.seller_id],
                    reserved=gone.seller,
                    fee=gone.fee,
                    loss=gone.excess,
                )
            )

        changing.decide(self.batch, order, decide)

    def regain(self, facts: DisputeFacts) -> None:
        """Take back what was given up: the bank changed its mind, or an appeal was won."""
        dispute = self.case.dispute
        cost = facts.cost_returned_minor - dispute.cost_returned_minor
        dispute.regained_minor = facts.returned_minor - dispute.returned_minor
        dispute.cost_returned_minor = facts.cost_returned_minor
        for part, amount in self._spread(dispute.regained_minor):
            own_cost = self._of_first(part, cost)
            if amount or own_cost:
                self._reimburse(part, amount, own_cost)

    def _reimburse(self, part: DisputePart, amount: int, cost: int) -> None:
        order = self.batch.orders[part.order_id]
        part.regained_minor = amount
        back = dispute_shares.between(part, part.returned_minor, part.returned_minor + amount)
        self._settle_with(order, -back.total, -back.fee)

        def decide(holding: Holding, changed: Changing | None) -> None:
            share = _give(holding, order, part, back.seller)
            self.batch.movements.append(
                movements.regain_dispute(
                    self._heading(part),
                    psp_account=self.charge.psp_account.code,
                    seller=self.batch.sellers[order.seller_id],
                    share=share,
                    fee=back.fee,
                    loss=back.excess,
                    cost=cost,
                )
            )
            # A part may have come back, and was changed, before the rest was lost.
            self._change_again(part, share.available, changed, f"{self._subject(part)}:regained")

        changing.decide(self.batch, order, decide)

    def _change_again(self, part: DisputePart, available: int, changed: Changing | None, subject: str) -> None:
        """Change what was changed back for the dispute again, as far as it is available again."""
        again = min(part.changed_back_minor, available)
        if changed is not None and again:
            part.changed_back_minor -= again
            changed.again(again, margin="return", subject=subject)

    def _spread(self, back: int) -> list[tuple[DisputePart, int]]:
        """Split what came back over the parts, by what has not come back of each."""
        parts = self.case.parts
        return list(zip(parts, allocate(back, [p.amount_minor - p.returned_minor for p in parts]), strict=True))

    def _settle_with(self, order: PaymentOrder, amount: int, fee: int) -> None:
        """Let an order know what of it is disputed, more or less than before."""
        order.disputed_minor += amount
        order.fee_disputed_minor += fee
        order.updated_at = self.batch.now
        self.batch.changed_orders.add(order.pk)

    def _heading(self, part: DisputePart) -> Heading:
        return self.batch.heading(self.case.dispute.book_id, self._subject(part), self.charge.currency_id)

    def _subject(self, part: DisputePart) -> str:
        return f"{public_id('dsp', self.case.dispute.public_id)}:{part.position}"

    @staticmethod
    def _of_first(part: DisputePart, cost: int) -> int:
        return cost if part.position == 1 else 0


def _to_pending(order: PaymentOrder, part: DisputePart, amount: int) -> int:
    """Return what of a seller's share goes back to where it waits for the release: none once the order is released."""
    return min(amount, part.pending_minor) if order.released_at is None else 0


def _give(holding: Holding, order: PaymentOrder, part: DisputePart, amount: int) -> Share:
    """Plan to give a seller its share again."""
    share = holding.give(amount, to_pending=_to_pending(order, part, amount))
    order.pending_minor += share.pending
    return share
