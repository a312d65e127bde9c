"""Disputes over the API: read by their merchant alone, and answered with what can be an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse

from config import seam
from ledger.ids import public_id
from payments.evidence import MAX_DOCUMENT_BYTES
from payments.models import ApiKey, Dispute, DisputeEvidence, EvidenceFile, PaymentOrder, PspOperation
from tests.factories import ChargeFactory, DisputeFactory, PaymentEventFactory, PaymentOrderFactory, Tenant
from tests.payments.api.conftest import Api, fields, problem

PDF, PNG, JPEG = b"%PDF-1.7 x", b"\x89PNG\r\n\x1a\n x", b"\xff\xd8\xff\xe0 x"
BOUNDARY = "an-edge"


def made(shop: Tenant, **changes: Any) -> Dispute:
    """Make a dispute of a paid order."""
    charge = ChargeFactory.create(event=PaymentEventFactory.create(book=shop.book), psp_account=shop.psp_account)
    order: PaymentOrder = PaymentOrderFactory.create(charge=charge, seller=shop.house_seller)
    row: Dispute = DisputeFactory.create(
        charge=charge, **{"evidence_due_at": seam.now() + timedelta(days=5), "taken_minor": 2000, **changes}
    )
    row.parts.create(order=order, position=1, amount_minor=2000, excess_minor=0, fee_minor=200, pending_minor=1800)
    return row


def name_of(row: Dispute) -> str:
    """Return the public id."""
    return public_id("dsp", row.public_id)


def multipart(*parts: tuple[str, str, bytes]) -> bytes:
    """Write a body of (field, file name or empty, content)."""
    body = b""
    for field, name, content in parts:
        file = f'; filename="{name}"' if name else ""
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{file}\r\n\r\n'.encode() + content
        body += b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def send(api: Api, row: Dispute, *parts: tuple[str, str, bytes], **more: Any) -> HttpResponse:
    """Answer a dispute with a multipart body."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **more.pop("headers", {})}
    return api.post(f"disputes/{name_of(row)}/evidence", multipart(*parts), **more, **headers)


def test_a_dispute_is_shown_with_what_falls_on_whom(api: Api, shop: Tenant) -> None:
    row = made(shop)
    answer = api.get(f"disputes/{name_of(row)}")
    assert answer.status_code == 200
    shown = json.loads(answer.content)
    assert (shown["id"], shown["object"], shown["status"]) == (name_of(row), "dispute", "needs_response")
    assert (shown["amount"], shown["amount_taken"], shown["fee"], shown["currency"]) == (
        "20.00",
        "20.00",
        "0.00",
        "EUR",
    )
    (part,) = shown["payment_orders"]
    assert (part["amount"], part["seller_share"], part["platform_share"]) == ("20.00", "18.00", "2.00")
    assert shown["evidence"] == {"status": "none", "submitted_at": None, "message": None}
    assert shown["evidence_due_by"].endswith("Z")


def test_disputes_are_listed_newest_first_and_found_by_status_order_and_payment(api: Api, shop: Tenant) -> None:
    rows = [made(shop), made(shop, status="lost"), made(shop)]

    def listed(query: str = "") -> list[str]:
        return [item["id"] for item in json.loads(api.get(f"disputes?{query}").content)["data"]]

    assert listed() == [name_of(row) for row in reversed(rows)]
    assert listed("status=lost") == [name_of(rows[1])]
    order = PaymentOrder.objects.get(charge=rows[0].charge)
    assert listed(f"payment_order={public_id('ord', order.public_id)}") == [name_of(rows[0])]
    assert listed(f"payment={public_id('pay', rows[2].charge.event.public_id)}") == [name_of(rows[2])]
    first = json.loads(api.get("disputes?limit=2").content)
    assert [item["id"] for item in first["data"]] == [name_of(rows[2]), name_of(rows[1])]
    assert listed(f"limit=2&cursor={first['next_cursor']}") == [name_of(rows[0])]
    problem(api.get("disputes?status=open"), 400, "invalid_request")
    problem(api.get("disputes?payment_order=ord_x"), 404, "not_found")


def test_another_merchants_dispute_does_not_exist(api: Api, other: Tenant) -> None:
    row = made(other)
    problem(api.get(f"disputes/{name_of(row)}"), 404, "not_found")
    problem(send(api, row, ("receipt", "a.pdf", PDF)), 404, "not_found")
    assert json.loads(api.get("disputes").content)["data"] == []
    assert DisputeEvidence.objects.count() == 0
    problem(api.get("disputes/dsp_x"), 404, "not_found")


def test_texts_and_documents_are_stored_and_a_call_is_due(api: Api, shop: Tenant) -> None:
    row = made(shop)
    answer = send(
        api, row,
        ("product_description", "", "A teapot, größer".encode()), ("receipt", "../../etc/passwd", PDF),
        ("customer_signature", "x.exe", PNG), ("refund_policy", "p", JPEG),
    )  # fmt: skip
    assert answer.status_code == 202, answer.content
    assert json.loads(answer.content)["evidence"]["status"] == "pending"
    evidence = DisputeEvidence.objects.get()
    assert evidence.texts == {"product_description": "A teapot, größer"}
    assert {file.kind: (file.media_type, file.file_name) for file in evidence.files.all()} == {
        "receipt": ("application/pdf", "receipt.pdf"),
        "customer_signature": ("image/png", "customer_signature.png"),
        "refund_policy": ("image/jpeg", "refund_policy.jpg"),
    }
    operation = PspOperation.objects.get(kind="submit_evidence")
    assert (operation.dispute_id, operation.due_at is not None) == (row.pk, True)


def test_texts_alone_may_be_sent_as_json(api: Api, shop: Tenant) -> None:
    row = made(shop)
    answer = api.post(f"disputes/{name_of(row)}/evidence", {"uncategorized_text": "It was delivered."})
    assert answer.status_code == 202, answer.content
    assert EvidenceFile.objects.count() == 0


def test_the_same_key_answers_once_whatever_the_boundary(api: Api, shop: Tenant) -> None:
    row = made(shop)
    address, part = f"disputes/{name_of(row)}/evidence", ("receipt", "a.pdf", PDF)
    first = send(api, row, part, idempotency_key="once")
    other_edge = multipart(part).replace(BOUNDARY.encode(), b"another-edge")
    again = api.post(
        address, other_edge, idempotency_key="once", **{"Content-Type": "multipart/form-data; boundary=another-edge"}
    )
    assert (again.status_code, again["Idempotency-Replayed"]) == (202, "true")
    assert again.content == first.content
    problem(send(api, row, ("receipt", "a.pdf", PDF + b"y"), idempotency_key="once"), 422, "idempotency_key_reused")
    problem(send(api, row, part), 409, "dispute_not_answerable")
    problem(send(api, row, part, idempotency_key=None), 400, "idempotency_key_missing")
    assert DisputeEvidence.objects.count() == 1


WRONG: dict[str, tuple[list[tuple[str, str, bytes]], dict[str, str]]] = {
    "nothing": ([], {"uncategorized_text": "required"}),
    "an unknown text": ([("customer", "", b"x")], {"customer": "unknown_field"}),
    "an unknown document": ([("passport", "a.pdf", PDF)], {"passport": "unknown_field"}),
    "a document as text": ([("receipt", "", b"x")], {"receipt": "unknown_field"}),
    "a text as document": ([("customer_name", "a.pdf", PDF)], {"customer_name": "unknown_field"}),
    "another type": ([("receipt", "a.pdf", b"MZ\x90")], {"receipt": "invalid_file"}),
    "an empty file": ([("receipt", "a.pdf", b"")], {"receipt": "invalid_file"}),
    "a script that says it is a picture": ([("receipt", "a.png", b"<svg>")], {"receipt": "invalid_file"}),
    "a large file": ([("receipt", "a.pdf", PDF + bytes(MAX_DOCUMENT_BYTES))], {"receipt": "too_large"}),
    "large files": (
        [("receipt", "a", PDF + bytes(2_300_000)), ("refund_policy", "b", PDF + bytes(2_300_000))],
        {"receipt": "too_large"},
    ),
    "too many files": (
        [
            (kind, "a.pdf", PDF)
            for kind in (
                "cancellation_policy", "customer_communication", "customer_signature", "receipt", "refund_policy",
                "service_documentation",
            )
        ],
        {"service_documentation": "too_long"},
    ),
    "an empty text": ([("customer_name", "", b"  ")], {"customer_name": "too_short"}),
    "a long text": ([("uncategorized_text", "", b"x" * 20_001)], {"uncategorized_text": "too_long"}),
    "the same twice": ([("receipt", "a", PDF), ("receipt", "b", PNG)], {"receipt": "duplicate"}),
    "a text twice": ([("customer_name", "", b"a"), ("customer_name", "", b"b")], {"customer_name": "duplicate"}),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_can_be_no_answer_is_refused_and_leaves_nothing(
    api: Api, shop: Tenant, nothing_stored: Callable[[], AbstractContextManager[None]], case: str
) -> None:
    row, (parts, expected) = made(shop), WRONG[case]
    with nothing_stored():
        refusal = problem(send(api, row, *parts), 400, "invalid_request")
    assert fields(refusal) == expected
    assert (DisputeEvidence.objects.count(), EvidenceFile.objects.count()) == (0, 0)
    row.refresh_from_db()
    assert row.evidence_status == "none"


def test_a_card_number_in_a_text_is_refused(api: Api, shop: Tenant) -> None:
    row = made(shop)
    problem(send(api, row, ("uncategorized_text", "", b"card 4242 4242 4242 4242")), 400, "card_number_not_accepted")
    body = {"uncategorized_text": "card 4242424242424242"}
    problem(api.post(f"disputes/{name_of(row)}/evidence", body), 400, "card_number_not_accepted")
    assert DisputeEvidence.objects.count() == 0


@pytest.mark.parametrize("text", [b"a\x00b", b"\xff\xfe"])
def test_bytes_that_are_no_text_are_refused(api: Api, shop: Tenant, text: bytes) -> None:
    answer = send(api, made(shop), ("customer_name", "", text))
    assert answer.status_code == 400
    assert DisputeEvidence.objects.count() == 0


@pytest.mark.parametrize("body", [b"", b"--an-edge", b"no parts at all"])
def test_a_body_that_is_no_multipart_is_refused(api: Api, shop: Tenant, body: bytes) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = api.post(f"disputes/{name_of(made(shop))}/evidence", body, **headers)
    # A test client sends no Content-Type with an empty body.
    assert answer.status_code == (400 if body else 415)
    without = api.post(f"disputes/{name_of(made(shop))}/evidence", PDF, **{"Content-Type": "multipart/form-data"})
    assert without.status_code == 400
    assert DisputeEvidence.objects.count() == 0


def test_a_body_over_the_limit_is_not_read(api: Api, shop: Tenant) -> None:
    row = made(shop)
    problem(send(api, row, ("receipt", "a.pdf", PDF + bytes(5 * 1024 * 1024))), 413, "body_too_large")
    # Every other address keeps its own limit.
    problem(api.post("payments/bulk", b"x" * (3 * 1024 * 1024)), 413, "body_too_large")
    problem(api.post("payments", b"x" * (300 * 1024)), 413, "body_too_large")


def test_a_key_without_the_scope_may_not_answer(api: Api, shop: Tenant) -> None:
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["payments:read", "payments:write"])
    row = made(shop)
    problem(send(api, row, ("receipt", "a.pdf", PDF)), 403, "scope_missing")
    assert api.get(f"disputes/{name_of(row)}").status_code == 200


@pytest.mark.parametrize("status", ["under_review", "won", "lost", "inquiry_closed", "inquiry_review"])
def test_a_dispute_that_waits_for_no_answer_takes_none(api: Api, shop: Tenant, status: str) -> None:
    row = made(shop, status=status)
    problem(send(api, row, ("receipt", "a.pdf", PDF)), 409, "dispute_not_answerable")
    assert DisputeEvidence.objects.count() == 0


def test_a_dispute_is_given_up_once_and_the_same_key_gets_the_first_answer(api: Api, shop: Tenant) -> None:
    row = made(shop)
    answer = api.post(f"disputes/{name_of(row)}/accept", {}, idempotency_key="up")
    assert answer.status_code == 202, answer.content
    assert json.loads(answer.content)["status"] == "needs_response"
    operation = PspOperation.objects.get(dispute=row)
    assert (operation.kind, operation.state) == ("accept_dispute", "PREPARED")
    again = api.post(f"disputes/{name_of(row)}/accept", {}, idempotency_key="up")
    assert (again.content, again["Idempotency-Replayed"]) == (answer.content, "true")
    problem(api.post(f"disputes/{name_of(row)}/accept", {}), 409, "dispute_not_answerable")
    problem(api.post(f"disputes/{name_of(row)}/evidence", {"product_description": "x"}), 409, "dispute_not_answerable")
    assert PspOperation.objects.filter(dispute=row).count() == 1


def test_who_may_not_answer_does_not_give_up(api: Api, shop: Tenant, other: Tenant) -> None:
    row = made(shop)
    problem(Api(other.key).post(f"disputes/{name_of(row)}/accept", {}), 404, "not_found")
    problem(api.post(f"disputes/{name_of(row)}/accept", {"amount": "1.00"}), 400, "invalid_request")
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["payments:read"])
    problem(api.post(f"disputes/{name_of(row)}/accept", {}), 403, "scope_missing")
    assert not PspOperation.objects.filter(dispute=row).exists()
