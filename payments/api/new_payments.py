"""From the JSON of a checkout to what intake accepts, or to every reason why not.

A checkout may come in three forms (`payment_orders`, `items`, `amount`); behind this module there is one. All errors
are collected before anything is refused, so a client corrects its request once. Nothing here touches the database: the
sellers are looked up together with the API key (`seller_refs`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from ledger.errors import MoneyError
from ledger.money import EXPONENTS, Money, format_minor
from payments.api import bodies
from payments.callers import Caller, SellerTerms
from payments.errors import FieldError
from payments.intake import NewOrder, NewPayment

_LONGEST_REF: Final = 100
_FORMS: Final = ("payment_orders", "items")

# Notes a bad field: its path, a code of FIELD_CODES, a sentence.
type Wrong = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class _Line:
    """One entry of `payment_orders` or `items` that is right by itself."""

    seller: SellerTerms
    amount_minor: int
    raw: Mapping[str, Any]


def seller_refs(raw: object) -> Iterator[str]:
    """Yield every seller that a checkout names, whatever else is wrong with it."""
    if isinstance(raw, dict):
        for form in _FORMS:
            lines = raw.get(form)
            for line in lines if isinstance(lines, list) else ():
                ref = line.get("seller") if isinstance(line, dict) else None
                if isinstance(ref, str) and 0 < len(ref) <= _LONGEST_REF:
                    yield ref


def fingerprint(method: str, path: str, content: Mapping[str, Any]) -> bytes:
    """Return what identifies a request behind an idempotency key: method, path and content, not its spelling."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{method}\n{path}\n{canonical}".encode()).digest()


def read(raw: object, caller: Caller, *, idempotency_key: str, path: str) -> NewPayment | list[FieldError]:
    """Return the checkout, or every error of it. `raw` comes from strict JSON; `caller` holds the sellers."""
    errors: list[FieldError] = []
    try:
        bodies.NewPayment.model_validate(raw)
    except ValidationError as error:
        errors = bodies.field_errors(error)
    if not isinstance(raw, dict):
        return errors
    named = {error.field for error in errors}
    lines = _lines(raw, caller, errors, named)
    if errors:
        return errors
    method = raw.get("payment_method")
    orders = tuple(_grouped(lines) if raw.get("items") else (_order(line) for line in lines))
    mode, types = _mode(raw, len(orders))
    return NewPayment(
        checkout_id=raw["checkout_id"],
        currency=raw["currency"],
        orders=orders,
        buyer=raw.get("buyer") or {},
        token=method["token"] if method else "",
        method_types=types,
        charge_mode=mode,
        capture=raw.get("capture") or "automatic",
        return_url=raw.get("return_url") or "",
        metadata=raw.get("metadata") or {},
        idempotency_key=idempotency_key,
        fingerprint=fingerprint("POST", path, raw),
    )


def _lines(raw: Mapping[str, Any], caller: Caller, errors: list[FieldError], named: set[str]) -> list[_Line]:
    """Return the lines of a checkout, adding what is wrong with them to `errors`."""

    def wrong(field: str, code: str, detail: str) -> None:
        if field not in named:
            errors.append(FieldError(field, code, detail))

    forms = [form for form in _FORMS if raw.get(form) is not None]
    if len(forms) > 1:
        wrong("items", "ambiguous", "give payment_orders or items, not both")
        return []
    currency = raw.get("currency")
    known = currency if isinstance(currency, str) and currency in EXPONENTS else None
    total = _minor(raw.get("amount"), known, "amount", wrong)
    if not forms:
        return _house_line(raw, total, caller, wrong)
    given = raw[forms[0]]
    if not isinstance(given, list):
        return []
    named_lines = [_line(f"{forms[0]}[{position}]", item, known, caller, wrong) for position, item in enumerate(given)]
    lines = [line for line in named_lines if line is not None]
    together = sum(line.amount_minor for line in lines)
    if known is not None and total is not None and len(lines) == len(given) and together != total:
        wrong("amount", "sum_mismatch", f"the orders sum to {format_minor(together, known)}")
    if len({line.seller.id for line in lines}) > bodies.MAX_ORDERS:
        wrong(forms[0], "too_long", f"name at most {bodies.MAX_ORDERS} sellers")
    return lines


def _house_line(raw: Mapping[str, Any], total: int | None, caller: Caller, wrong: Wrong) -> list[_Line]:
    """Return the one line of a checkout that only says an amount: it is the merchant's own sale."""
    if raw.get("amount") is None:
        wrong("payment_orders", "required", "give payment_orders, items or amount")
    elif caller.house_seller is None:
        wrong("amount", "not_supported", "this merchant has no house seller: give payment_orders")
    elif total is not None:
        return [_Line(caller.house_seller, total, {})]
    return []


def _line(prefix: str, item: object, currency: str | None, caller: Caller, wrong: Wrong) -> _Line | None:
    if not isinstance(item, dict):
        return None
    amount = _minor(item.get("amount"), currency, f"{prefix}.amount", wrong)
    repeated = item.get("currency")
    if repeated is not None and currency is not None and repeated != currency:
        wrong(f"{prefix}.currency", "currency_mismatch", f"must be the payment's currency, {currency}")
    ref = item.get("seller")
    terms = caller.sellers.get(ref) if isinstance(ref, str) else None
    if terms is None and isinstance(ref, str) and ref:
        wrong(f"{prefix}.seller", "unknown_seller", "there is no such seller")
    if terms is None or amount is None:
        return None
    return _Line(terms, amount, item)


def _minor(text: object, currency: str | None, field: str, wrong: Wrong) -> int | None:
    """Return an amount in minor units; one whose currency is not known was only checked for its form."""
    if not isinstance(text, str) or currency is None:
        return None
    try:
        return Money.parse(text, currency).minor
    except MoneyError as error:
        wrong(field, "invalid_amount", str(error))
        return None


def _mode(raw: Mapping[str, Any], orders: int) -> tuple[str, tuple[str, ...]]:
    """Return charge mode and method types. A QR code pays one charge: alone it forces `single`, and a payment whose
    orders are charged one by one does not offer it.
    """
    mode, types = raw.get("charge_mode") or "single", tuple(raw.get("payment_method_types") or bodies.METHODS)
    if mode == "per_order" and orders > 1 and "qr" in types:
        reusable = tuple(one for one in types if one != "qr")
        return ("per_order", reusable) if reusable else ("single", types)
    return mode, types


def _order(line: _Line) -> NewOrder:
    raw = line.raw
    return NewOrder(
        seller=line.seller,
        amount_minor=line.amount_minor,
        reference=raw.get("reference") or "",
        description=raw.get("description") or "",
        metadata=raw.get("metadata") or {},
    )


def _grouped(lines: list[_Line]) -> list[NewOrder]:
    """Make one order per seller, in the order in which the sellers appear; texts of several items are joined."""
    by_seller: dict[int, list[_Line]] = {}
    for line in lines:
        by_seller.setdefault(line.seller.id, []).append(line)
    return [_joined(group) for group in by_seller.values()]


def _joined(group: list[_Line]) -> NewOrder:
    orders = [_order(line) for line in group]
    metadata: dict[str, str] = {}
    for order in orders:
        metadata.update(order.metadata)
    return NewOrder(
        seller=group[0].seller,
        amount_minor=sum(order.amount_minor for order in orders),
        reference=next((order.reference for order in orders if order.reference), ""),
        description=", ".join(order.description for order in orders if order.description)[:500],
        metadata=dict(list(metadata.items())[:50]),
    )
