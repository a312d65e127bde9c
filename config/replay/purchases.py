"""Real purchases, read from a file and turned into checkouts.

The rule of the data: item i of purchase row r goes to seller (r * 7 + i) mod the number of sellers, and the amount is
split evenly over the items with `Money.allocate`. Rows are counted from 0, the line after the heading. An item whose
share is zero is left out, because an order of nothing is no order; a purchase that costs nothing at all keeps its
items, so that the API is asked and refuses it. A file that does not fit is refused as a whole, before anything is
sent.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from ledger.money import Money, format_minor

CURRENCY: Final = "USD"
COUNTRY: Final = "BR"
SELLER_STEP: Final = 7
MAX_ROWS: Final = 1_000_000
MAX_ITEMS: Final = 1000
_MAX_AMOUNT: Final = Decimal(10**12)


class FileDoesNotFit(ValueError):
    """The file cannot be read as purchases or sellers; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """One row of the file; `row` counts from 0, `minor` is the amount in cents."""

    row: int
    date: str
    customer: str
    items: int
    minor: int


@dataclass(frozen=True, slots=True)
class SellerRow:
    """A marketplace's seller."""

    external_id: str
    city: str
    state: str


def read_purchases(path: Path, *, limit: int | None = None) -> list[Purchase]:
    """Read the first `limit` purchases. Raises `FileDoesNotFit`."""
    purchases = []
    for row, line in enumerate(_lines(path, ("date", "customer", "quantity", "amount_usd"))):
        if row == (MAX_ROWS if limit is None else min(limit, MAX_ROWS)):
            break
        where = f"{path.name}, row {row}"
        items, minor = _items(line["quantity"], where), _minor(line["amount_usd"], where)
        purchases.append(Purchase(row, line["date"], line["customer"], items, minor))
    if not purchases:
        raise FileDoesNotFit(f"{path.name} holds no purchase")
    return purchases


def read_sellers(path: Path) -> list[SellerRow]:
    """Read every seller. Raises `FileDoesNotFit`."""
    sellers = [
        SellerRow(line["external_id"], line["city"], line["state"])
        for _, line in zip(range(MAX_ROWS), _lines(path, ("external_id", "city", "state")), strict=False)
    ]
    if not sellers or len({seller.external_id for seller in sellers}) != len(sellers):
        raise FileDoesNotFit(f"{path.name} holds no sellers, or one of them twice")
    return sellers


def shares(purchase: Purchase, sellers: int) -> list[tuple[int, Money]]:
    """Split a purchase: the number of the seller and the amount of each item, the zero ones included."""
    parts = Money(purchase.minor, CURRENCY).allocate([1] * purchase.items)
    return [((purchase.row * SELLER_STEP + i) % sellers, part) for i, part in enumerate(parts)]


def checkout(purchase: Purchase, sellers: Sequence[str], *, token: str) -> dict[str, Any]:
    """Return the body of `POST /payments`; `sellers` are their ids in the order of the file."""
    split = shares(purchase, len(sellers))
    kept = [(i, number, part) for i, (number, part) in enumerate(split) if part.minor or not purchase.minor]
    return {
        "checkout_id": f"purchase-{purchase.row:06d}",
        "currency": CURRENCY,
        "buyer": {"id": purchase.customer},
        "payment_orders": [
            {"reference": f"item-{i}", "seller": sellers[number], "amount": str(part)} for i, number, part in kept
        ],
        "payment_method": {"token": token},
        "metadata": {"date": purchase.date},
    }


def input_sum(purchases: Sequence[Purchase]) -> str:
    """Return what all the purchases cost together, as the API writes amounts."""
    return format_minor(sum(purchase.minor for purchase in purchases), CURRENCY)


def _lines(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise FileDoesNotFit(f"{path.name} has no column {', '.join(missing)}")
            for line in reader:
                if None in line or None in line.values():
                    raise FileDoesNotFit(f"{path.name}, line {reader.line_num}: not as many columns as the heading")
                yield line
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileDoesNotFit(f"{path} cannot be read: {error}") from error


def _items(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_ITEMS):
        raise FileDoesNotFit(f"{where}: quantity is not a number from 1 to {MAX_ITEMS}")
    return int(text)


def _minor(text: str, where: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < _MAX_AMOUNT or amount != amount.quantize(Decimal("0.01")):
        raise FileDoesNotFit(f"{where}: amount_usd is not an amount in dollars and cents")
    return int(amount.scaleb(2))
