"""Finding: any identifier of a payment, typed into any list, leads to the payment's rows.

Understood are our public ids, a checkout id, the reference of an order, the PSP's id of a charge, and the
idempotency key that the PSP shows for a call. Only whole identifiers, each by an index.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import Model

from ledger.admin.reading import newest_books
from ledger.ids import parse_public_id
from payments.models import Charge, PaymentEvent, PaymentOrder, PspAccount, PspOperation, Refund

LIMIT = 100
_UUID_LENGTH = 36

# Each kind of id, where it is kept, and the way from there to the payment.
_BY_PREFIX: dict[str, tuple[type[Model], str]] = {
    "pay": (PaymentEvent, "pk"),
    "ord": (PaymentOrder, "event_id"),
    "chg": (Charge, "event_id"),
    "rfd": (Refund, "charge__event_id"),
    "opr": (PspOperation, "event_id"),
}


def payments_named(term: str) -> list[int]:
    """Return the keys of the payments that an identifier belongs to, newest first; at most `LIMIT`."""
    prefix = term.partition("_")[0]
    if prefix in _BY_PREFIX and (value := parse_public_id(prefix, term)) is not None:
        model, way = _BY_PREFIX[prefix]
        return list(model._default_manager.filter(public_id=value).values_list(way, flat=True))
    if (key := _idempotency_key(term)) is not None:
        return list(PspOperation.objects.filter(public_id=key).values_list("event_id", flat=True))
    books = newest_books()
    # Uses indexes: checkout_id_is_unique_in_its_book, payment_order_by_reference, psp_object_pays_one_charge.
    found = {
        *PaymentEvent.objects.filter(book_id__in=books, checkout_id=term).values_list("pk", flat=True)[:LIMIT],
        *PaymentOrder.objects.filter(book_id__in=books, reference=term).values_list("event_id", flat=True)[:LIMIT],
        *Charge.objects.filter(psp_account_id__in=psp_accounts(), psp_id=term).values_list("event_id", flat=True)[
            :LIMIT
        ],
    }
    return sorted(found, reverse=True)[:LIMIT]


def psp_accounts() -> list[int]:
    """Return the keys of the newest 1000 PSP accounts: what a PSP names is indexed behind its account."""
    return list(PspAccount.objects.order_by("-pk").values_list("pk", flat=True)[:1000])


def _idempotency_key(term: str) -> UUID | None:
    """Read the id out of `uuid` or `uuid-generation`, the two forms of an operation's key."""
    head, rest = term[:_UUID_LENGTH], term[_UUID_LENGTH:]
    if rest and not (rest.startswith("-") and rest[1:].isdigit()):
        return None
    try:
        return UUID(head) if len(head) == _UUID_LENGTH else None
    except ValueError:
        return None
