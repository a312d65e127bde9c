"""Reports: what a run found, for people and for programs: as data, as a page, as a spreadsheet.

They read a finished run and its breaks as they are now. Text from outside is escaped on the page and cannot become a
formula in the spreadsheet. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Final

from django.template.loader import render_to_string

from ledger.csv_files import lines, text
from ledger.ids import public_id
from ledger.money import format_minor
from payments.representations import Object
from reconciliation import representations, verdicts
from reconciliation.codes import CODES
from reconciliation.models import Break, Identity, ReconciliationRun

# At most so many breaks are listed; all of them are counted.
LISTED: Final = 1000
# Breaks by their age in days: up to a day, a week, a month, longer.
AGES: Final = (("0-1 days", 1), ("2-7 days", 7), ("8-30 days", 30), ("over 30 days", None))


def report(run: ReconciliationRun, *, today: date) -> Object:
    """Return everything about a run: verdict, identities with their terms, counts, breaks by code and age, pending."""
    found = list(Identity.objects.filter(run=run).order_by("name", "currency"))
    unresolved = verdicts.unresolved(run).select_related("source").order_by("priority", "code", "pk")
    return {
        **representations.run(run, found),
        "book": run.book.code,
        "breaks_by_age": by_age(unresolved.values_list("code", "break_on"), today=today),
        "breaks": [representations.found_break(row) for row in unresolved[:LISTED]],
        "breaks_listed": min(LISTED, sum(run.counts.get("breaks", {}).values())),
    }


def by_age(rows: Iterable[tuple[str, date]], *, today: date) -> list[Object]:
    """Count breaks by code and age."""
    counted: dict[str, dict[str, int]] = {}
    for code, since in rows:
        ages = counted.setdefault(code, {name: 0 for name, _ in AGES})
        ages[_age((today - since).days)] += 1
    return [
        {"code": code, "name": CODES[code].name, "priority": CODES[code].priority, "ages": counted[code]}
        for code in sorted(counted, key=lambda code: (CODES[code].priority, code))
    ]


def _age(days: int) -> str:
    return next(name for name, most in AGES if most is None or days <= most)


def page(run: ReconciliationRun, *, today: date) -> str:
    """Return the report of a run as a page of its own, without script and without anything from elsewhere."""
    return render_to_string("reconciliation/report.html", {"report": report(run, today=today), "ages": AGES})


HEADER: Final = (
    "section", "code", "status", "priority", "currency", "amount", "reference", "detail", "owner", "since", "id",
)  # fmt: skip


def spreadsheet(run: ReconciliationRun) -> Iterator[str]:
    """Write the identities and all unresolved breaks of a run as lines of CSV, while they are read."""
    return lines(_rows(run))


def _rows(run: ReconciliationRun) -> Iterator[Sequence[str]]:
    yield HEADER
    yield ("verdict", "", run.verdict, "", "", "", run.source.code if run.source else "books", "", "", str(run.day), "")
    for one in Identity.objects.filter(run=run).order_by("name", "currency"):
        state = "holds" if one.residual_minor == 0 else "does not hold"
        yield (
            "identity",
            one.name,
            state if one.proven else "nothing declared",
            "",
            one.currency_id,
            format_minor(one.residual_minor, one.currency_id),
            "",
            text("; ".join(_said(term, one.currency_id) for term in one.terms)),
            "",
            "",
            "",
        )
    for row in verdicts.unresolved(run).order_by("pk").iterator(chunk_size=2000):
        yield _row_of(row)


def _said(term: dict[str, Any], currency: str) -> str:
    return f"{term['what']} {format_minor(term['amount'], currency)}"


def _row_of(row: Break) -> Sequence[str]:
    amount = "" if row.currency_id is None else format_minor(row.amount_minor, row.currency_id)
    return (
        "break",
        row.code,
        row.state,
        str(row.priority),
        row.currency_id or "",
        amount,
        text(row.reference),
        text(row.detail),
        text(row.owner),
        str(row.break_on),
        public_id("brk", row.public_id),
    )
