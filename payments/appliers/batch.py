"""The batch under settlement: locked rows, and what is to be written about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from config import seam
from ledger.accounts import AccountSpec
from payments import terms
from payments.appliers import cases
from payments.appliers.cases import Case
from payments.models import Charge, FoundRefund, PaymentEvent, PaymentOrder, PspAccount, PspOperation, Refund
from payments.models.bulk import by_id, read_rows, update_rows
from payments.outbox import Fact
from payments.psp.base import Result
from payments.terms import Terms
from wallet import holdings
from wallet.holdings import Holding, Owner
from wallet.models import Quote
from wallet.movements import Heading, Movement

# Changes rows and registers movements, once the wallets that it names are locked; gets them in that order.
Decision = Callable[..., None]


class PspMismatch(Exception):
    """The PSP reports another amount or currency than ours: nothing may be booked, a person must look."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the PSP told us about one charge, and how we came to ask.

    `operation_id` and `fence` are given when the report answers a call of ours; the fence tells whether the caller
    still held the operation. `charge_id` is empty only for an operation on a whole checkout (saving a method).
    `sent_before`: an earlier call of the operation may have had an effect. `charge_status` is where the charge stood
    when the question was put; empty when that is not known.
    """

    event_id: int
    charge_id: int | None
    result: Result
    operation_id: int | None = None
    fence: int = 0
    sent_before: bool = False
    charge_status: str = ""
    about_dispute: bool = False


@dataclass(slots=True)
class Batch:
    """Locked rows by id. Appliers mutate them and register what changed.

    `sellers` holds the public ids of the orders' sellers. `next` are operations that this batch made due and that may
    be claimed with it. `also_locked` are accounts to lock together with the wallets that decisions wait for. `quotes`:
    the locked conversions of orders, read by `changing`.
    `registered` are charges that go through REGISTERED on their way to another state: written in two steps.
    """

    now: datetime
    events: Mapping[int, PaymentEvent]
    charges: Mapping[int, Charge]
    orders: Mapping[int, PaymentOrder]
    refunds: Mapping[int, Refund]
    operations: Mapping[int, PspOperation]
    sellers: dict[int, UUID]
    movements: list[Movement] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    new_refunds: list[tuple[Refund, PspOperation | None]] = field(default_factory=list)
    new_charges: list[tuple[Charge, PspOperation, list[PaymentOrder]]] = field(default_factory=list)
    new_operations: list[PspOperation] = field(default_factory=list)
    changed_charges: set[int] = field(default_factory=set)
    changed_orders: set[int] = field(default_factory=set)
    changed_refunds: set[int] = field(default_factory=set)
    changed_operations: set[int] = field(default_factory=set)
    touched_events: set[int] = field(default_factory=set)
    next: list[PspOperation] = field(default_factory=list)
    decisions: list[tuple[tuple[Owner, ...], Decision]] = field(default_factory=list)
    also_locked: list[AccountSpec] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    found_refunds: list[FoundRefund] = field(default_factory=list)
    registered: set[int] = field(default_factory=set)
    quotes: dict[int, Quote | None] = field(default_factory=dict)
    announcements: list[Callable[[], list[Fact]]] = field(default_factory=list)
    _charges: dict[int, list[Charge]] = field(init=False)
    _orders: dict[int, list[PaymentOrder]] = field(init=False)
    _operations: dict[int, list[PspOperation]] = field(init=False)
    _events_before: dict[int, tuple[object, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the rows by checkout: each is asked for many times, and a batch holds hundreds."""
        self._charges = _by_event(self.charges.values(), "pk")
        self._orders = _by_event(self.orders.values(), "position")
        self._operations = _by_event(self.operations.values(), "pk")
        self._events_before = {event.pk: _values(event) for event in self.events.values()}

    def heading(self, book_id: int, subject: str, currency: str) -> Heading:
        """Return the heading of a movement that this settlement books."""
        return Heading(book_id, subject, currency, self.now, "settlement")

    def terms_of(self, event_id: int) -> Terms:
        """Return what the book of a checkout says about releases and refunds."""
        return terms.read(self.events[event_id].__dict__["terms"])

    def owner_of(self, order: PaymentOrder) -> Owner:
        """Return whose wallet an order pays into."""
        return order.book_id, self.sellers[order.seller_id], order.currency_id

    def touch(self, order: PaymentOrder) -> None:
        """Register that an order changed, and its checkout with it."""
        order.updated_at = self.now
        self.changed_orders.add(order.pk)
        self.touched_events.add(order.event_id)

    def new_version(self, event_id: int) -> PaymentEvent:
        """Give a checkout a new version: what is shown of it changed without a change of its status."""
        event = self.events[event_id]
        event.version += 1
        event.updated_at = self.now
        self.touched_events.add(event_id)
        return event

    def decide(self, owner: Owner, decision: Callable[[Holding], None]) -> None:
        """Put a decision off until the seller's wallet is locked, after every row and before anything is written."""
        self.decisions.append(((owner,), decision))

    def decide_on_both(self, first: Owner, second: Owner, decision: Callable[[Holding, Holding], None]) -> None:
        """Put a decision off that needs two wallets of a seller."""
        self.decisions.append(((first, second), decision))

    def take_decisions(self) -> None:
        """Lock the wallets that decisions wait for, all at once, and take the decisions in order."""
        wanted = (owner for owners, _ in self.decisions for owner in owners)
        held = holdings.lock(wanted, also=self.also_locked)
        for owners, decision in self.decisions:
            decision(*(held[owner] for owner in owners))
        self.decisions.clear()
        self.also_locked.clear()
        for announcement in self.announcements:
            self.facts.extend(announcement())
        self.announcements.clear()

    def changed_events(self) -> list[PaymentEvent]:
        """Return the checkouts of which a column changed since they were locked, by id."""
        found = (self.events[i] for i in sorted(self.touched_events))
        return [event for event in found if _values(event) != self._events_before[event.pk]]

    def orders_of(self, charge: Charge) -> list[PaymentOrder]:
        """Return the orders that a charge pays, in their order."""
        return [order for order in self._orders.get(charge.event_id, []) if order.charge_id == charge.pk]

    def charges_of(self, event_id: int) -> list[Charge]:
        """Return the charges of a checkout."""
        return self._charges.get(event_id, [])

    def orders_of_event(self, event_id: int) -> list[PaymentOrder]:
        """Return the orders of a checkout, in their order."""
        return self._orders.get(event_id, [])

    def operations_of(self, event_id: int) -> list[PspOperation]:
        """Return the operations of a checkout that were not closed when it was locked, by id."""
        return self._operations.get(event_id, [])

    def open_operations(self, event_id: int, charge_id: int | None, *kinds: str) -> list[PspOperation]:
        """Return the operations of a charge (or of a whole checkout) that have not ended, by id."""
        return [
            operation
            for operation in self.operations_of(event_id)
            if operation.charge_id == charge_id
            and operation.kind in kinds
            and operation.closed_at is None
            and operation.state != PspOperation.State.DEAD
        ]


def _by_event[Row: (Charge, PaymentOrder, PspOperation)](rows: Iterable[Row], order: str) -> dict[int, list[Row]]:
    ordered = sorted(rows, key=attrgetter("event_id", order))
    return {event_id: list(group) for event_id, group in groupby(ordered, attrgetter("event_id"))}


_SELLER = "(SELECT s.public_id FROM payments_seller s WHERE s.id = t.seller_id) AS seller_public_id"


def lock(event_ids: Iterable[int], *, now: datetime, disputes: bool = False) -> Batch:
    """Lock checkouts and everything below them, in the documented order, and re-read it.

    event < charge < order < refund < dispute < operation; a fixed number of statements. Disputes only when they are
    asked for: most batches are about none. Balances are locked later, by posting.
    """
    ids = sorted(set(event_ids))
    events = by_id(read_rows(PaymentEvent, "id", ids, lock=True, also=terms.COLUMN))
    charges = by_id(read_rows(Charge, "event_id", ids, lock=True))
    accounts = by_id(read_rows(PspAccount, "id", (charge.psp_account_id for charge in charges.values())))
    for charge in charges.values():
        charge.psp_account = accounts[charge.psp_account_id]
    orders = by_id(read_rows(PaymentOrder, "event_id", ids, lock=True, also=_SELLER))
    sellers: dict[int, UUID] = {}
    for order in orders.values():
        order.event, order.charge = events[order.event_id], charges[order.charge_id]
        sellers[order.seller_id] = order.__dict__["seller_public_id"]
    refunds = by_id(read_rows(Refund, "charge_id", charges, lock=True))
    found = cases.lock(charges) if disputes else []
    operations = by_id(read_rows(PspOperation, "event_id", ids, lock=True, where="t.closed_at IS NULL"))
    return Batch(now, events, charges, orders, refunds, operations, sellers, cases=found)


_CHARGE_COLUMNS = (
    "status", "captured_minor", "psp_id", "session_id", "session_url", "cancel_reason", "next_action", "failure",
    "method_details", "due_at", "tries",
)  # fmt: skip
_ORDER_COLUMNS = (
    "charge", "status", "fee_minor", "captured_minor", "refunded_minor", "fee_refunded_minor", "disputed_minor",
    "fee_disputed_minor", "pending_minor", "capture_requested_minor", "failure", "method_details", "ledger_updated",
    "wallet_updated", "delivered_at", "succeeded_at", "release_due_at", "released_at", "updated_at",
)  # fmt: skip
_OPERATION_COLUMNS = (
    "parameters", "state", "outcome", "key_generation", "error_code", "error_message", "psp_request_id", "closed_at",
    "due_at", "lease_until", "dead_at",
)  # fmt: skip
_REFUND_COLUMNS = ("status", "psp_id", "failure", "settled_at", "attention_at", "changed_back_minor")
_EVENT_COLUMNS = (
    "status", "psp_customer", "psp_saved_method", "next_action", "version", "updated_at", "expiry_due_at",
)  # fmt: skip


def _values(event: PaymentEvent) -> tuple[object, ...]:
    return tuple(event.__dict__[name] for name in _EVENT_COLUMNS)


def write(batch: Batch) -> None:
    """Write what the appliers changed: one statement per table, none for a table without changes."""
    _register_charges(batch)
    update_rows([batch.charges[i] for i in sorted(batch.changed_charges)], _CHARGE_COLUMNS)
    _insert_charges(batch)
    update_rows([batch.orders[i] for i in sorted(batch.changed_orders)], _ORDER_COLUMNS)
    update_rows([batch.refunds[i] for i in sorted(batch.changed_refunds)], _REFUND_COLUMNS)
    _insert_refunds(batch.new_refunds)
    cases.write(batch.cases)
    _note_refunds(batch.found_refunds)
    if batch.new_operations:
        PspOperation.objects.bulk_create(batch.new_operations)
    update_rows([batch.operations[i] for i in sorted(batch.changed_operations)], _OPERATION_COLUMNS)
    update_rows(batch.changed_events(), _EVENT_COLUMNS)


def _register_charges(batch: Batch) -> None:
    """Let charges that were first heard of in a later state be registered first: an UPDATE is one edge of a machine."""
    on_their_way = [i for i in sorted(batch.registered) if batch.charges[i].status != Charge.Status.REGISTERED]
    if on_their_way:
        Charge.objects.filter(id__in=on_their_way).update(status=Charge.Status.REGISTERED)


def _note_refunds(found: Sequence[FoundRefund]) -> None:
    """Insert refunds that nobody asked us for, or note where known ones stand now. One statement."""
    by_name = {(row.psp_account_id, row.psp_id): row for row in found}
    if by_name:
        FoundRefund.objects.bulk_create(
            by_name.values(),
            update_conflicts=True,
            unique_fields=["psp_account", "psp_id"],
            update_fields=["psp_status", "seen_at"],
        )


def _insert_charges(batch: Batch) -> None:
    """Insert successors of cancelled charges and move their orders over."""
    if not batch.new_charges:
        return
    Charge.objects.bulk_create(charge for charge, _, _ in batch.new_charges)
    for charge, operation, orders in batch.new_charges:
        operation.charge = charge
        batch.new_operations.append(operation)
        for order in orders:
            order.charge = charge
            batch.changed_orders.add(order.pk)


def _insert_refunds(pairs: Sequence[tuple[Refund, PspOperation | None]]) -> None:
    """Insert refunds with the calls that pay them out; one to stored value has none."""
    if not pairs:
        return
    Refund.objects.bulk_create(refund for refund, _ in pairs)
    operations: list[PspOperation] = []
    for refund, operation in pairs:
        if operation is not None:
            operation.refund = refund
            operations.append(operation)
    PspOperation.objects.bulk_create(operations)


def new_operation(
    kind: PspOperation.Kind,
    event: PaymentEvent,
    charge: Charge,
    *,
    now: datetime,
    due: bool = True,
    amount_minor: int = 0,
    parameters: dict[str, object] | None = None,
    lane: PspOperation.Lane = PspOperation.Lane.LIVE,
) -> PspOperation:
    """Build (not save) an operation on a charge."""
    return PspOperation(
        public_id=seam.new_uuid(),
        book_id=event.book_id,
        psp_account_id=charge.psp_account_id,
        kind=kind,
        lane=lane,
        event=event,
        charge=charge,
        amount_minor=amount_minor,
        parameters=parameters or {},
        state=PspOperation.State.PREPARED,
        created_at=now,
        due_at=now if due else None,
    )
