"""The office shows runs and breaks with their evidence; who may takes, notes and resolves, and nobody else does."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import Settings

from config import settings as project
from ledger.models import TransactionKind
from reconciliation.models import Break, BreakEvent, ReconciliationRun
from tests.reconciliation.closing import account, clearing, post
from tests.reconciliation.conftest import Desk
from tests.reconciliation.test_matching import sold
from tests.reconciliation.test_night import balanced, reconcile


@pytest.fixture(autouse=True)
def office(settings: Settings) -> None:
    """Serve what the office process serves."""
    settings.ROOT_URLCONF = "config.urls_office"
    settings.MIDDLEWARE = project.OFFICE_MIDDLEWARE
    settings.WHITENOISE_USE_FINDERS = False
    settings.STATIC_ROOT = str(project.BASE_DIR / "config" / "static")


def signed_in(role: str) -> Client:
    """Sign somebody in."""
    user = User.objects.create(username=f"a-{role}", is_staff=True)
    if role != "nobody":
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def run(desk: Desk) -> ReconciliationRun:
    """Give a run with a match, something pending, and a break."""
    sold(desk, 1000)
    balanced(desk)
    desk.line(flow="other", gross_minor=500, reference="<b>x</b>", text="<script>alert(1)</script>")
    sold(desk, 700)
    return reconcile(desk)


def shown(client: Client, address: str, status: int = 200) -> str:
    """Open a page."""
    response = client.get(f"/admin/{address}")
    assert response.status_code == status, response.content[:300]
    return b"".join(response).decode() if response.streaming else response.content.decode()


def test_a_run_shows_what_proves_it(run: ReconciliationRun) -> None:
    client = signed_in("viewer")
    assert run.verdict in shown(client, "reconciliation/reconciliationrun/")
    page = shown(client, f"reconciliation/reconciliationrun/{run.pk}/change/")
    assert "Bridge, EUR" in page
    assert "items not due yet" in page
    assert "Becomes a break on" in page
    assert "A19" in page
    assert "<b>x</b>" not in page


def test_the_report_is_handed_out(run: ReconciliationRun) -> None:
    client = signed_in("viewer")
    address = f"reconciliation/reconciliationrun/{run.pk}/report"
    assert "Reconciliation of psp" in shown(client, f"{address}.html")
    assert shown(client, f"{address}.csv").startswith("section,")
    shown(signed_in("nobody"), f"{address}.csv", 403)


def test_a_break_shows_its_evidence(run: ReconciliationRun) -> None:
    client, row = signed_in("viewer"), Break.objects.get(code="A19")
    assert "A19" in shown(client, "reconciliation/break/?code=A19&priority__exact=4&owner=nobody")
    assert "A19</" not in shown(client, "reconciliation/break/?status=resolved")
    page = shown(client, f"reconciliation/break/{row.pk}/change/")
    assert "Lines of statements" in page
    assert "opened" in page
    assert "<script>alert" not in page
    assert "/resolve/" not in page
    assert run.pk


def test_somebody_takes_it_notes_and_resolves(run: ReconciliationRun) -> None:
    client, row = signed_in("operator"), Break.objects.get(code="A19")
    address = f"/admin/reconciliation/break/{row.pk}"
    assert "/take/" in client.get(f"{address}/change/").content.decode()
    client.post(f"{address}/take/")
    client.post(f"{address}/note/", {"words": "asked the PSP"})
    client.post(f"{address}/resolve/", {"words": ""})
    row.refresh_from_db()
    assert (row.owner, row.state) == ("user:a-operator", "open"), "no reason, no end"
    client.post(f"{address}/resolve/", {"words": "a reserve that they confirmed"})
    row.refresh_from_db()
    assert (row.state, row.resolution) == ("resolved", "person")
    told = list(BreakEvent.objects.filter(break_found=row).order_by("pk").values_list("what", "actor", "detail"))
    assert told[1:] == [
        ("taken", "user:a-operator", "user:a-operator"),
        ("noted", "user:a-operator", "asked the PSP"),
        ("resolved", "user:a-operator", "a reserve that they confirmed"),
    ]
    assert LogEntry.objects.count() == 3
    assert run.pk


@pytest.mark.parametrize("step", ["take", "give_back", "note", "resolve"])
def test_a_viewer_takes_no_step(run: ReconciliationRun, step: str) -> None:
    client, row = signed_in("viewer"), Break.objects.get(code="A19")
    answer = client.post(f"/admin/reconciliation/break/{row.pk}/{step}/", {"words": "x"})
    assert answer.status_code == 403
    assert BreakEvent.objects.filter(break_found=row).count() == 1
    assert run.pk


def test_money_in_suspense_is_not_resolved_by_a_word(run: ReconciliationRun, desk: Desk) -> None:
    row = Break.objects.get(code="A19")
    suspense = account(desk, "suspense:credit:EUR")
    row.transaction_id = post(desk, TransactionKind.SUSPEND, "brk:1", debit=clearing(desk), credit=suspense, amount=500)
    row.save(update_fields=["transaction"])
    client = signed_in("operator")
    assert "/resolve/" not in client.get(f"/admin/reconciliation/break/{row.pk}/change/").content.decode()
    client.post(f"/admin/reconciliation/break/{row.pk}/resolve/", {"words": "I do not care"})
    row.refresh_from_db()
    assert row.state == "open"
    assert run.pk


def test_the_first_page_and_the_menu_know_of_it(run: ReconciliationRun) -> None:
    page = shown(signed_in("viewer"), "")
    assert "Nights that are incomplete" in page
    assert "/admin/reconciliation/break/" in page
    nobody = shown(signed_in("nobody"), "")
    assert "Nights that are incomplete" not in nobody
    assert run.verdict == "INCOMPLETE"
