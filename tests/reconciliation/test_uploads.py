"""A merchant hands a statement in over the API."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from config import seam
from payments.api import signatures
from payments.models import ApiKey
from reconciliation.api import upload
from reconciliation.models import ReconciliationRun, SettlementFile, Source, StatementLine
from tests.factories import SIGNING_SECRET, Tenant, tenant
from tests.reconciliation.papers import CHARGE, REFUND, report

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/reconciliation/files"


@pytest.fixture
def merchant() -> Tenant:
    """Give a merchant whose key may hand files in."""
    made = tenant()
    ApiKey.objects.filter(pk=made.api_key.pk).update(scopes=["reconciliation:write"])
    return made


def parts(merchant: Tenant, content: bytes, **changes: Any) -> dict[str, Any]:
    """Return the parts of a good request, with changes; `None` leaves one out."""
    given = {
        "file": SimpleUploadedFile("report.csv", content),
        "format": "stripe_payout_itemized",
        "source": merchant.psp_account.code,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def post(merchant: Tenant, content: bytes, headers: dict[str, str] | None = None, **changes: Any) -> HttpResponse:
    """Hand a file in."""
    body = encode_multipart(BOUNDARY, parts(merchant, content, **changes))
    sent = {"Authorization": f"Bearer {merchant.key}", **(headers or {})}
    answer: HttpResponse = Client(raise_request_exception=False).generic(
        "POST", ADDRESS, body, content_type=MULTIPART_CONTENT, headers=sent
    )
    return answer


def test_a_file_is_answered_with_the_run_that_will_look_at_it(merchant: Tenant) -> None:
    """202, then 200 for the same bytes under another name."""
    first = post(merchant, report(CHARGE, REFUND))
    assert first.status_code == 202, first.content
    told = first.json()
    assert (told["object"], told["status"], told["verdict"]) == ("reconciliation_run", "queued", None)
    assert told["day"] == "2026-11-20"
    assert (told["file"]["lines"], told["file"]["new"], told["file"]["status"]) == (2, 2, "ingested")
    assert told["file"]["sha256"] == hashlib.sha256(report(CHARGE, REFUND)).hexdigest()
    again = post(merchant, report(CHARGE, REFUND), file=SimpleUploadedFile("other.csv", report(CHARGE, REFUND)))
    assert again.status_code == 200
    assert again.json() == told
    assert StatementLine.objects.count() == 2


def test_a_bad_file_is_refused_with_every_error_and_kept_aside(merchant: Tenant) -> None:
    """422; quarantined; no line, no run."""
    answer = post(merchant, report(CHARGE.replace("100.00", "=1"), REFUND.replace("eur", "xxx")))
    assert answer.status_code == 422
    told = answer.json()
    assert (told["code"], told["outcome"]) == ("settlement_file_refused", "none")
    assert [(one["field"], one["code"]) for one in told["errors"]] == [
        ("file.rows[2].gross", "invalid_amount"),
        ("file.rows[3].currency", "invalid_currency"),
    ]
    assert SettlementFile.objects.get().state == "quarantined"
    assert not StatementLine.objects.exists()
    assert not ReconciliationRun.objects.exists()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"file": None}, 400, "invalid_request"),
        ({"format": None}, 400, "invalid_request"),
        ({"more": "x"}, 400, "invalid_request"),
        ({"format": "excel"}, 400, "invalid_request"),
        ({"source": "nobody"}, 404, "not_found"),
        ({"source": "x" * 65}, 400, "invalid_request"),
    ],
)
def test_a_wrong_request_leaves_nothing(merchant: Tenant, changes: dict[str, Any], status: int, code: str) -> None:
    """Missing, unknown and wrong parts."""
    answer = post(merchant, report(CHARGE), **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not SettlementFile.objects.exists()


def test_another_merchants_source_does_not_exist(merchant: Tenant) -> None:
    """It is not even said that there is one."""
    other = tenant()
    assert post(merchant, report(CHARGE), source=other.psp_account.code).status_code == 404
    assert not Source.objects.exists()


def test_the_key_needs_the_scope_and_the_body_its_signature(merchant: Tenant) -> None:
    """The signature covers the bytes that went to the temporary file."""
    body = encode_multipart(BOUNDARY, parts(merchant, report(CHARGE)))
    at, address = f"{seam.now():%Y-%m-%dT%H:%M:%SZ}", ADDRESS
    signed = signatures.sign(
        SIGNING_SECRET, method="POST", address=address, at=at, nonce="n-1", idempotency_key="", body=body
    )
    headers = {
        "Authorization": f"Bearer {merchant.key}",
        "X-Request-Timestamp": at,
        "X-Request-Nonce": "n-1",
        "X-Signature": f"sha256={signed}",
    }
    ApiKey.objects.filter(pk=merchant.api_key.pk).update(requires_signature=True)
    client = Client(raise_request_exception=False)

    def send(content: bytes) -> HttpResponse:
        answer: HttpResponse = client.generic("POST", ADDRESS, content, content_type=MULTIPART_CONTENT, headers=headers)
        return answer

    assert post(merchant, report(CHARGE)).json()["code"] == "signature_required"
    assert send(body.replace(b"100.00", b"900.00")).json()["code"] == "signature_invalid"
    assert send(body).status_code == 202
    ApiKey.objects.filter(pk=merchant.api_key.pk).update(scopes=["reconciliation:read"], requires_signature=False)
    assert post(merchant, report(CHARGE)).json()["code"] == "scope_missing"


def test_a_body_over_the_limit_is_not_read(merchant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its declared length is enough."""
    monkeypatch.setattr(upload, "LIMIT_BYTES", 100)
    monkeypatch.setattr(upload, "ROOM_BYTES", 0)
    answer = post(merchant, report(CHARGE))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_body_that_is_no_form_is_refused(merchant: Tenant) -> None:
    """JSON has no file."""
    answer = Client(raise_request_exception=False).generic(
        "POST", ADDRESS, b"{}", content_type="application/json", headers={"Authorization": f"Bearer {merchant.key}"}
    )
    assert answer.status_code == 415
