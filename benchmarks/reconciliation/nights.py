"""Nights: what the outside sent is received, the runs of a day are run, and what they found is read again.

The one place where a history meets what it judges.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.reconciliation.history import stories
from benchmarks.reconciliation.history.playing import ACTOR
from benchmarks.reconciliation.history.psp import BASIS_POINTS, FIXED
from benchmarks.reconciliation.history.rendering import File
from benchmarks.reconciliation.history.world import World
from reconciliation import ingest, night, sources
from reconciliation.models import Break, Source

# How the bank's own CSV is to be read, as a person would declare it.
DECLARATION: Final = {
    "delimiter": ";",
    "decimal": ",",
    "date": "DD.MM.YYYY",
    "columns": {
        "booked_on": "Booking day",
        "available_on": "Value day",
        "amount": "Amount",
        "currency": "Currency",
        "reference": "Reference",
        "own_reference": "End to end",
        "category": "Kind",
        "text": "Purpose",
        "balance": "Balance",
    },
    "flows": {"charges": "fee", "interest": "interest", "transfer returned": "return"},
}
LAST_DAY: Final = stories.CALENDAR_DAYS - 1
# The books are checked against themselves at the end of the busy days, and at the very end.
BOOKS_ON: Final = (stories.BUSY_DAYS - 1, LAST_DAY)


@dataclass(slots=True)
class Nights:
    """The sources of a history and their runs."""

    world: World
    sources: dict[str, Source] = field(default_factory=dict)
    verdicts: dict[tuple[str, int], str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    folder: TemporaryDirectory[str] = field(default_factory=TemporaryDirectory)

    def open(self) -> None:
        """Open a source for each PSP account and each account at the bank."""
        stage = self.world.stage
        now = stage.clock.now()
        for account in stage.psp_accounts:
            source = sources.of_psp_account(account, now=now)
            number = stage.psp_accounts.index(account)
            source.fee_schedule = {
                currency: {"basis_points": BASIS_POINTS[number], "fixed_minor": fixed}
                for currency, fixed in FIXED.items()
            }
            source.starts_on = self.world.plan.start
            # An empty folder: what the night is to see is handed in, and nothing is asked of the PSP.
            source.location = self.folder.name
            source.save()
            self.sources[account.code] = source
        for currency, bank in self.world.bank.accounts.items():
            source = sources.open_bank(
                stage.book.pk, name=bank.name, account=bank.number, format=bank.format,
                columns=DECLARATION if bank.format == "csv" else None, starts_on=self.world.plan.start, now=now,
            )  # fmt: skip
            source.currencies = [currency]
            source.save()
            self.sources[currency] = source

    def pass_day(self, day: int) -> None:
        """Let a day pass, and run the night after it."""
        self.world.play(day)
        clock = self.world.stage.clock
        clock.move(self.world.stage.moment(day + 1, 6))
        for file in self.world.arriving(day):
            self.receive(file)
        self.world.stage.work()
        if not stories.business_day(self.world.plan, day):
            return  # nothing is due on such a day; the next night sees what came
        for label, source in self.sources.items():
            self.verdicts[label, day] = self.run(source, day)
        if day in BOOKS_ON:
            self.verdicts["books", day] = self.run(None, day)

    def receive(self, file: File) -> None:
        """Hand a file in, as the night does with what it has fetched."""
        received = ingest.receive(
            self.sources[file.source], io.BytesIO(file.content), format=file.format, name=file.name,
            received_from=ACTOR, now=self.world.stage.clock.now(),
        )  # fmt: skip
        if received.file.errors:
            self.refused.append(f"{file.source} {file.name}: {received.file.errors[:2]}")

    def run(self, source: Source | None, day: int) -> str:
        """Run one night of one source, or of the books; return the verdict."""
        now = self.world.stage.clock.now()
        opened = night.open_run(self.world.stage.book.pk, source, self.world.plan.date_of(day), now=now)
        return night.reconcile(opened.pk, now=now).verdict

    def breaks(self) -> list[Break]:
        """Return every break that a run has ever found."""
        return list(Break.objects.filter(book=self.world.stage.book).select_related("source").order_by("id"))

    def open_codes(self, label: str) -> set[tuple[str, str]]:
        """Return code and detail of every break that is open at a source."""
        rows = Break.objects.filter(book=self.world.stage.book).exclude(state=Break.State.RESOLVED)
        found = rows.filter(source=None) if label == "books" else rows.filter(source=self.sources[label])
        return set(found.values_list("code", "detail"))

    def label_of(self, found: Break) -> str:
        """Return what a manifest calls the source of a break."""
        return next((label for label, source in self.sources.items() if source.pk == found.source_id), "books")

    def day_of(self, found: Break) -> int:
        """Return the day of the plan in whose night a break was first found."""
        morning = self.world.stage.local(found.created_at)
        return morning.toordinal() - self.world.plan.start.toordinal() - 1
