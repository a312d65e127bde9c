"""What a run found is read over the API, printed as a report, and asked for by command."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from config import seam
from ledger.ids import public_id
from payments.models import ApiKey
from reconciliation import breaks, reports
from reconciliation.api import answers
from reconciliation.models import Break, ReconciliationRun
from tests.factories import tenant
from tests.reconciliation.conftest import Desk
from tests.reconciliation.test_matching import sold
from tests.reconciliation.test_night import balanced, reconcile


@pytest.fixture
def found(desk: Desk) -> ReconciliationRun:
    """Give a run with something matched, something pending, and a break whose text is made for a spreadsheet."""
    sold(desk, 1000)
    balanced(desk)
    desk.line(flow="other", gross_minor=500, reference="=HYPERLINK(1)", category="<script>")
    sold(desk, 700)
    return reconcile(desk)


def get(desk: Desk, address: str, *, status: int = 200, key: str = "", scopes: str = "reconciliation:read") -> Any:
    """Read an address of the API."""
    ApiKey.objects.update(scopes=[scopes])
    headers = {"Authorization": f"Bearer {key or desk.shop.tenant.key}"}
    answer = Client().get(f"/api/v1/reconciliation/{address}", headers=headers)
    assert answer.status_code == status, answer.content
    return json.loads(answer.content)


def test_a_run_is_read_with_its_identities_and_counts(desk: Desk, found: ReconciliationRun) -> None:
    (listed,) = get(desk, "runs")["data"]
    name = public_id("rec", found.public_id)
    shown = get(desk, f"runs/{name}")
    assert listed == shown
    run = answers.Run.model_validate(shown)
    assert list(shown) == list(answers.Run.model_fields)
    assert (run.id, run.verdict, run.source) == (name, found.verdict, "psp")
    assert {one.name for one in run.identities} >= {"bridge", "open_items", "balance"}
    assert [(one.flow, one.amount, one.count) for one in run.counts.pending] == [("charge", "7.00", 1)]
    assert run.counts.breaks["A19"] == 1


def test_breaks_are_listed_by_status_code_and_source(desk: Desk, found: ReconciliationRun) -> None:
    desk.line(flow="charge", gross_minor=900, reference="pi_nobody")
    reconcile(desk)
    everything = answers.Breaks.model_validate(get(desk, "breaks"))
    assert {one.code for one in everything.data} >= {"A19", "A02"}
    (one,) = get(desk, "breaks?code=A19&status=unresolved&source=psp")["data"]
    assert (one["amount"], one["currency"], one["status"], one["events"]) == ("5.00", "EUR", "open", [])
    assert get(desk, "breaks?code=A19&status=resolved")["data"] == []
    single = get(desk, f"breaks/{one['id']}")
    assert next(event["what"] for event in single["events"]) == "opened"
    page = get(desk, "breaks?limit=1")
    assert len(page["data"]) == 1
    assert get(desk, f"breaks?limit=1&cursor={page['next_cursor']}")["data"][0]["id"] != page["data"][0]["id"]
    assert found.pk


@pytest.mark.parametrize("address", ["runs?verdict=GREEN", "breaks?code=Z99", "breaks?state=open", "runs?limit=0"])
def test_a_wrong_question_is_refused(desk: Desk, address: str) -> None:
    assert get(desk, address, status=400)["errors"]


def test_what_is_anothers_is_not_there(desk: Desk, found: ReconciliationRun) -> None:
    other = tenant()
    name = public_id("rec", found.public_id)
    assert get(desk, "runs", key=other.key)["data"] == []
    assert get(desk, "breaks", key=other.key)["data"] == []
    assert get(desk, f"runs/{name}", key=other.key, status=404)["code"] == "not_found"
    row = public_id("brk", Break.objects.all()[0].public_id)
    assert get(desk, f"breaks/{row}", key=other.key, status=404)["code"] == "not_found"
    assert get(desk, "runs", status=403, scopes="payments:read")["code"] == "scope_missing"


def test_a_report_counts_breaks_by_class_and_age(desk: Desk, found: ReconciliationRun) -> None:
    Break.objects.update(break_on=desk.today - timedelta(days=9))
    shown = reports.report(found, today=desk.today)
    assert {"code": "A19", "name": "other movement", "priority": 4}.items() <= shown["breaks_by_age"][-1].items()
    assert shown["breaks_by_age"][-1]["ages"] == {"0-1 days": 0, "2-7 days": 0, "8-30 days": 1, "over 30 days": 0}
    assert shown["counts"]["pending"][0]["break_on"] > desk.today.isoformat()


def test_the_page_escapes_and_the_spreadsheet_runs_no_formula(desk: Desk, found: ReconciliationRun) -> None:
    page = reports.page(found, today=desk.today)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert found.verdict in page
    rows = list(csv.DictReader(io.StringIO("".join(reports.spreadsheet(found)))))
    (row,) = [row for row in rows if row["code"] == "A19"]
    assert row["reference"] == "'=HYPERLINK(1)"
    assert {row["code"] for row in rows if row["section"] == "identity"} >= {"bridge", "balance"}


def run_command(*words: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    out = io.StringIO()
    try:
        call_command("reconcile", *words, stdout=out, stderr=io.StringIO())
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_runs_a_day_and_says_how_it_ended(desk: Desk) -> None:
    sold(desk, 1000)
    balanced(desk)
    day = desk.today.isoformat()
    code, printed = run_command("run", "--date", day, "--json")
    told = json.loads(printed)
    assert (code, told["date"]) == (0, day)
    assert {one["source"]: one["verdict"] for one in told["runs"]} == {"psp": "RECONCILED", None: "RECONCILED"}
    desk.line(flow="charge", gross_minor=900, reference="pi_nobody")
    code, printed = run_command("run", "--date", day, "--source", "psp")
    assert code == 2, "the declared balance has not got it"
    assert "INCOMPLETE" in printed
    assert "1 x A02" in printed


def test_the_command_writes_reports(desk: Desk, found: ReconciliationRun, tmp_path: Path) -> None:
    day = desk.today.isoformat()
    target = tmp_path / "report.html"
    run_command("report", "--date", day, "--format", "html", "--out", str(target))
    assert "Reconciliation of psp" in target.read_text()
    assert json.loads(run_command("report", "--date", day)[1])["runs"][0]["verdict"] == found.verdict
    assert run_command("report", "--date", day, "--format", "csv")[1].startswith("section,code,status")


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--date", "2020-01-01"),
        ("run", "--book", "nobody"),
        ("run", "--source", "bank:nobody"),
        ("run", "--file", "missing.csv", "--source", "psp", "--format", "stripe_payout_itemized"),
        ("run", "--file", "missing.csv"),
    ],
)
def test_the_command_refuses_and_leaves_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run_command(*words)
    assert not ReconciliationRun.objects.exists()


def test_a_refused_file_is_told_line_by_line(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_text("nothing that Stripe writes\n1\n")
    with pytest.raises(CommandError, match="was refused, nothing of it was taken"):
        run_command("run", "--file", str(file), "--source", "psp", "--format", "stripe_payout_itemized")


def test_a_note_and_an_owner_are_seen(desk: Desk, found: ReconciliationRun) -> None:
    row = Break.objects.get(code="A19")
    breaks.take(row.pk, actor="user:ann", owner="user:ann", now=seam.now())
    breaks.note(row.pk, actor="user:ann", text="asked the PSP", now=seam.now())
    shown = get(desk, f"breaks/{public_id('brk', row.public_id)}")
    assert (shown["owner"], [event["what"] for event in shown["events"]][-2:]) == ("user:ann", ["taken", "noted"])
    assert found.pk
