"""A wallet's statement of a period as a table and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import batched
from typing import Final

from ledger.ids import public_id
from ledger.money import format_minor
from payments import subjects
from payments.documents import paper
from payments.documents.tables import csv_lines
from payments.models import Seller
from payments.representations import timestamp
from wallet import statements
from wallet.models import Wallet
from wallet.statements import Line, Parts

# A thread that takes payments in writes it: this is about a second. Longer ones are read as JSON, page by page.
MAX_ENTRIES: Final = 20_000
PARTS: Final = ("pending", "available", "reserved", "in_transit", "debt")
_BATCH: Final = 500


def as_csv(wallet: Wallet, *, start: datetime, end: datetime) -> Iterator[str]:
    """Yield the statement as CSV: opening, every movement, closing. Raises `TooLong` above `MAX_ENTRIES`, at once."""
    if statements.is_longer_than(wallet, MAX_ENTRIES, start=start, end=end):
        raise TooLong(f"more than {MAX_ENTRIES} entries; ask for a shorter period or for JSON")
    head = ("posted_at", "transaction", "kind", "order", "reference", "checkout_id", "memo", "currency")
    names = (*head, *PARTS, "amount", "balance")
    return csv_lines(names, _rows(wallet, start=start, end=end))


def _rows(wallet: Wallet, *, start: datetime, end: datetime) -> Iterator[Sequence[str]]:
    currency = wallet.currency_id
    held = statements.standing(wallet, start)
    yield (
        timestamp(start),
        "",
        "opening",
        "",
        "",
        "",
        "",
        currency,
        *_amounts(held, currency),
        "",
        _net(held, currency),
    )
    for lines in batched(statements.lines(wallet, start=start, end=end, most=MAX_ENTRIES), _BATCH):
        held = lines[-1].after
        for line, name, reference, checkout in _with_orders(wallet, lines):
            yield (
                timestamp(line.posted_at),
                public_id("txn", line.transaction_public_id),
                line.kind,
                name,
                reference,
                checkout,
                line.memo,
                currency,
                *_amounts(line.change, currency),
                _net(line.change, currency),
                _net(line.after, currency),
            )
    yield _edge("closing", end, held, currency)


def _edge(name: str, at: datetime, held: Parts, currency: str) -> Sequence[str]:
    return (timestamp(at), "", name, "", "", "", "", currency, *_amounts(held, currency), "", _net(held, currency))


def as_pdf(wallet: Wallet, seller: Seller, *, start: datetime, end: datetime) -> bytes:
    """Return the statement on paper. Raises `TooLong` above what paper takes."""
    currency = wallet.currency_id
    opening = statements.standing(wallet, start)
    lines = tuple(statements.lines(wallet, start=start, end=end, most=paper.MAX_ROWS + 1))
    if len(lines) > paper.MAX_ROWS:
        raise TooLong(f"more than {paper.MAX_ROWS} movements; ask for a shorter period or for CSV")
    closing = lines[-1].after if lines else opening
    rows = [
        (
            f"{line.posted_at:%Y-%m-%d %H:%M}",
            line.kind.replace("_", " "),
            " ".join(part for part in (reference, checkout) if part) or line.memo,
            _net(line.change, currency),
            _net(line.after, currency),
        )
        for line, _, reference, checkout in _with_orders(wallet, lines)
    ]
    facts = [
        ("Seller", f"{seller.name} ({public_id('sel', seller.public_id)})"),
        ("Wallet", public_id("wal", wallet.public_id)),
        ("Period", f"from {timestamp(start)}, before {timestamp(end)}"),
        ("Opening balance", f"{_net(opening, currency)} {currency}"),
        ("Closing balance", f"{_net(closing, currency)} {currency}"),
        ("Of which", ", ".join(f"{part.replace('_', ' ')} {text}" for part, text in _named(closing, currency))),
    ]
    return paper.pdf(
        f"Statement {currency}",
        facts,
        ("Posted (UTC)", "Movement", "Order, checkout", "Amount", "Balance"),
        rows,
        widths=(16, 16, 40, 14, 14),
        right_from=3,
        footer="Balance: pending + available + reserved - debt. What is in transit to the bank is not part of it.",
    )


class TooLong(ValueError):
    """The statement has more movements than a document takes."""

    code = "statement_too_long"


def _with_orders(wallet: Wallet, lines: Iterable[Line]) -> Iterator[tuple[Line, str, str, str]]:
    lines = list(lines)
    for some in batched(lines, _BATCH):
        about = subjects.of_orders(wallet.book_id, (line.subject for line in some))
        for line in some:
            known = about.get(line.subject)
            if known is None:
                yield line, "", "", ""
            else:
                yield line, public_id("ord", known.order), known.reference, known.checkout_id


def _amounts(parts: Parts, currency: str) -> tuple[str, ...]:
    return tuple(text for _, text in _named(parts, currency))


def _named(parts: Parts, currency: str) -> Iterator[tuple[str, str]]:
    return ((part, format_minor(getattr(parts, part), currency)) for part in PARTS)


def _net(parts: Parts, currency: str) -> str:
    return format_minor(parts.balance, currency)
