"""Disputes in the back office: until when they are answered, who may, and that it is audited with what it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from config import seam
from payments.models import Dispute, DisputeEvidence, EvidenceFile, PspOperation
from tests.admin.story import Story
from tests.factories import DisputeFactory

PDF = b"%PDF-1.7 a receipt that nobody sees again"


@pytest.fixture
def dispute(story: Story) -> Dispute:
    """Give a dispute of the paid checkout whose answer is due in three days."""
    charge, order = story.paid.charges.get(), story.paid.orders.order_by("position")[0]
    row: Dispute = DisputeFactory.create(
        charge=charge,
        amount_minor=124_990,
        taken_minor=124_990,
        reason="fraudulent",
        evidence_due_at=seam.now() + timedelta(days=3),
    )
    row.parts.create(
        order=order, position=1, amount_minor=124_990, excess_minor=0, fee_minor=12_499, pending_minor=112_491
    )
    return row


def address(row: Dispute, page: str) -> str:
    """Return where a page of a dispute is."""
    return reverse(f"admin:payments_dispute_{page}", args=[row.pk])


def shown(client: Client, path: str) -> str:
    """Return a page as text."""
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_and_the_first_page_show_deadline_and_what_is_held(dispute: Dispute, viewer: Client) -> None:
    listed = shown(viewer, reverse("admin:payments_dispute_changelist"))
    assert "1,249.90" in listed
    assert "cart-9001" in listed
    first = shown(viewer, reverse("admin:index"))
    assert "Disputes to answer within 7 days" in first
    assert "2 d 23 h" in first
    Dispute.objects.update(evidence_due_at=seam.now() + timedelta(days=8))
    assert "Disputes to answer within" not in shown(viewer, reverse("admin:index"))
    Dispute.objects.update(evidence_due_at=seam.now() + timedelta(days=1), evidence_status="submitted")
    assert "Disputes to answer within" not in shown(viewer, reverse("admin:index"))


@pytest.mark.parametrize(
    ("choice", "days", "status", "found"),
    [
        ("soon", 3, "none", True),
        ("soon", 8, "none", False),
        ("soon", 3, "pending", False),
        ("waiting", 8, "refused", True),
        ("late", -1, "none", True),
        ("late", 1, "none", False),
    ],
)
def test_the_list_is_filtered_by_when_an_answer_is_due(
    dispute: Dispute, viewer: Client, *, choice: str, days: int, status: str, found: bool
) -> None:
    Dispute.objects.update(evidence_due_at=seam.now() + timedelta(days=days), evidence_status=status)
    page = shown(viewer, f"{reverse('admin:payments_dispute_changelist')}?answer={choice}")
    assert ("cart-9001" in page) == found


def test_what_contradicts_our_records_is_on_the_first_page(dispute: Dispute, viewer: Client) -> None:
    Dispute.objects.update(quarantined_at=seam.now(), quarantine_reason="the dispute is in USD")
    assert "the dispute is in USD" in shown(viewer, reverse("admin:index"))


def test_a_page_tells_whose_money_it_is_and_how_it_went(dispute: Dispute, viewer: Client) -> None:
    Dispute.objects.filter(pk=dispute.pk).update(status="under_review")
    page = shown(viewer, address(dispute, "change"))
    for expected in ("Ada Ceramics", "1,124.91", "124.99", "History", "Whose money", "Evidence that was given"):
        assert expected in page, expected
    assert "UNDER REVIEW" in page.upper()
    assert reverse("admin:payments_paymentevent_timeline", args=[dispute.charge.event_id]) in page


def test_an_operator_submits_evidence_and_what_was_given_is_named_but_not_shown(
    dispute: Dispute, operator: Client
) -> None:
    asked = shown(operator, address(dispute, "answer"))
    assert 'enctype="multipart/form-data"' in asked
    assert not PspOperation.objects.filter(dispute=dispute).exists()
    sent = {
        "product_description": "A teapot, told to nobody",
        "document_receipt": SimpleUploadedFile("my receipt.pdf", PDF, "text/html"),
    }
    answer = operator.post(address(dispute, "answer"), sent, follow=True)
    page = answer.content.decode()
    assert "goes to the PSP within seconds" in page
    assert "application/pdf" in page
    assert f"{len(PDF)} bytes" in page
    assert "24 characters" in page
    for hidden in ("told to nobody", "nobody sees again", "my receipt"):
        assert hidden not in page
    evidence = DisputeEvidence.objects.get()
    assert evidence.texts == {"product_description": "A teapot, told to nobody"}
    assert bytes(EvidenceFile.objects.get().content) == PDF
    dispute.refresh_from_db()
    assert dispute.evidence_status == "pending"
    assert PspOperation.objects.get(dispute=dispute).kind == "submit_evidence"
    audit = LogEntry.objects.get()
    assert (audit.user.username, audit.get_change_message()) == ("a-operator", "Submit evidence")
    again = operator.post(address(dispute, "answer"), {"product_description": "again"}, follow=True)
    assert "dispute_not_answerable" in again.content.decode()
    assert (DisputeEvidence.objects.count(), LogEntry.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ({}, "send at least one text or document"),
        ({"document_receipt": SimpleUploadedFile("a.pdf", b"<html>")}, "send a PDF, PNG or JPEG file"),
        ({"document_receipt": SimpleUploadedFile("a.pdf", b"%PDF-" + b"x" * 4_000_000)}, "at most 4,000,000 bytes"),
        ({"product_description": "x" * 20_001}, "at most 20000 characters"),
        ({"product_description": "card 4242 4242 4242 4242"}, "card number"),
    ],
)
def test_evidence_that_is_wrong_is_told_at_its_field_and_nothing_is_stored(
    dispute: Dispute, operator: Client, sent: dict[str, object], word: str
) -> None:
    answer = operator.post(address(dispute, "answer"), sent)
    assert answer.status_code == 200
    assert word in answer.content.decode()
    assert not DisputeEvidence.objects.exists()
    assert not PspOperation.objects.filter(dispute=dispute).exists()
    assert not LogEntry.objects.exists()


def test_an_operator_gives_a_dispute_up(dispute: Dispute, operator: Client) -> None:
    assert "cannot be taken back" in shown(operator, address(dispute, "accept"))
    answer = operator.post(address(dispute, "accept"), follow=True)
    assert "is given up" in answer.content.decode()
    assert PspOperation.objects.get(dispute=dispute).kind == "accept_dispute"
    assert LogEntry.objects.get().get_change_message() == "Give up"


@pytest.mark.parametrize("role", ["viewer", "approver", "nobody"])
@pytest.mark.parametrize("step", ["answer", "accept"])
def test_whoever_may_not_answer_is_refused_by_the_server_and_sees_no_button(
    dispute: Dispute, signed_in: Callable[..., Client], role: str, step: str
) -> None:
    client = signed_in(role)
    assert client.get(address(dispute, step)).status_code == 403
    assert client.post(address(dispute, step), {"product_description": "x"}).status_code == 403
    assert not PspOperation.objects.filter(dispute=dispute).exists()
    assert not LogEntry.objects.exists()
    assert address(dispute, step) not in client.get(address(dispute, "change")).content.decode()


def test_after_the_deadline_there_is_no_button(dispute: Dispute, operator: Client) -> None:
    Dispute.objects.update(evidence_due_at=seam.now() - timedelta(minutes=1))
    page = shown(operator, address(dispute, "change"))
    assert address(dispute, "answer") not in page
    assert "too late" in page
    answer = operator.post(address(dispute, "accept"), follow=True)
    assert "The time for evidence is over" in answer.content.decode()
    assert not PspOperation.objects.filter(dispute=dispute).exists()
