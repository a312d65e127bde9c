"""Refunds at the PSP that nobody asked us for: made in its dashboard, or forgotten by a database that was restored.

A notification says that there is a refund of a charge; it is fetched, and settlement notes it for a person (or sees
that it is one of ours). The wallet of a seller is never debited by itself for what was found at a PSP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from payments import psp_calls
from payments.models import Charge, FoundRefund, PspNotification
from payments.psp.base import ObjectKind
from payments.psp_calls import Call


@dataclass(frozen=True, slots=True)
class Notice:
    """A refund that a notification told of and that is none of ours, and the charge that it is about."""

    charge: Charge
    psp_id: str
    seen_at: datetime | None

    @property
    def key(self) -> tuple[int, str]:
        """Return what names the refund at the PSP."""
        return self.charge.psp_account_id, self.psp_id

    def is_after(self, row: PspNotification) -> bool:
        """Say whether the refund was looked at since a notification told of it."""
        return self.seen_at is not None and self.seen_at > row.received_at

    def call(self) -> Call:
        """Build the call that asks what the refund is."""
        return psp_calls.of_found_refund(self.charge, self.psp_id)


def look_up(rows: Sequence[PspNotification]) -> dict[int, Notice]:
    """Return, by notification, the refund that it is about: of a charge that we know, by the charge's id at the PSP."""
    told = [row for row in rows if row.object_kind == ObjectKind.REFUND and row.charge_psp_id]
    if not told:
        return {}
    # Uses indexes: psp_object_pays_one_charge, found_refund_is_known_once.
    accounts = {row.psp_account_id for row in told}
    charges = {
        (charge.psp_account_id, charge.psp_id or ""): charge
        for charge in Charge.objects.filter(
            psp_account_id__in=accounts, psp_id__in=[row.charge_psp_id for row in told]
        ).select_related("psp_account")
    }
    seen = {
        (account_id, psp_id): seen_at
        for account_id, psp_id, seen_at in FoundRefund.objects.filter(
            psp_account_id__in=accounts, psp_id__in=[row.object_psp_id for row in told]
        ).values_list("psp_account_id", "psp_id", "seen_at")
    }
    return {
        row.pk: Notice(charge, row.object_psp_id, seen.get((row.psp_account_id, row.object_psp_id)))
        for row in told
        if (charge := charges.get((row.psp_account_id, row.charge_psp_id))) is not None
    }
