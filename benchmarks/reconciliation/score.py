"""The score: what the nights found, against what was planted.

Precision says how many of the breaks that were found are true, recall how many of the true ones were found. Both are
counted by class and in total; a break counts when class, source, key and amount are those of the manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.reconciliation.history import catalogue, stories
from benchmarks.reconciliation.history import tampering as tamperings
from benchmarks.reconciliation.history.manifest import Planted
from benchmarks.reconciliation.history.tampering import Tampering
from benchmarks.reconciliation.history.world import World
from benchmarks.reconciliation.money import wrongly_posted
from benchmarks.reconciliation.nights import LAST_DAY, Nights
from reconciliation.models import Break, Item, StatementLine


@dataclass(slots=True)
class Class:
    """What was planted, found, and found rightly of one class."""

    planted: int = 0
    found: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """Return the share of what was found that is true."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Return the share of what is true that was found."""
        return self.right / self.planted if self.planted else 1.0

    def add(self, other: Class) -> None:
        """Add the figures of another seed."""
        self.planted += other.planted
        self.found += other.found
        self.right += other.right


@dataclass(slots=True)
class Sheet:
    """The figures of one seed, and everything that was missed."""

    seed: int
    classes: dict[str, Class] = field(default_factory=dict)
    misses: list[dict[str, Any]] = field(default_factory=list)
    wrongly_posted: dict[str, int] = field(default_factory=dict)

    def verdict(self) -> str:
        """Return the seed in a few words."""
        planted = sum(figures.planted for figures in self.classes.values())
        right = sum(figures.right for figures in self.classes.values())
        return f"{right} of {planted} right, {len(self.misses)} misses, {self.wrongly_posted or 0} wrongly posted"

    def of(self, code: str) -> Class:
        """Return the figures of a class."""
        return self.classes.setdefault(code, Class())


def play(seed: int, superuser_url: str) -> Sheet:
    """Play a seed from its first day to its last night on an empty database, and score what was found."""
    plan = stories.make(seed)
    planted = catalogue.sow(plan)
    world = World(plan, superuser_url)
    with world.opened():
        nights = Nights(world)
        nights.open()
        for day in range(LAST_DAY + 1):
            nights.pass_day(day)
        sheet = compare(seed, nights, planted)
        for tampering in tamperings.chosen(seed):
            _tamper(sheet, nights, tampering, superuser_url)
        return sheet


def _tamper(sheet: Sheet, nights: Nights, tampering: Tampering, superuser_url: str) -> None:
    """Tamper with the books, look at them, and count what was found; afterwards the books are as before."""
    before = nights.open_codes("books")
    with tamperings.made(tampering, superuser_url) as was_made:
        if not was_made:
            return
        nights.run(None, LAST_DAY)
        found = nights.open_codes("books") - before
    figures = sheet.of(tampering.code)
    figures.planted += 1
    about = {"seed": sheet.seed, "corruption": tampering.says, "code": tampering.code, "source": "books"}
    if any(code == tampering.code for code, _ in found):
        figures.found += 1
        figures.right += 1
    else:
        sheet.misses.append({**about, "what": "not found", "found": sorted(found)})
    for code, reference in sorted(found):
        if code != tampering.code and code not in tampering.also:
            sheet.of(code).found += 1
            sheet.misses.append({**about, "what": "found and not true", "found": [code, reference]})


def compare(seed: int, nights: Nights, planted: Sequence[Planted]) -> Sheet:
    """Hold what was found against the manifest."""
    sheet = Sheet(seed)
    left = list(planted)
    true_ones: list[tuple[Break, Planted]] = []
    for found in nights.breaks():
        sheet.of(found.code).found += 1
        words = _words(found)
        entry = next((one for one in left if _is(one, found, nights.label_of(found), words)), None)
        if entry is None:
            sheet.misses.append({"seed": seed, "what": "found and not true", **_shown(found, nights)})
            continue
        if entry.follows:
            sheet.of(found.code).found -= 1
            entry.times -= 1
            if not entry.times:
                left.remove(entry)
            continue
        left.remove(entry)
        sheet.of(entry.code).planted += 1
        problem = _problem(entry, found, nights)
        if problem:
            sheet.misses.append({"seed": seed, "what": problem, **_shown(found, nights), "planted": entry.shown()})
        else:
            sheet.of(found.code).right += 1
            true_ones.append((found, entry))
    sheet.wrongly_posted = wrongly_posted(nights, true_ones)
    for entry in left:
        if not entry.follows:
            sheet.of(entry.code).planted += 1
            sheet.misses.append({"seed": seed, "what": "not found", **entry.shown()})
    return sheet


def _is(entry: Planted, found: Break, label: str, words: set[str]) -> bool:
    same = entry.code == found.code and entry.source == label
    return same and (not entry.keys or any(key in word for key in entry.keys for word in words))


def _problem(entry: Planted, found: Break, nights: Nights) -> str:
    amount = entry.exact_amount
    if amount is not None and amount != found.amount_minor:
        return f"amount is {found.amount_minor}, truly {amount}"
    if entry.currency and found.currency_id not in (None, entry.currency):
        return f"currency is {found.currency_id}, truly {entry.currency}"
    if nights.day_of(found) < entry.day:
        return f"found on day {nights.day_of(found)}, when it was still pending: it is a break from day {entry.day}"
    if entry.ends == "resolved" and found.state != Break.State.RESOLVED:
        return "was to end by itself, and is still open"
    return ""


def _words(found: Break) -> set[str]:
    """Return everything by which a break says what it is about."""
    words = {found.reference, found.detail, *(str(value) for value in found.evidence.values())}
    for line in StatementLine.objects.filter(pk__in=found.line_ids):
        words |= {line.reference, line.charge_reference, line.own_reference, line.key, line.text}
    words |= set(Item.objects.filter(pk__in=found.item_ids).values_list("reference", flat=True))
    return words - {""}


def _shown(found: Break, nights: Nights) -> dict[str, Any]:
    return {
        "code": found.code,
        "source": nights.label_of(found),
        "reference": found.reference,
        "currency": found.currency_id,
        "amount": found.amount_minor,
        "detail": found.detail,
        "day": nights.day_of(found),
        "state": found.state,
    }


def totals(sheets: Iterable[Sheet]) -> dict[str, Class]:
    """Return the figures of several seeds by class, and those of all classes as `total`."""
    sums: dict[str, Class] = {}
    for sheet in sheets:
        for code, figures in sheet.classes.items():
            sums.setdefault(code, Class()).add(figures)
            sums.setdefault("total", Class()).add(figures)
    return sums


def summary(sheets: Sequence[Sheet]) -> dict[str, Any]:
    """Return the figures of all seeds as they are printed; `passed` says whether they are what they must be."""
    sums = totals(sheets)
    whole = sums.pop("total", Class())
    wrong: dict[str, int] = {}
    for sheet in sheets:
        for currency, amount in sheet.wrongly_posted.items():
            wrong[currency] = wrong.get(currency, 0) + amount
    misses = [miss for sheet in sheets for miss in sheet.misses]
    return {
        "precision": whole.precision,
        "recall": whole.recall,
        "wrongly_posted": wrong,
        "passed": not misses and not wrong and whole.precision == whole.recall == 1.0,
        "planted": whole.planted,
        "found": whole.found,
        "classes": {code: _figures(sums[code]) for code in sorted(sums)},
        "misses": misses,
    }


def _figures(figures: Class) -> dict[str, float]:
    return {
        "planted": figures.planted,
        "found": figures.found,
        "right": figures.right,
        "precision": figures.precision,
        "recall": figures.recall,
    }
