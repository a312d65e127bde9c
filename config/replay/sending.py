"""Sending the purchases: every checkout once, through the public API, one by one or in bulk.

A bounded number of threads, each with a connection that stays open, takes the purchases in order. A refusal is an
answer and is kept with its row; anything that is no answer is repeated under the same Idempotency-Key and ends the
replay if it stays away. Afterwards the payments are looked at in pages until none is under way.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Final

from config.demo.marketplace import add_seller
from config.demo.shopper import ApiRefusal, Shopper, TakesTooLong
from config.replay.purchases import COUNTRY, CURRENCY, Purchase, SellerRow, checkout
from ledger.money import Money

MAX_CONCURRENCY: Final = 64
MAX_BULK: Final = 500
LOOK_SECONDS: Final = 0.25
SAMPLE_EVERY: Final = 25
UNDER_WAY: Final = ("processing", "requires_payment_method", "requires_action", "requires_capture")

type Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Refused:
    """A purchase that the API would not take, and why."""

    row: int
    status: int
    code: str
    fields: tuple[str, ...]


@dataclass(slots=True)
class Sent:
    """What the API answered: the payments that it took, by row, and the purchases that it refused."""

    payments: dict[int, str] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def taken(self, row: int, payment: str) -> None:
        """Note a payment."""
        with self._lock:
            self.payments[row] = payment

    def refuse(self, row: int, status: int, problem: Mapping[str, Any]) -> None:
        """Note a refusal: its problem document, without what repeats from row to row."""
        fields = tuple(f"{error['field']}: {error['code']}" for error in problem.get("errors", ()))
        with self._lock:
            self.refused.append(Refused(row, status, str(problem.get("code", "")), fields))


@dataclass(frozen=True, slots=True)
class Ended:
    """Where the payments are: how many in each status, and what was captured in minor units."""

    statuses: Counter[str]
    orders: Counter[str]
    captured: int
    known: frozenset[str]

    @property
    def final(self) -> int:
        """Return how many payments will not change by themselves any more."""
        return sum(count for status, count in self.statuses.items() if status not in UNDER_WAY)


def create_sellers(shopper: Shopper, rows: Sequence[SellerRow], *, concurrency: int, done: Progress) -> list[str]:
    """Create every seller and return their ids in the order of the file."""

    def create(row: SellerRow) -> str:
        place = f"{row.city} {row.state}".strip() or row.external_id
        made = add_seller(shopper, row.external_id, f"Seller in {place}", country=COUNTRY, default_currency=CURRENCY)
        done(1)
        return made

    with ThreadPoolExecutor(concurrency) as threads:
        return list(threads.map(create, rows))


def send(
    shopper: Shopper,
    purchases: Sequence[Purchase],
    sellers: Sequence[str],
    *,
    token: str,
    concurrency: int,
    bulk: int,
    done: Progress,
) -> Sent:
    """Send every purchase; `bulk` of 0 sends them one by one."""
    sent = Sent()

    def one(purchase: Purchase) -> None:
        body = checkout(purchase, sellers, token=token)
        try:
            sent.taken(purchase.row, shopper.post("/payments", body, key=_key(body)).body["id"])
        except ApiRefusal as refusal:
            sent.refuse(purchase.row, refusal.status, refusal.problem)
        done(1)

    def many(chunk: tuple[Purchase, ...]) -> None:
        payments = [checkout(purchase, sellers, token=token) for purchase in chunk]
        for body in payments:
            body["idempotency_key"] = _key(body)
        for purchase, answer in zip(chunk, shopper.post_bulk(payments), strict=True):
            if "payment" in answer:
                sent.taken(purchase.row, answer["payment"]["id"])
            else:
                sent.refuse(purchase.row, answer["status"], answer["error"])
        done(len(chunk))

    if bulk:
        _spread(many, batched(purchases, bulk), concurrency)
    else:
        _spread(one, iter(purchases), concurrency)
    sent.refused.sort(key=lambda refused: refused.row)
    return sent


def _key(body: dict[str, Any]) -> str:
    return f"replay-{body['checkout_id']}"


def _spread[Item](work: Callable[[Item], None], items: Iterator[Item], concurrency: int) -> None:
    """Run `work` over the items in `concurrency` threads; the first failure ends it and is raised."""
    lock = threading.Lock()
    failed = threading.Event()

    def run() -> None:
        while not failed.is_set():
            with lock:
                item = next(items, None)
            if item is None:
                return
            try:
                work(item)
            except BaseException:
                failed.set()
                raise

    with ThreadPoolExecutor(concurrency) as threads:
        runs: list[Future[None]] = [threads.submit(run) for _ in range(concurrency)]
        for future in runs:
            future.result()


def wait_until_final(
    shopper: Shopper, payments: Sequence[str], *, seconds: float, over: Callable[[], bool], done: Progress
) -> None:
    """Return when no payment is under way. Raises `TakesTooLong`.

    `done` hears how far the work is: judged by every 25th payment, since they are worked off roughly in order. The end
    is not judged but read: no payment has a status that may still change.
    """
    until = time.monotonic() + seconds
    waiting, place = list(UNDER_WAY), 0
    while waiting:
        # Nothing new comes in any more, and without us no payment goes back to an earlier status in this list.
        if not shopper.get("/payments", status=waiting[0], limit=1)["data"]:
            waiting.pop(0)
            continue
        if time.monotonic() > until or over():
            raise TakesTooLong(f"payments are still {waiting[0]}")
        while place < len(payments) and shopper.get(f"/payments/{payments[place]}")["status"] not in UNDER_WAY:
            step = min(SAMPLE_EVERY, len(payments) - place)
            place += step
            done(step)
        time.sleep(LOOK_SECONDS)
    done(len(payments) - place)


def look(shopper: Shopper) -> Ended:
    """Read every payment of the merchant, page by page."""
    statuses: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    captured, known = 0, set()
    for payment in shopper.pages("/payments"):
        known.add(payment["id"])
        statuses[payment["status"]] += 1
        orders.update(order["status"] for order in payment["payment_orders"])
        if payment["amount_captured"].strip("0."):
            captured += Money.parse(payment["amount_captured"], CURRENCY).minor
    return Ended(statuses, orders, captured, frozenset(known))
