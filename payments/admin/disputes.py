"""Disputes in the back office: what waits for an answer and until when, whose money it is, and the answer itself.

Evidence holds personal data of buyers: it can be given here, and afterwards only what was given is told, never its
content.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from config import seam
from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import Link, Table
from ledger.admin.showing import api_id, badge, code, link, money, right
from ledger.admin.steps import Given, Step
from ledger.ids import parse_public_id, public_id
from payments import evidence
from payments.admin import rows
from payments.admin.answering import EvidenceForm
from payments.admin.finding import payments_named
from payments.admin.states import state
from payments.admin.stepping import PaymentSteps
from payments.models import Dispute, DisputeEvidence, DisputePart, EvidenceFile, PspOperation, Transition

ANSWER = "payments.answer_disputes"
SOON = timedelta(days=7)
ANSWERS = 20


class DeadlineFilter(admin.SimpleListFilter):
    """Those that wait for an answer, by when it is due (uses index: dispute_to_answer)."""

    title = "answer"
    parameter_name = "answer"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer what is due."""
        return [("soon", "Due within 7 days"), ("waiting", "Waits for one"), ("late", "Too late")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep what waits for an answer."""
        now, chosen = seam.now(), str(self.value())
        if chosen not in ("soon", "waiting", "late"):
            return queryset
        waiting = queryset.filter(status__in=Dispute.ANSWERABLE)
        if chosen == "late":
            return waiting.filter(evidence_due_at__lte=now)
        waiting = waiting.filter(evidence_status__in=UNANSWERED)
        return waiting.filter(evidence_due_at__gt=now, evidence_due_at__lte=now + SOON) if chosen == "soon" else waiting


UNANSWERED = (Dispute.Evidence.NONE, Dispute.Evidence.REFUSED)


def _waits(dispute: Dispute) -> bool:
    """Say whether a dispute can be answered now: what `evidence` checks again under a lock."""
    in_time = dispute.evidence_due_at is None or dispute.evidence_due_at > seam.now()
    return dispute.status in Dispute.ANSWERABLE and dispute.evidence_status in UNANSWERED and in_time


def _submit(dispute: Dispute, given: Given) -> None:
    evidence.submit(dispute.pk, given.values["texts"], given.values["documents"], now=given.now)


def _accept(dispute: Dispute, given: Given) -> None:
    evidence.accept(dispute.pk, now=given.now)


@admin.register(Dispute)
class DisputeAdmin(PaymentSteps):
    """What a buyer's bank took back, or asks about."""

    prefix = "dsp"
    list_display = (
        "identity", "in_state", "amount", "held", "of_payment", "reason", "evidence_due_at", "answer", "book",
        "opened_at",
    )  # fmt: skip
    list_filter = (DeadlineFilter, "status", BookFilter, PeriodByIdFilter)
    select = ("charge__event", "book")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "identity", "in_state", "amount", "reason", "network_reason", "of_payment", "of_charge",
                    "psp_object", "book", "opened_at", "closed_at", "why_not_booked",
                )
            },
        ),
        ("Money", {"fields": ("taken", "held", "returned", "lost", "regained", "cost", "cost_returned")}),
        ("Answer", {"fields": ("evidence_due_at", "answer", "evidence_at", "evidence_message", "evidence_count")}),
    )  # fmt: skip
    search_help_text = "dsp_…, pay_…, chg_… or checkout id"
    steps: ClassVar[tuple[Step, ...]] = (
        Step(
            name="answer",
            title="Submit evidence",
            question="A dispute is answered once. What you give goes to the PSP and to the buyer's bank; it is not "
            "shown again. Never write a card number.",
            done="The evidence is stored and goes to the PSP within seconds.",
            icon="upload_file",
            permission=ANSWER,
            run=_submit,
            applies=_waits,
            form=EvidenceForm,
        ),
        Step(
            name="accept",
            title="Give up",
            question="The buyer keeps the money and the sellers' shares are lost. This cannot be taken back.",
            done="The PSP is told within seconds that the dispute is given up.",
            icon="money_off",
            permission=ANSWER,
            run=_accept,
            applies=lambda dispute: _waits(dispute) and dispute.status == Dispute.Status.NEEDS_RESPONSE,
        ),
    )

    def find(self, term: str) -> Q:
        """Find a dispute by its id, or those of the payments that an identifier belongs to."""
        own = parse_public_id("dsp", term)
        return Q(public_id=own) if own is not None else Q(charge__event_id__in=payments_named(term))

    def heading(self, obj: Dispute) -> str:
        """Return the title of a dispute's page."""
        return f"Dispute {public_id(self.prefix, obj.public_id)}"

    def links(self, request: HttpRequest, obj: Dispute) -> Iterable[Link]:
        """Lead to the timeline of the payment, and to the answers."""
        yield Link("Timeline", reverse("admin:payments_paymentevent_timeline", args=[obj.charge.event_id]), "timeline")
        yield from super().links(request, obj)

    @admin.display(description="Dispute")
    def identity(self, row: Dispute) -> SafeString:
        """Show the public id."""
        return api_id("dsp", row.public_id)

    @admin.display(description="Status")
    def in_state(self, row: Dispute) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    @admin.display(description="Disputed")
    def amount(self, row: Dispute) -> SafeString:
        """Show what is disputed."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Held")
    def held(self, row: Dispute) -> SafeString:
        """Show what the PSP holds until the dispute is decided."""
        return money(row.held_minor, row.currency_id)

    @admin.display(description="Taken")
    def taken(self, row: Dispute) -> SafeString:
        """Show what was taken."""
        return money(row.taken_minor, row.currency_id)

    @admin.display(description="Returned")
    def returned(self, row: Dispute) -> SafeString:
        """Show what came back."""
        return money(row.returned_minor, row.currency_id)

    @admin.display(description="Lost")
    def lost(self, row: Dispute) -> SafeString:
        """Show what is gone."""
        return money(row.lost_minor, row.currency_id)

    @admin.display(description="Regained")
    def regained(self, row: Dispute) -> SafeString:
        """Show what of the lost amount came back after all."""
        return money(row.regained_minor, row.currency_id)

    @admin.display(description="Fee of the PSP")
    def cost(self, row: Dispute) -> SafeString:
        """Show what the PSP charged."""
        return money(row.cost_minor, row.currency_id)

    @admin.display(description="Fee returned")
    def cost_returned(self, row: Dispute) -> SafeString:
        """Show what of its fee the PSP gave back."""
        return money(row.cost_returned_minor, row.currency_id)

    @admin.display(description="Payment")
    def of_payment(self, row: Dispute) -> SafeString:
        """Link to the payment."""
        return link(row.charge.event, row.charge.event.checkout_id)

    @admin.display(description="Charge")
    def of_charge(self, row: Dispute) -> SafeString:
        """Link to the charge."""
        return link(row.charge, api_id("chg", row.charge.public_id))

    @admin.display(description="PSP id")
    def psp_object(self, row: Dispute) -> SafeString:
        """Show the PSP's id."""
        return code(row.psp_id)

    @admin.display(description="Evidence")
    def answer(self, row: Dispute) -> SafeString:
        """Show what became of the evidence; a deadline that passed without any is told."""
        if row.status in Dispute.ANSWERABLE and row.evidence_status in UNANSWERED and not _waits(row):
            return badge("too late", "danger")
        return badge(row.evidence_status, _TONES[Dispute.Evidence(row.evidence_status)])

    @admin.display(description="Not booked")
    def why_not_booked(self, row: Dispute) -> str:
        """Show what of it contradicts our records."""
        return row.quarantine_reason or "-"

    def tables(self, _request: HttpRequest, obj: Dispute) -> Iterable[Table]:
        """Show whose money it is, how it went, what was given as evidence, and the calls made for it."""
        parts = DisputePart.objects.filter(dispute=obj).select_related("order__seller").order_by("position")
        yield Table(
            "Whose money",
            (
                "Order", "Seller", right("Disputed"), right("From pending"), right("From available"), right("As debt"),
                right("Platform fee"), right("Platform loss"), right("Returned"), right("Lost"),
            ),
            [
                (
                    link(part.order, api_id("ord", part.order.public_id)),
                    link(part.order.seller, part.order.seller.name),
                    *(
                        money(amount, obj.currency_id)
                        for amount in (
                            part.amount_minor, part.pending_minor, part.available_minor, part.debt_minor,
                            part.fee_minor, part.excess_minor, part.returned_minor, part.lost_minor,
                        )
                    ),
                )
                for part in parts[: Table.LIMIT]
            ],
        )  # fmt: skip
        yield _history(obj)
        yield _given(obj)
        operations = PspOperation.objects.filter(dispute=obj).select_related("event", "charge")
        yield rows.operations(operations.order_by("pk")[: Table.LIMIT])


_TONES = {
    Dispute.Evidence.NONE: "",
    Dispute.Evidence.PENDING: "info",
    Dispute.Evidence.SUBMITTED: "success",
    Dispute.Evidence.REFUSED: "danger",
}


def _history(dispute: Dispute) -> Table:
    """Show each change of status as the database recorded it (uses index: transition_by_object)."""
    moved = Transition.objects.filter(machine=Dispute._meta.db_table, object_id=dispute.pk).order_by("id")
    return Table(
        "History",
        ("At", "From", "To"),
        [(row.at, state(row.source), state(row.target)) for row in moved[: Table.LIMIT]],
    )


def _given(dispute: Dispute) -> Table:
    """Show what was given as evidence: names, kinds and sizes, never the content."""
    files = EvidenceFile.objects.defer("content").order_by("pk")
    answers = DisputeEvidence.objects.filter(dispute=dispute).prefetch_related(Prefetch("files", files)).order_by("pk")
    found = []
    for one in answers[:ANSWERS]:
        found += [(one.created_at, name, "text", f"{len(text):,} characters") for name, text in one.texts.items()]
        found += [(one.created_at, f.kind, f.media_type, f"{f.size_bytes:,} bytes") for f in one.files.all()]
    return Table("Evidence that was given", ("At", "What it says or shows", "As", "Size"), found)
