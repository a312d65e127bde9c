"""A refund that was made at the PSP: seen by all who see payments, booked by an approver."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from config import seam
from ledger.models import Transaction
from payments.models import Charge, FoundRefund, Refund
from tests.admin.story import Story


@pytest.fixture
def found(story: Story) -> FoundRefund:
    """Give a refund of 500.00 of the paid checkout that nobody asked for."""
    charge = Charge.objects.get(event=story.paid)
    now = seam.now()
    return FoundRefund.objects.create(
        book_id=charge.book_id,
        psp_account_id=charge.psp_account_id,
        charge=charge,
        psp_id="re_by_hand",
        psp_status="succeeded",
        currency_id=charge.currency_id,
        amount_minor=50_000,
        found_at=now,
        seen_at=now,
    )


def book(found: FoundRefund) -> str:
    """Return where it is booked."""
    return reverse("admin:payments_foundrefund_book", args=[found.pk])


def test_an_approver_books_it_with_an_audit_row(found: FoundRefund, signed_in: Callable[..., Client]) -> None:
    client = signed_in("approver")
    assert "Refunds made at the PSP" in client.get(reverse("admin:index")).content.decode()
    asked = client.get(book(found)).content.decode()
    assert "as if the refund had been asked for here" in asked
    assert not Refund.objects.filter(psp_id="re_by_hand").exists()
    assert "It is booked" in client.post(book(found), follow=True).content.decode()
    rows = Refund.objects.filter(psp_id="re_by_hand")
    assert sum(row.amount_minor for row in rows) == 50_000
    assert Transaction.objects.filter(kind="request_refund").count() == rows.count() > 0
    assert LogEntry.objects.get().user.username == "a-approver"
    found.refresh_from_db()
    assert found.decided_by == "user:a-approver"
    assert "Refunds made at the PSP" not in client.get(reverse("admin:index")).content.decode()
    assert "was booked" in client.post(book(found), follow=True).content.decode()
    assert Transaction.objects.filter(kind="request_refund").count() == rows.count()


@pytest.mark.parametrize("role", ["viewer", "operator", "nobody"])
def test_nobody_else_books_it(role: str, found: FoundRefund, signed_in: Callable[..., Client]) -> None:
    client = signed_in(role)
    assert client.get(book(found)).status_code == 403
    assert client.post(book(found)).status_code == 403
    assert not Refund.objects.filter(psp_id="re_by_hand").exists()
    page = client.get(reverse("admin:payments_foundrefund_change", args=[found.pk]))
    assert page.status_code == (403 if role == "nobody" else 200)
    assert book(found) not in page.content.decode()
