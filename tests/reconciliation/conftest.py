"""A shop whose PSP writes statements: lines as its own balance transactions have them, and what a run makes of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
from django.db import transaction

from config import seam
from reconciliation import classification, items, matching, night, postings, repairs
from reconciliation.classification import Classified
from reconciliation.models import Break, ReconciliationRun, SettlementFile, Source, StatementLine
from tests.sandbox_process import sandbox_psp
from tests.shop import Shop, shop

__all__ = ["sandbox_psp", "shop"]


class Desk:
    """Writes statements by hand and looks at them."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.today = seam.now().date()
        self.source = Source.objects.create(
            public_id=seam.new_uuid(),
            book=shop.tenant.book,
            code="psp",
            side=Source.Side.PSP,
            psp_account=shop.tenant.psp_account,
            starts_on=self.today - timedelta(days=30),
        )
        self._files = 0

    def statement(self, source: Source | None = None) -> SettlementFile:
        """Return an empty file, to which lines are added."""
        self._files += 1
        return SettlementFile.objects.create(
            public_id=seam.new_uuid(),
            book=self.shop.tenant.book,
            source=source or self.source,
            format="stripe_balance_change",
            sha256=bytes([self._files]) * 32,
            size=1,
            state="ingested",
            received_at=seam.now(),
            received_from="tests",
        )

    def line(self, *, on: date | None = None, source: Source | None = None, **columns: Any) -> StatementLine:
        """Write one line of a statement."""
        row = {
            "key": f"txn_{seam.new_uuid().hex}",
            "category": columns["flow"],
            "currency": "EUR",
            "booked_on": on or self.today,
            "number": 1,
        } | columns
        return StatementLine.objects.create(source=source or self.source, file=self.statement(source), **row)

    def transactions(self) -> list[dict[str, Any]]:
        """Return the balance transactions of the PSP, with the object that each is about."""
        answer = requests.get(
            f"{self.shop.psp.url}/v1/balance_transactions",
            params={"limit": 100, "expand[]": "data.source"},
            auth=(self.shop.psp_key, ""),
            timeout=30,
        )
        answer.raise_for_status()
        return list(reversed(answer.json()["data"]))

    def true_statement(self) -> list[StatementLine]:
        """Write down everything that the PSP's own books have and no statement had yet."""
        known = set(StatementLine.objects.values_list("key", flat=True))
        lines = []
        for found in self.transactions():
            if found["id"] in known:
                continue
            source = found["source"]
            flow = {"partial_capture_reversal": "charge", "charge_failure": "charge"}.get(
                found["reporting_category"], found["reporting_category"]
            )
            lines.append(
                self.line(
                    flow=flow,
                    key=found["id"],
                    category=found["reporting_category"],
                    currency=found["currency"].upper(),
                    gross_minor=found["amount"],
                    fee_minor=found["fee"],
                    on=datetime.fromtimestamp(found["created"], UTC).date(),
                    reference=source.get("payment_intent") if flow == "charge" else source["id"],
                    charge_reference=source.get("payment_intent") or "",
                    own_reference=(source.get("metadata") or {}).get("florin_operation", ""),
                )
            )
        return lines

    def run(self, day: date | None = None, source: Source | None = None) -> tuple[ReconciliationRun, Classified]:
        """Look at a source as the night does: gather, pair, classify."""
        of = source or self.source
        run, _ = ReconciliationRun.objects.get_or_create(
            book=of.book,
            source=of,
            day=day or self.today,
            defaults={"public_id": seam.new_uuid(), "created_at": seam.now()},
        )
        with transaction.atomic():
            gathered = items.gather(of, since=items.last_seen(of), now=seam.now())
            run.transitions_to = gathered.transitions_to
            run.save(update_fields=["transitions_to"])
            matching.pair(run, now=seam.now())
            classified = classification.classify(run, now=seam.now())
        run.refresh_from_db()
        run.state, run.verdict, run.finished_at = "finished", "RECONCILED", seam.now()
        run.save()
        return run, classified

    def night(self, day: date | None = None, *, source: Source | None = None, rounds: int = 3) -> ReconciliationRun:
        """Look at a source as the night does, repairs and all: until nothing more comes of it."""
        of = source or self.source
        run, _ = ReconciliationRun.objects.get_or_create(
            book=of.book,
            source=of,
            day=day or self.today,
            defaults={"public_id": seam.new_uuid(), "created_at": seam.now()},
        )
        for _round in range(rounds):
            with transaction.atomic():
                gathered = items.gather(of, since=items.last_seen(of), now=seam.now())
                run.transitions_to = gathered.transitions_to
                run.save(update_fields=["transitions_to"])
                matching.pair(run, now=seam.now())
                postings.book(run, now=seam.now())
                classification.classify(run, now=seam.now())
            run.refresh_from_db()
            if not repairs.work_off(run, now=seam.now()).anything:
                break
            self.shop.work()
        return run

    def bank(self, name: str = "house") -> Source:
        """Return a bank account whose statements are read."""
        return Source.objects.create(
            public_id=seam.new_uuid(),
            book=self.shop.tenant.book,
            code=f"bank-{name}",
            side=Source.Side.BANK,
            bank_name=name,
            account="DE89370400440532013000",
            starts_on=self.today - timedelta(days=30),
        )

    def balances(self) -> dict[str, int]:
        """Return the accounts of the book that are not a seller's, with their signed sums, without those at zero."""
        code = self.shop.tenant.psp_account.code
        return {
            name.removesuffix(":EUR").replace(f"psp:{code}:", "psp:"): total
            for name, total in self.shop.balances().items()
            if total and not name.startswith("seller:")
        }

    def expect_from(self, day: date) -> None:
        """Expect nothing of before a day."""
        self.source.starts_on = day
        self.source.save()

    def codes(self) -> list[str]:
        """Return the classes of what is unresolved."""
        return sorted(Break.objects.exclude(state="resolved").values_list("code", flat=True))


@pytest.fixture
def desk(shop: Shop) -> Desk:
    """Give a shop whose statements can be written by hand."""
    return Desk(shop)


@pytest.fixture(autouse=True)
def nobody_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements are written by the tests themselves; what fetches them has tests of its own."""
    monkeypatch.setattr(night, "fetchers", [])
