"""Holdings: what sellers have in one currency, locked, for verbs that must know before they post.

Where money is taken from is one rule for refunds and disputes: first what is pending of the same order, then what is
available, and the rest becomes debt. A floor is never lowered. The amounts here follow what is taken and given in
memory, so that several verbs of one transaction see each other; nothing is posted here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from ledger import accounts, balances
from ledger.accounts import AccountSpec
from wallet import chart
from wallet.movements import Share

Owner = tuple[int, UUID, str]  # book id, seller's public id, currency


@dataclass(slots=True)
class Holding:
    """What a seller has and owes in one currency, in minor units; changed in memory by what is planned."""

    pending: int
    available: int
    reserved: int
    in_transit: int
    debt: int

    def take(self, amount: int, *, pending_of_order: int) -> Share:
        """Plan to take `amount`: from the order's pending rest, then from what is available, the rest as debt."""
        pending = min(amount, pending_of_order)
        available = min(amount - pending, self.available)
        share = Share(pending, available, amount - pending - available)
        self.pending -= share.pending
        self.available -= share.available
        self.debt += share.debt
        return share

    def give(self, amount: int, *, to_pending: int = 0) -> Share:
        """Plan to give `amount`: `to_pending` of it to pending; of the rest debt is netted before it is available."""
        rest = amount - to_pending
        debt = min(rest, self.debt)
        share = Share(to_pending, rest - debt, debt)
        self.pending += share.pending
        self.available += share.available
        self.debt -= share.debt
        return share


def lock(owners: Iterable[Owner], *, also: Iterable[AccountSpec] = ()) -> dict[Owner, Holding]:
    """Lock the wallets of sellers until the transaction ends, and return what is in them. Opens missing accounts.

    `also` are other accounts that the transaction will post to; locked with the wallets, they meet no other order of
    locks. Two statements for any number. Takes balance locks: call it after every row lock, and before
    `movements.record`.
    """
    wanted, others = sorted(set(owners), key=str), list(also)
    if not wanted and not others:
        return {}
    specs = {
        (owner, part): chart.seller(owner[0], owner[1], part, owner[2])
        for owner in wanted
        for part in chart.SELLER_PARTS
    }
    ids = accounts.resolve([*specs.values(), *others])
    nets = balances.lock(ids.values())

    def amount(owner: Owner, part: str) -> int:
        spec = specs[owner, part]
        net = nets[ids[spec.book_id, spec.code]]
        return net if part == "debt" else -net

    return {owner: Holding(*(amount(owner, part) for part in chart.SELLER_PARTS)) for owner in wanted}
