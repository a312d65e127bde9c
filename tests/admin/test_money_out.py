"""Money out in the back office: payouts to approve and to stop, terms, reserves, and what sellers owe by age."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from config import seam
from payments.models import MerchantBook, Payout, ReserveHold, Run, Seller
from tests.admin.story import Story
from tests.factories import PayoutDestinationFactory
from wallet import movements
from wallet.movements import Heading, Share


@pytest.fixture
def seller(story: Story) -> Seller:
    """Give the first seller of the story, verified and with a bank account."""
    row = Seller.objects.get(book=story.tenant.book, external_id="ada")
    Seller.objects.filter(pk=row.pk).update(kyc_status="verified", reserve_basis_points=500, reserve_days=30)
    PayoutDestinationFactory.create(seller=row)
    return row


def asked(story: Story, seller: Seller, amount: int) -> Payout:
    """Let somebody with a key ask for a payout of what was released."""
    from payments import payouts
    from payments.payouts import PayoutRequest

    now = seam.now()
    heading = Heading(story.tenant.book.pk, f"ord_{amount}", "EUR", now, "tests")
    sale = movements.settle_charge(heading, psp_account="stripe", seller=seller.public_id, captured=amount, fee=0)
    movements.record([sale, movements.release(heading, seller=seller.public_id, amount=amount, debt=0)], now=now)
    wanted = PayoutRequest(seller.pk, "EUR", amount)
    return payouts.request(story.tenant.book.pk, wanted, actor="key:tests", now=now)


def text(client: Client, path: str) -> str:
    """Return a page as text."""
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_payout_that_needs_approval_is_on_the_first_page_and_somebody_else_approves_it(
    story: Story, seller: Seller, signed_in
) -> None:
    MerchantBook.objects.filter(pk=story.tenant.book.pk).update(payout_approval_above={"EUR": 100})
    payout = asked(story, seller, 5_000)
    approver = signed_in("approver")
    assert "Payouts that somebody else has to approve" in text(approver, reverse("admin:index"))
    answer = approver.post(reverse("admin:payments_payout_approve", args=[payout.pk]), follow=True)
    assert "is approved" in answer.content.decode()
    payout.refresh_from_db()
    assert (payout.status, payout.approved_by) == ("pending", "user:a-approver")
    assert LogEntry.objects.get().get_change_message() == "Approve"
    assert "Payouts that somebody else has to approve" not in text(approver, reverse("admin:index"))


def test_an_operator_cancels_a_payout_and_a_viewer_does_not(
    story: Story, seller: Seller, viewer: Client, operator: Client
) -> None:
    payout = asked(story, seller, 5_000)
    address = reverse("admin:payments_payout_cancel", args=[payout.pk])
    assert viewer.post(address).status_code == 403
    payout.refresh_from_db()
    assert payout.status == "pending"
    assert "goes back to the wallet" in text(operator, address)
    operator.post(address)
    payout.refresh_from_db()
    assert payout.status == "cancelled"
    assert LogEntry.objects.get().get_change_message() == "Cancel"
    refused = operator.post(address, follow=True).content.decode()
    assert "payout_not_cancellable" in refused
    assert LogEntry.objects.count() == 1


def test_terms_show_what_needs_approval_and_who_has_a_reserve(story: Story, seller: Seller, viewer: Client) -> None:
    MerchantBook.objects.filter(pk=story.tenant.book.pk).update(payout_approval_above={"EUR": 123_400})
    page = text(viewer, reverse("admin:payments_merchantbook_change", args=[story.tenant.book.pk]))
    assert "1,234.00" in page
    assert "5.00 %" in page
    assert "Ada Ceramics" in page


def test_reserves_are_listed_by_whether_they_are_held(story: Story, seller: Seller, viewer: Client) -> None:
    now = seam.now()
    held, freed = story.paid.orders.order_by("position")[:2]
    for order, values in ((held, {"due_at": now}), (freed, {"freed_at": now})):
        ReserveHold.objects.create(
            book=story.tenant.book, seller=order.seller, order=order, currency_id="EUR", amount_minor=777,
            created_at=now, **values,
        )  # fmt: skip
    page = text(viewer, f"{reverse('admin:payments_reservehold_changelist')}?state=held")
    assert page.count("7.77") == 1
    assert text(viewer, reverse("admin:payments_reservehold_changelist")).count("7.77") == 2


def test_debts_are_shown_by_age_for_a_book_and_for_a_seller(story: Story, seller: Seller, viewer: Client) -> None:
    now = seam.now()
    for amount, days in ((1_100, 3), (220_000, 100)):
        heading = Heading(story.tenant.book.pk, f"rfd_{days}", "EUR", now - timedelta(days=days), "tests")
        owed = movements.request_refund(heading, seller=seller.public_id, share=Share(0, 0, amount), fee=0)
        movements.record([owed], now=now)
    page = text(viewer, reverse("admin:payments_merchantbook_debts", args=[story.tenant.book.pk]))
    for expected in ("2,211.00", "11.00", "2,200.00", "over 90", "Ada Ceramics"):
        assert expected in page, expected
    assert "2,200.00" in text(viewer, reverse("admin:payments_seller_change", args=[seller.pk]))


def test_who_has_no_role_sees_no_debts(story: Story, signed_in) -> None:
    address = reverse("admin:payments_merchantbook_debts", args=[story.tenant.book.pk])
    assert signed_in("nobody").get(address).status_code == 403


def test_a_run_that_did_not_happen_is_on_the_first_page(story: Story, viewer: Client) -> None:
    assert "did not happen in time" not in text(viewer, reverse("admin:index"))
    Run.objects.create(kind="full_check", period="2026-01-02", due_at=seam.now() - timedelta(days=200))
    assert "did not happen in time" in text(viewer, reverse("admin:index"))
