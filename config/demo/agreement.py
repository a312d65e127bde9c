"""Our rows and the PSP's, one by one: charges, refunds, disputes, transfers, payouts, connected balances.

Each function returns how many the two have in common and every sentence in which they differ. Amounts are minor units.
It only reads. What goes through no PSP (stored value, payouts through a bank) is not its matter.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

type Rows = Sequence[Mapping[str, Any]]
type Found = tuple[int, list[str]]
type Sums = dict[str, int]

# A payout of ours, and what it may be at the PSP.
_PAYOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "sent": ("pending", "in_transit", "paid"),
    "paid": ("paid",),
    "failed": ("failed", "canceled"),
    "returned": ("failed", "canceled"),
}
_INQUIRY: Final[Mapping[str, str]] = {
    "warning_needs_response": "inquiry_open",
    "warning_under_review": "inquiry_review",
    "warning_closed": "inquiry_closed",
}


def of_charges(book_id: int, theirs: Rows) -> Found:
    """Compare every charge that took money: once there, once here, for the same amounts."""
    from payments.models import Charge, Refund  # late: this module is read before Django is set up

    ours = {
        charge.psp_id: (charge.captured_minor, charge.currency_id)
        for charge in Charge.objects.filter(book_id=book_id, captured_minor__gt=0, psp_id__isnull=False)
    }
    refunded: Sums = defaultdict(int)
    for refund in Refund.objects.filter(book_id=book_id, status=Refund.Status.SUCCEEDED).select_related("charge"):
        refunded[refund.charge.psp_id or ""] += refund.amount_minor if refund.stored_value_of_id is None else 0
    found: list[str] = []
    seen: set[str] = set()
    for charge in theirs:
        name = charge["payment_intent"]
        if not charge["captured"]:
            continue
        if name in seen:
            found.append(f"{name}: the PSP took money twice")
        seen.add(name)
        captured, currency = ours.get(name, (0, charge["currency"].upper()))
        if (captured, currency) != (charge["captured"], charge["currency"].upper()):
            found.append(f"{name}: {charge['captured']} {charge['currency']} at the PSP, {captured} {currency} here")
        if refunded[name] != charge["refunded"]:
            found.append(f"{name}: {charge['refunded']} refunded at the PSP, {refunded[name]} here")
    found += [f"{name}: captured here, unknown at the PSP" for name in ours if name not in seen]
    return len(seen), found


def of_refunds(book_id: int, theirs: Rows) -> Found:
    """Compare every refund: its amount, and whether it was paid."""
    from payments.models import Refund

    rows = Refund.objects.filter(book_id=book_id).exclude(psp_id__isnull=True).exclude(psp_id="")
    ours = {str(row.psp_id): (row.amount_minor, row.currency_id, str(row.status)) for row in rows}
    return _alike(
        "refund", ours, {row["id"]: (row["amount"], row["currency"].upper(), _refund_status(row)) for row in theirs}
    )


def of_disputes(book_id: int, theirs: Rows) -> Found:
    """Compare every dispute: what is disputed, what moved because of it with the PSP's charge, and how it stands."""
    from payments.models import Dispute

    ours = {
        row.psp_id: (
            row.amount_minor,
            row.currency_id,
            row.returned_minor + row.regained_minor + row.cost_returned_minor - row.taken_minor - row.cost_minor,
            str(row.status),
        )
        for row in Dispute.objects.filter(book_id=book_id)
    }
    there = {
        row["id"]: (row["amount"], row["currency"].upper(), row["net"], _INQUIRY.get(row["status"], row["status"]))
        for row in theirs
    }
    return _alike("dispute", ours, there)


def of_transfers(book_id: int, theirs: Rows) -> Found:
    """Compare every transfer to a seller's connected account, and what of it was taken back."""
    from payments.models import Payout

    ours = {
        row.transfer_psp_id: (
            row.amount_minor,
            row.currency_id,
            row.amount_minor if row.status == Payout.Status.RETURNED else 0,
        )
        for row in Payout.objects.filter(book_id=book_id).exclude(transfer_psp_id="")
    }
    there = {row["id"]: (row["amount"], row["currency"].upper(), row["amount_reversed"]) for row in theirs}
    return _alike("transfer", ours, there)


def of_payouts(book_id: int, theirs: Rows) -> Found:
    """Compare every payout from a connected account to a bank: its amount, and where it stands."""
    from payments.models import Payout

    rows = {row.psp_id: row for row in Payout.objects.filter(book_id=book_id, psp_id__isnull=False)}
    known = {row["id"]: row["status"] for row in theirs}
    ours = {
        name: (
            row.amount_minor,
            row.currency_id,
            known[name] if known.get(name) in _PAYOUT.get(row.status, ()) else str(row.status),
        )
        for name, row in rows.items()
        if name is not None
    }
    return _alike(
        "payout", ours, {row["id"]: (row["amount"], row["currency"].upper(), row["status"]) for row in theirs}
    )


def of_connected(accounts: Sequence[Any], theirs: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[str]:
    """Compare what our books have on connected accounts with what the PSP has there, per currency."""
    ours: Sums = defaultdict(int)
    for account in accounts:
        if account.code.startswith("psp:") and ":connected:" in account.code:
            ours[account.currency] += account.debits - account.credits
    there: Sums = defaultdict(int)
    for held in theirs.values():
        for currency, parts in held.items():
            there[currency.upper()] += sum(parts.values())
    return [
        f"{currency}: {ours[currency]} on connected accounts by our books, {there[currency]} at the PSP"
        for currency in sorted({*ours, *there})
        if ours[currency] != there[currency]
    ]


def held_at_the_psp(books: Mapping[str, Any]) -> Sums:
    """Return what a PSP holds for us per currency: captured, less refunds, disputes, and what was sent to sellers."""
    held: Sums = defaultdict(int)
    for charge in books["charges"]:
        held[charge["currency"].upper()] += charge["captured"] - charge["refunded"]
    for dispute in books["disputes"]:
        held[dispute["currency"].upper()] += dispute["net"]
    for transfer in books["transfers"]:
        held[transfer["currency"].upper()] += transfer["amount_reversed"] - transfer["amount"]
    return held


def _refund_status(row: Mapping[str, Any]) -> str:
    return "failed" if row["status"] == "canceled" else str(row["status"])


def _alike(kind: str, ours: Mapping[str, tuple[Any, ...]], theirs: Mapping[str, tuple[Any, ...]]) -> Found:
    found = [
        f"{kind} {name}: {_words(theirs.get(name))} at the PSP, {_words(ours.get(name))} here"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    return len(ours.keys() & theirs.keys()), found


def _words(values: tuple[Any, ...] | None) -> str:
    return "unknown" if values is None else " ".join(map(str, values))
