"""Why a payout is what it is: the credits that it pays, down to orders, fees and refunds. Reads only.

The allocations were written with the reservation; nothing is computed again here. A payout that came back made a new
credit, which a later payout may pay: its leaf goes on to what that payout had paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from ledger.ids import parse_public_id, public_id
from ledger.models import TransactionKind
from ledger.money import format_minor
from payments.models import PaymentOrder, Payout
from payments.representations import Object, timestamp

MAX_DEPTH = 10
MAX_LEAVES = 5000
_CAME_BACK = (TransactionKind.CANCEL_PAYOUT, TransactionKind.RETURN_PAYOUT, TransactionKind.RETURN_BANK_PAYOUT)


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of one credit: `offset` minor units lie before it."""

    kind: str
    reference: str
    transaction: UUID
    posted_at: str
    credit_minor: int
    offset_minor: int
    amount_minor: int


# Uses indexes: the foreign key of payments_payoutallocation, primary keys.
_PARTS = """
SELECT a.payout_id, t.kind, t.reference, t.public_id, e.posted_at, e.amount, a.offset_minor, a.amount_minor
  FROM payments_payoutallocation a
  JOIN ledger_entry e ON e.id = a.entry_id JOIN ledger_transaction t ON t.id = e.transaction_id
 WHERE a.payout_id = ANY (%s) ORDER BY a.payout_id, a.position_minor LIMIT %s
"""


def explain(payout: Payout) -> Object:
    """Return the tree of a payout: leaves sum to its amount. A payout of very many credits names the first 5,000."""
    parts = _parts([payout.pk]).get(payout.pk, [])
    shown = _nodes(parts, payout.currency_id, payout.book_id, 0)
    named = sum(part.amount_minor for part in parts)
    return {
        "payout": public_id("pyo", payout.public_id),
        "object": "payout_explanation",
        "amount": format_minor(payout.amount_minor, payout.currency_id),
        "currency": payout.currency_id,
        "not_named": format_minor(payout.amount_minor - named, payout.currency_id),
        "pays": shown,
    }


def _nodes(parts: list[_Part], currency: str, book_id: int, depth: int) -> list[Object]:
    orders = _orders(book_id, parts)
    earlier = _payouts(book_id, parts) if depth < MAX_DEPTH else {}
    inner = _parts([row.pk for row in earlier.values()])
    return [
        {
            "amount": format_minor(part.amount_minor, currency),
            "of": format_minor(part.credit_minor, currency),
            "kind": part.kind,
            "transaction": public_id("txn", part.transaction),
            "posted_at": part.posted_at,
            "order": _order(orders.get(_subject(part)), part, currency),
            "payout": _subject(part) if _subject(part) in earlier else None,
            "pays": _nodes(
                _slice(inner.get(earlier[_subject(part)].pk, []), part.offset_minor, part.amount_minor),
                currency,
                book_id,
                depth + 1,
            )
            if _subject(part) in earlier
            else [],
        }
        for part in parts
    ]


def _parts(payout_ids: Iterable[int]) -> dict[int, list[_Part]]:
    keys = list(payout_ids)
    found: dict[int, list[_Part]] = {}
    if not keys:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_PARTS, [keys, MAX_LEAVES])
        for payout_id, kind, reference, own_id, posted_at, credit, offset, amount in cursor.fetchall():
            part = _Part(kind, reference, own_id, timestamp(posted_at), credit, offset, amount)
            found.setdefault(payout_id, []).append(part)
    return found


def _slice(parts: list[_Part], start: int, length: int) -> list[_Part]:
    """Cut `length` minor units from `start` out of what an earlier payout paid."""
    cut, position = [], 0
    for part in parts:
        low, high = max(start, position), min(start + length, position + part.amount_minor)
        if low < high:
            offset = part.offset_minor + low - position
            cut.append(
                _Part(
                    part.kind, part.reference, part.transaction, part.posted_at, part.credit_minor, offset, high - low
                )
            )
        position += part.amount_minor
    return cut


def _subject(part: _Part) -> str:
    """Return the public id that a movement is about: `release:ord_...` is about an order."""
    return part.reference.split(":")[1] if ":" in part.reference else ""


def _orders(book_id: int, parts: list[_Part]) -> Mapping[str, PaymentOrder]:
    ids = {value for part in parts if (value := parse_public_id("ord", _subject(part))) is not None}
    if not ids:
        return {}
    found = PaymentOrder.objects.filter(book_id=book_id, public_id__in=ids).select_related("event")
    return {public_id("ord", order.public_id): order for order in found}


def _payouts(book_id: int, parts: list[_Part]) -> Mapping[str, Payout]:
    back = [part for part in parts if part.kind in _CAME_BACK]
    ids = {value for part in back if (value := parse_public_id("pyo", _subject(part))) is not None}
    if not ids:
        return {}
    return {public_id("pyo", row.public_id): row for row in Payout.objects.filter(book_id=book_id, public_id__in=ids)}


def _order(order: PaymentOrder | None, part: _Part, currency: str) -> Object | None:
    """Show how an order became the credit: captured, less the fee, less what was given back or netted before."""
    if order is None:
        return None
    share = order.captured_minor - order.fee_minor
    return {
        "id": public_id("ord", order.public_id),
        "reference": order.reference,
        "checkout_id": order.event.checkout_id,
        "captured": format_minor(order.captured_minor, currency),
        "platform_fee": format_minor(order.fee_minor, currency),
        "less_before": format_minor(max(0, share - part.credit_minor), currency),
    }
