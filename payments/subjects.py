"""Subjects: which order and payment the reference of a journal is about, for those who read statements.

A reference is `verb:subject`, and the subject is a public id (wallet/movements). What is not of this book is not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from ledger.ids import parse_public_id
from payments.models import DisputePart, PaymentOrder, Refund


@dataclass(frozen=True, slots=True)
class Subject:
    """The order that a journal is about, by the names that its seller and its merchant know."""

    order: UUID
    reference: str
    checkout_id: str
    seller: UUID


def of_orders(book_id: int, names: Iterable[str]) -> dict[str, Subject]:
    """Return the order of each subject that has one: an order itself, a refund, a part of a dispute.

    At most three statements.
    """
    wanted = set(names)
    orders = {value: name for name in wanted if (value := parse_public_id("ord", name))}
    refunds = {value: name for name in wanted if (value := parse_public_id("rfd", name))}
    parts = {
        (value, int(position)): name
        for name in wanted
        for dispute, _, position in (name.removesuffix(":regained").removesuffix(":cost").partition(":"),)
        if (value := parse_public_id("dsp", dispute)) and position.isdecimal()
    }
    found: dict[str, Subject] = {}
    if orders:
        rows = PaymentOrder.objects.filter(book_id=book_id, public_id__in=orders)
        for row in rows.values_list("public_id", "public_id", "reference", "event__checkout_id", "seller__public_id"):
            found[orders[row[0]]] = Subject(*row[1:])
    if refunds:
        back = Refund.objects.filter(book_id=book_id, public_id__in=refunds, order__isnull=False)
        for row in back.values_list(
            "public_id",
            "order__public_id",
            "order__reference",
            "order__event__checkout_id",
            "order__seller__public_id",
        ):
            found[refunds[row[0]]] = Subject(*row[1:])
    if parts:
        disputed = DisputePart.objects.filter(
            dispute__book_id=book_id, dispute__public_id__in={dispute for dispute, _ in parts}
        )
        for part in disputed.select_related("dispute", "order__event", "order__seller"):
            if (name := parts.get((part.dispute.public_id, part.position))) is not None:
                order = part.order
                found[name] = Subject(order.public_id, order.reference, order.event.checkout_id, order.seller.public_id)
    return found
