"""Cases: the disputes of locked charges with their parts, read and written as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from payments.models import Charge, Dispute, DisputePart
from payments.models.bulk import read_rows, update_rows


@dataclass(slots=True)
class Case:
    """A dispute with its parts, in their order. A new one has not been written yet.

    `has_news`: something changed that a merchant can see, not only when to ask again.
    """

    dispute: Dispute
    parts: list[DisputePart] = field(default_factory=list)
    is_new: bool = False
    is_changed: bool = False
    has_news: bool = False
    new_parts: list[DisputePart] = field(default_factory=list)


def lock(charges: Mapping[int, Charge]) -> list[Case]:
    """Lock the disputes of locked charges and read their parts (which no one changes without that lock)."""
    disputes = read_rows(Dispute, "charge_id", charges, lock=True)
    cases = {dispute.pk: Case(dispute) for dispute in disputes}
    for part in read_rows(DisputePart, "dispute_id", cases):
        cases[part.dispute_id].parts.append(part)
    for case in cases.values():
        case.parts.sort(key=lambda part: part.position)
    return list(cases.values())


_DISPUTE_COLUMNS = (
    "status", "reason", "network_reason", "amount_minor", "taken_minor", "returned_minor", "lost_minor",
    "regained_minor", "cost_minor", "cost_returned_minor", "evidence_due_at", "evidence_count", "evidence_status",
    "evidence_at", "evidence_message", "quarantined_at", "quarantine_reason", "version", "closed_at", "updated_at",
    "due_at", "lease_until", "tries",
)  # fmt: skip
_PART_COLUMNS = ("returned_minor", "lost_minor", "regained_minor", "changed_back_minor")


def write(cases: Iterable[Case]) -> None:
    """Write what changed of cases: one statement for each table and kind of change."""
    touched = [case for case in cases if case.is_new or case.is_changed]
    if not touched:
        return
    Dispute.objects.bulk_create(case.dispute for case in touched if case.is_new)
    known = [case for case in touched if not case.is_new]
    update_rows([case.dispute for case in known], _DISPUTE_COLUMNS)
    update_rows(_kept_parts(known), _PART_COLUMNS)
    DisputePart.objects.bulk_create(part for case in touched for part in case.new_parts)


def _kept_parts(cases: Sequence[Case]) -> list[DisputePart]:
    return [part for case in cases for part in case.parts if part not in case.new_parts]
