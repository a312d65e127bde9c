"""The batch of payouts under settlement: locked rows, and what is to be written about them.

Lock order: payout < payee < operation < ledger balances. The destinations and sellers of payouts never change, so they
are read and not locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from config import seam
from ledger.ids import public_id
from payments import outbox, representations
from payments.models import OwnBankAccount, Payee, Payout, PayoutDestination, PspAccount, PspOperation, Seller
from payments.models.bulk import by_id, read_rows, update_rows
from payments.outbox import Fact
from wallet import movements
from wallet.movements import Heading, Movement


@dataclass(slots=True)
class PayoutBatch:
    """Locked rows by id. Appliers mutate them and register what changed."""

    now: datetime
    payouts: Mapping[int, Payout]
    operations: dict[int, PspOperation]
    payees: dict[tuple[int, int], Payee]  # by destination and PSP account
    movements: list[Movement] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    new_operations: list[PspOperation] = field(default_factory=list)
    changed_payouts: set[int] = field(default_factory=set)
    changed_operations: set[int] = field(default_factory=set)
    changed_payees: set[int] = field(default_factory=set)
    unwanted_payees: set[int] = field(default_factory=set)

    def payee_of(self, payout: Payout) -> Payee | None:
        """Return the payee of a payout's destination at its PSP account, if it was decided to make one."""
        return self.payees.get((payout.destination_id, payout.psp.pk))

    def heading(self, payout: Payout) -> Heading:
        """Return the heading of a movement that is booked about a payout."""
        return Heading(payout.book_id, public_id("pyo", payout.public_id), payout.currency_id, self.now, "settlement")

    def operation(self, payout: Payout, kind: PspOperation.Kind, *, due: bool = True) -> PspOperation:
        """Decide a call about a payout; it is written with the batch."""
        made = PspOperation(
            public_id=seam.new_uuid(),
            book_id=payout.book_id,
            psp_account_id=payout.psp.pk,
            kind=kind,
            lane=PspOperation.Lane.TRANSFERS,
            payout=payout,
            amount_minor=0 if kind == PspOperation.Kind.CREATE_PAYEE else payout.amount_minor,
            parameters={},
            state=PspOperation.State.PREPARED,
            created_at=self.now,
            due_at=self.now if due else None,
        )
        self.new_operations.append(made)
        return made

    def touch(self, payout: Payout) -> None:
        """Note that a payout is to be written."""
        self.changed_payouts.add(payout.pk)

    def publish(self, payout: Payout, kind: str = "") -> None:
        """Tell of a payout as it is now: its status, or another `kind`; the version grows with each."""
        payout.version += 1
        payout.updated_at = self.now
        self.touch(payout)
        self.facts.append(fact_of(payout, kind))


def fact_of(payout: Payout, kind: str = "") -> Fact:
    """Return the fact that a payout (its seller and destination loaded) is in its status, or another kind of fact."""
    shown = representations.payout(payout)
    return Fact(payout.book_id, f"payout.{kind or payout.status}", "payout", payout.pk, shown)


def lock(payout_ids: Iterable[int], *, now: datetime) -> PayoutBatch:
    """Lock payouts with their payees and open operations; a fixed number of statements.

    When a payee is being made by one of them, also the transfers of other payouts that wait for it.
    """
    payouts = by_id(read_rows(Payout, "id", payout_ids, lock=True))
    attach(payouts.values())
    payees = {
        (payee.destination_id, payee.psp_account_id): payee
        for payee in read_rows(Payee, "destination_id", (p.destination_id for p in payouts.values()), lock=True)
    }
    operations = dict(by_id(read_rows(PspOperation, "payout_id", payouts, lock=True, where="t.closed_at IS NULL")))
    making = {
        payouts[operation.payout_id].destination_id
        for operation in operations.values()
        if operation.kind == PspOperation.Kind.CREATE_PAYEE and operation.payout_id is not None
    }
    if making:
        others = Payout.objects.filter(destination_id__in=making, status=Payout.Status.PENDING).exclude(id__in=payouts)
        waiting = "t.closed_at IS NULL AND t.kind = 'transfer' AND t.due_at IS NULL AND t.dead_at IS NULL"
        keys = list(others.values_list("id", flat=True))
        operations.update(by_id(read_rows(PspOperation, "payout_id", keys, lock=True, where=waiting)))
    return PayoutBatch(now, payouts, operations, payees)


def attach(payouts: Iterable[Payout]) -> None:
    """Load seller, destination and PSP account of payouts, each once."""
    rows = list(payouts)
    sellers = by_id(read_rows(Seller, "id", (payout.seller_id for payout in rows)))
    destinations = by_id(read_rows(PayoutDestination, "id", (payout.destination_id for payout in rows)))
    psps = (payout.psp_account_id for payout in rows if payout.psp_account_id is not None)
    banks = (payout.bank_account_id for payout in rows if payout.bank_account_id is not None)
    accounts, own = by_id(read_rows(PspAccount, "id", psps)), by_id(read_rows(OwnBankAccount, "id", banks))
    for payout in rows:
        payout.seller, payout.destination = sellers[payout.seller_id], destinations[payout.destination_id]
        if payout.psp_account_id is not None:
            payout.psp_account = accounts[payout.psp_account_id]
        if payout.bank_account_id is not None:
            payout.bank_account = own[payout.bank_account_id]


_PAYOUT_COLUMNS = (
    "destination", "status", "approved_by", "waiting_for", "failure", "transfer_psp_id", "psp_id", "version",
    "updated_at", "paid_at", "due_at", "lease_until", "tries",
)  # fmt: skip
_OPERATION_COLUMNS = (
    "parameters", "state", "outcome", "key_generation", "error_code", "error_message", "psp_request_id", "closed_at",
    "due_at", "lease_until", "dead_at",
)  # fmt: skip


def write(batch: PayoutBatch) -> None:
    """Write what the appliers changed, publish it, and post the money last; one statement per table that changed."""
    update_rows([batch.payouts[i] for i in sorted(batch.changed_payouts)], _PAYOUT_COLUMNS)
    known = {payee.pk: payee for payee in batch.payees.values()}
    update_rows([known[i] for i in sorted(batch.changed_payees)], ("psp_id",))
    if batch.unwanted_payees:
        Payee.objects.filter(id__in=batch.unwanted_payees).delete()
    update_rows([batch.operations[i] for i in sorted(batch.changed_operations)], _OPERATION_COLUMNS)
    if batch.new_operations:
        PspOperation.objects.bulk_create(batch.new_operations)
    outbox.publish(batch.facts, now=batch.now)
    movements.record(batch.movements, now=batch.now)
