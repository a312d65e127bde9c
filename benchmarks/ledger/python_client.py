"""One client that posts through `ledger.posting.post`, as the product does: built in Python, in an atomic block."""

from __future__ import annotations

import itertools
import json
import random
import sys

import django

from benchmarks.ledger import calls, clock


def main(book: calls.Book, size: int, first: int, seconds: float) -> None:
    """Post `size` transfers between random sellers in each atomic block until the time is up."""
    django.setup()
    from django.db import transaction

    from config import seam
    from ledger import posting
    from ledger.models import Side

    number = itertools.count(first)
    euro = calls.CURRENCY

    def journal(debit: int, credit: int) -> posting.Journal:
        legs = (
            posting.Leg(debit, euro, Side.DEBIT, calls.AMOUNT),
            posting.Leg(credit, euro, Side.CREDIT, calls.AMOUNT),
        )
        return posting.Journal(
            book_id=book.id,
            kind=calls.KIND,
            reference=f"{calls.KIND}-{next(number)}",
            legs=legs,
            effective_at=seam.now(),
            actor="benchmark",
        )

    def step() -> int:
        accounts = random.sample(range(book.low, book.high + 1), 2 * size)
        with transaction.atomic():
            posting.post([journal(accounts[2 * i], accounts[2 * i + 1]) for i in range(size)], now=seam.now())
        return size

    clock.work(step, seconds)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(calls.Book(**given.pop("book")), **given)
