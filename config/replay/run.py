"""One replay: a merchant with the sellers of a file, every purchase sent, every payment final, the books compared."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.demo.comparison import Comparison, compare
from config.demo.marketplace import open_marketplace
from config.demo.shopper import TakesTooLong
from config.demo.telling import Teller
from config.replay.purchases import COUNTRY, CURRENCY, Purchase, SellerRow, input_sum
from config.replay.sending import Ended, Sent, create_sellers, look, send, wait_until_final
from ledger.money import format_minor


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay, and how."""

    name: str
    purchases: Sequence[Purchase]
    sellers: Sequence[SellerRow]
    token: str
    concurrency: int
    bulk: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a replay. Seconds run from the first purchase sent to the last payment final."""

    plan: Plan
    merchant: str
    sent: Sent
    ended: Ended
    comparison: Comparison
    accepted_seconds: float
    seconds: float

    @property
    def wrong(self) -> list[str]:
        """Return every sentence that keeps this replay from being right."""
        plan, ended = self.plan, self.ended
        free = {purchase.row for purchase in plan.purchases if not purchase.minor}
        refused = {refusal.row for refusal in self.sent.refused}
        found = [
            f"row {refusal.row} was refused: {refusal.status} {refusal.code}"
            for refusal in self.sent.refused
            if refusal.row not in free
        ]
        found += [f"row {row} costs nothing and was not refused" for row in sorted(free - refused)]
        taken = set(self.sent.payments.values())
        if len(taken) + len(refused) != len(plan.purchases) or taken != ended.known:
            found.append(f"{len(taken)} payments were answered, {len(ended.known)} exist")
        if ended.final != len(taken):
            found.append(f"{len(taken) - ended.final} payments are not final: {dict(ended.statuses)}")
        if ended.captured != sum(purchase.minor for purchase in plan.purchases):
            found.append(f"captured {self.captured}, the input sums to {input_sum(plan.purchases)}")
        found += [
            f"{row.currency} is off by {row.difference}" for row in self.comparison.trial_balance if row.difference
        ]
        return [*found, *self.comparison.violations, *self.comparison.differences]

    @property
    def captured(self) -> str:
        """Return what was captured, as the API writes amounts."""
        return format_minor(self.ended.captured, CURRENCY)

    def summary(self) -> dict[str, Any]:
        """Return the JSON summary."""
        accepted = len(self.sent.payments)
        return {
            "submitted": len(self.plan.purchases),
            "refused": len(self.sent.refused),
            "final": self.ended.final,
            "captured": self.captured,
            "input_sum": input_sum(self.plan.purchases),
            "seconds": round(self.seconds, 3),
            "currency": CURRENCY,
            "accepted": accepted,
            "accepted_seconds": round(self.accepted_seconds, 3),
            "accepted_per_second": round(accepted / self.accepted_seconds, 1),
            "final_per_second": round(self.ended.final / self.seconds, 1),
            "payments": dict(sorted(self.ended.statuses.items())),
            "orders": dict(sorted(self.ended.orders.items())),
            "refusals": [
                {
                    "row": refusal.row,
                    "status": refusal.status,
                    "code": refusal.code,
                    "fields": list(refusal.fields),
                }
                for refusal in self.sent.refused
            ],
            "violations": list(self.comparison.violations),
            "psp_agrees": self.comparison.psp_agrees,
            "wrong": self.wrong,
            "merchant": self.merchant,
        }


def replay(plan: Plan, addresses: Mapping[str, str], teller: Teller, *, over: Callable[[], bool]) -> Outcome:
    """Play a plan against a running stack."""
    market = open_marketplace(plan.name, addresses, country=COUNTRY, currency=CURRENCY, over=over)
    teller.step("marketplace", f"{plan.name}: {market.merchant}")
    with teller.progress("sellers", len(plan.sellers)) as bar:
        sellers = create_sellers(market.shopper, plan.sellers, concurrency=plan.concurrency, done=bar.advance)
    teller.step("sellers", f"{len(sellers)} created")
    started = time.monotonic()
    with teller.progress("accepted", len(plan.purchases)) as bar:
        sent = send(
            market.shopper,
            plan.purchases,
            sellers,
            token=plan.token,
            concurrency=plan.concurrency,
            bulk=plan.bulk,
            done=bar.advance,
        )
    accepted = time.monotonic() - started
    teller.step("purchases", f"{len(sent.payments)} accepted, {len(sent.refused)} refused in {accepted:.1f} s")
    in_order = [sent.payments[row] for row in sorted(sent.payments)]
    with teller.progress("final", len(in_order)) as bar:
        try:
            wait_until_final(market.shopper, in_order, seconds=plan.timeout_seconds, over=over, done=bar.advance)
        except TakesTooLong as error:
            teller.bad("payments", str(error))
    seconds = time.monotonic() - started
    ended = look(market.shopper)
    teller.step("payments", f"{ended.final} final after {seconds:.1f} s")
    comparison = compare(market.book_id, market.psp.books())
    return Outcome(plan, market.merchant, sent, ended, comparison, accepted, seconds)


def name_of(file: Path, when: str) -> str:
    """Return the name of the merchant that a replay makes."""
    return f"Replay of {file.name} {when}"[:200]
