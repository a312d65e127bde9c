"""What is wrong with the statements of a source as such: a gap between two, a refused file, another balance.

Of single lines it knows nothing. It reads files and identities, and writes breaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, Q

from ledger.ids import public_id
from ledger.money import format_minor
from reconciliation import findings
from reconciliation.findings import Finding
from reconciliation.models import Identity, ReconciliationRun, SettlementFile, Source

CODES: Final = ("B08", "B09", "B10")
# What is asked for all its lines answers with all its lines.
COMPLETE: Final = ("stripe_api",)
# The chain is followed over the newest statements; an older gap was found when it was new.
STATEMENTS: Final = 400


def check(run: ReconciliationRun, closed: Sequence[Identity], *, now: datetime) -> None:
    """Write the breaks of a source's statements; resolve those that are mended. In the caller's transaction."""
    assert run.source is not None
    found = [*_refused(run.source), *_gaps(run.source), *_balances(run.source, closed)]
    findings.record(run, found, codes=CODES, now=now)


def refused(source: Source) -> list[SettlementFile]:
    """Return the refused files of a source that no good one has made up for since (at most ten).

    One of another format makes up for nothing, because a PSP's activity and its payouts are different reports; but what
    the PSP itself answers when it is asked for all its lines does.
    """
    files = SettlementFile.objects.filter(source=source)
    same = Q(format=OuterRef("format")) | Q(format__in=COMPLETE)
    good = files.filter(same, state=SettlementFile.State.INGESTED, pk__gt=OuterRef("pk"))
    bad = files.filter(state=SettlementFile.State.QUARANTINED).exclude(Exists(good))
    return list(bad.order_by("-pk")[:10])


def _refused(source: Source) -> Iterator[Finding]:
    for file in refused(source):
        first = file.errors[0]
        line = f", line {first['line']}" if first.get("line") else ""
        yield Finding(
            "B09",
            "file",
            public_id("fil", file.public_id),
            f"{file.name or 'a file'} was refused: {first['code']}{line}, {first['detail']}",
            reference=file.name,
            evidence={"file": file.pk, "errors": len(file.errors)},
        )


def _gaps(source: Source) -> Iterator[Finding]:
    """Follow opening and closing balances from statement to statement, currency by currency."""
    files = SettlementFile.objects.filter(
        source=source, state=SettlementFile.State.INGESTED, first_day__isnull=False, revisions__isnull=True
    )
    ended: dict[str, tuple[int, SettlementFile]] = {}
    for file in reversed(files.order_by("-last_day", "-first_day", "-pk")[:STATEMENTS]):
        for currency, declared in sorted(file.declared.items()):
            opening, closing, before = declared.get("opening"), declared.get("closing"), ended.get(currency)
            if opening is not None and before is not None and opening != before[0]:
                yield Finding(
                    "B08",
                    "chain",
                    public_id("fil", file.public_id),
                    f"{file.name or file.identity} of {file.first_day} begins with {format_minor(opening, currency)},"
                    f" {before[1].name or before[1].identity} of {before[1].last_day} ended with"
                    f" {format_minor(before[0], currency)}",
                    currency=currency,
                    amount=opening - before[0],
                    reference=file.identity,
                    evidence={"file": file.pk, "before": before[1].pk},
                )
            if closing is not None:
                ended[currency] = (closing, file)


def _balances(source: Source, closed: Sequence[Identity]) -> Iterator[Finding]:
    for one in closed:
        if one.name == Identity.Name.BALANCE and one.proven and one.residual_minor:
            yield Finding(
                "B10",
                "balance",
                one.currency_id,
                f"the balance is {format_minor(one.left_minor, one.currency_id)} outside;"
                f" books and open differences make {format_minor(one.right_minor, one.currency_id)}",
                currency=one.currency_id,
                amount=one.residual_minor,
                reference=source.code,
                evidence={"terms": one.terms},
            )
