"""A person hands a statement in, in the back office, and sees what became of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from reconciliation.models import SettlementFile, Source, StatementLine
from tests.admin.conftest import office, operator, signed_in, viewer
from tests.reconciliation.papers import CHARGE, REFUND, psp_source, report

__all__ = ["office", "operator", "signed_in", "viewer"]
pytestmark = pytest.mark.django_db


def hand_in(browser: Client, source: Source, content: bytes) -> str:
    """Hand a file in, and return the page that follows."""
    answer = browser.post(
        reverse("admin:reconciliation_source_upload", args=[source.pk]),
        {"file": SimpleUploadedFile("report.csv", content), "written_in": "stripe_payout_itemized"},
        follow=True,
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_statement_is_handed_in_and_shown(operator: Client) -> None:
    """With what became of its lines, and who handed it in."""
    source = psp_source()
    page = hand_in(operator, source, report(CHARGE, REFUND))
    assert "The statement was read." in page
    assert "report.csv" in page
    file = SettlementFile.objects.get()
    assert (file.state, file.new_count, file.received_from) == ("ingested", 2, "user:a-operator")
    shown = operator.get(reverse("admin:reconciliation_settlementfile_change", args=[file.pk]))
    assert bytes(file.sha256).hex() in shown.content.decode()


def test_a_refused_statement_says_why(operator: Client) -> None:
    """All of it on the page of the file; a formula in it is only text."""
    source = psp_source()
    page = hand_in(operator, source, report(CHARGE.replace("100.00", "=<b>1"), REFUND.replace("eur", "xxx")))
    assert "The statement was refused" in page
    file = SettlementFile.objects.get()
    shown = operator.get(reverse("admin:reconciliation_settlementfile_change", args=[file.pk])).content.decode()
    assert "invalid_currency" in shown
    assert "=&lt;b&gt;1" in shown
    assert "=<b>1" not in shown
    assert not StatementLine.objects.exists()


def test_who_only_looks_hands_nothing_in(viewer: Client, signed_in: Callable[..., Client]) -> None:
    """Neither the page nor the file."""
    source = psp_source()
    address = reverse("admin:reconciliation_source_upload", args=[source.pk])
    assert viewer.get(address).status_code == 403
    assert viewer.post(address, {}).status_code == 403
    assert viewer.get(reverse("admin:reconciliation_source_change", args=[source.pk])).status_code == 200
    assert signed_in("nobody").get(reverse("admin:reconciliation_source_changelist")).status_code == 403
    assert not SettlementFile.objects.exists()
