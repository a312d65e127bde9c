"""Who keeps an eye on disputes: the PSP's notifications find them, and a slow poll looks after the open ones.

A notification says that there is a dispute of a charge; the dispute is fetched, and settlement books it. While a
charge's own money is not booked, the charge is fetched first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from payments import psp_calls
from payments.appliers import disputes
from payments.models import Charge, Dispute, PspNotification
from payments.psp.base import ObjectKind
from payments.psp_calls import Call
from payments.work import Claim


@dataclass(frozen=True, slots=True)
class Notice:
    """A dispute that a notification told of, and the charge that it is about."""

    charge: Charge
    psp_id: str
    is_known: bool

    @property
    def key(self) -> tuple[int, str]:
        """Return what names the dispute at the PSP."""
        return self.charge.psp_account_id, self.psp_id

    def call(self) -> Call:
        """Build the call that brings the dispute, or first its charge, to where the PSP says it is."""
        if disputes.is_ready(self.charge):
            return psp_calls.of_dispute(self.charge, self.psp_id)
        return psp_calls.of_charge(self.charge)


def look_up(rows: Sequence[PspNotification]) -> dict[int, Notice]:
    """Return, by notification, the dispute that it is about: a known one, or a new one of a charge that we know."""
    told = [row for row in rows if row.object_kind == ObjectKind.DISPUTE]
    if not told:
        return {}
    # Uses indexes: psp_dispute_is_known_once, psp_object_pays_one_charge.
    accounts = {row.psp_account_id for row in told}
    known = {
        (dispute.psp_account_id, dispute.psp_id): dispute.charge
        for dispute in Dispute.objects.filter(
            psp_account_id__in=accounts, psp_id__in=[row.object_psp_id for row in told]
        ).select_related("charge__psp_account")
    }
    charges = {
        (charge.psp_account_id, charge.psp_id or ""): charge
        for charge in Charge.objects.filter(
            psp_account_id__in=accounts, psp_id__in=[row.charge_psp_id for row in told if row.charge_psp_id]
        ).select_related("psp_account")
    }
    found = {}
    for row in told:
        charge = known.get((row.psp_account_id, row.object_psp_id))
        is_known = charge is not None
        charge = charge or charges.get((row.psp_account_id, row.charge_psp_id))
        if charge is not None:
            found[row.pk] = Notice(charge, row.object_psp_id, is_known)
    return found


def ask_soon(notices: Iterable[Notice], *, at: datetime) -> None:
    """Make known disputes due: if the call that follows is lost with its process, the poll repeats it."""
    for notice in notices:
        if notice.is_known:
            Dispute.objects.filter(psp_account_id=notice.charge.psp_account_id, psp_id=notice.psp_id).update(due_at=at)


def calls_of(claims: Sequence[Claim]) -> list[Call]:
    """Return the calls that look at claimed disputes, of which nothing was heard for a day."""
    if not claims:
        return []
    rows = Dispute.objects.filter(id__in=[item.id for item in claims]).select_related("charge__psp_account")
    return [psp_calls.of_dispute(row.charge, row.psp_id) for row in rows.order_by("id")]
