"""Stripe's disputes in our words: where they stand, and the money that moved."""

from datetime import UTC, datetime
from typing import Any

import pytest
from stripe.params import DisputeUpdateParamsEvidence

from payments import evidence
from payments.psp.base import (
    DisputeStage,
    EvidenceDocument,
    EvidenceRequest,
    ObjectKind,
    ObjectStatus,
    Outcome,
)
from payments.psp.stripe.disputes import dispute_snapshot
from payments.psp.stripe.fields import UnexpectedFormError
from tests.payments.psp.operations import EVIDENCE, Bench, context, disputed, paid
from tests.sandbox_process import SandboxPsp

DISPUTE: dict[str, Any] = {
    "object": "dispute",
    "id": "du_1",
    "status": "needs_response",
    "currency": "eur",
    "amount": 500,
    "created": 1,
    "payment_intent": "pi_1",
    "reason": "fraudulent",
    "balance_transactions": [{"amount": -500, "fee": 2000, "currency": "eur"}],
    "evidence_details": {"due_by": 86400, "submission_count": 2},
    "payment_method_details": {"card": {"network_reason_code": "10.4"}},
}
TAKEN, BACK = {"amount": -500, "fee": 2000, "currency": "eur"}, {"amount": 300, "fee": -1500, "currency": "eur"}


@pytest.mark.parametrize(
    ("status", "stage", "expected"),
    [
        ("warning_needs_response", DisputeStage.INQUIRY_OPEN, ObjectStatus.OPEN),
        ("warning_under_review", DisputeStage.INQUIRY_REVIEW, ObjectStatus.PROCESSING),
        ("warning_closed", DisputeStage.INQUIRY_CLOSED, ObjectStatus.CANCELLED),
        ("needs_response", DisputeStage.NEEDS_RESPONSE, ObjectStatus.OPEN),
        ("under_review", DisputeStage.UNDER_REVIEW, ObjectStatus.PROCESSING),
        ("won", DisputeStage.WON, ObjectStatus.SUCCEEDED),
        ("lost", DisputeStage.LOST, ObjectStatus.FAILED),
        ("appeal_needs_response", DisputeStage.LOST, ObjectStatus.FAILED),
        ("appeal_under_review", DisputeStage.LOST, ObjectStatus.FAILED),
    ],
)
def test_every_status(status: str, stage: DisputeStage, expected: ObjectStatus) -> None:
    snapshot = dispute_snapshot({**DISPUTE, "status": status})
    assert snapshot.dispute is not None
    assert (snapshot.dispute.stage, snapshot.status, snapshot.charge_psp_id) == (stage, expected, "pi_1")


@pytest.mark.parametrize(
    ("transactions", "stage"),
    [([], DisputeStage.INQUIRY_CLOSED), ([TAKEN], DisputeStage.LOST)],
)
def test_a_prevented_dispute_is_over_and_what_it_took_is_gone(
    transactions: list[dict[str, Any]], stage: DisputeStage
) -> None:
    snapshot = dispute_snapshot({**DISPUTE, "status": "prevented", "balance_transactions": transactions})
    assert snapshot.dispute is not None
    assert snapshot.dispute.stage is stage


def test_the_money_is_that_of_the_balance_transactions() -> None:
    facts = dispute_snapshot({**DISPUTE, "balance_transactions": [TAKEN, BACK]}).dispute
    assert facts is not None
    assert (facts.taken_minor, facts.returned_minor) == (500, 300)
    assert (facts.cost_minor, facts.cost_returned_minor) == (2000, 1500)
    assert facts.money_currency == "EUR"
    assert (facts.reason, facts.network_reason, facts.evidence_count) == ("fraudulent", "10.4", 2)
    assert facts.evidence_due_at == datetime.fromtimestamp(86400, UTC)


def test_money_in_two_currencies_is_told_and_not_added_up_in_secret() -> None:
    facts = dispute_snapshot({**DISPUTE, "balance_transactions": [TAKEN, {**BACK, "currency": "usd"}]}).dispute
    assert facts is not None
    assert facts.money_currency == "EUR+USD"


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": None},
        {"amount": 5.5},
        {"currency": "xxx"},
        {"balance_transactions": {}},
        {"balance_transactions": ["txn_1"]},
        {"balance_transactions": [{"amount": "5", "fee": 0, "currency": "eur"}]},
        {"balance_transactions": [{"amount": -5, "currency": "eur"}]},
        {"balance_transactions": [{"amount": -5, "fee": 0}]},
        {"evidence_details": {"due_by": "tomorrow"}},
    ],
)
def test_another_form_is_not_guessed_at(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedFormError):
        dispute_snapshot({**DISPUTE, **wrong})


def test_a_dispute_is_fetched_from_opening_to_end(bench: Bench, sandbox_psp: SandboxPsp) -> None:
    charge = paid(bench)
    opened = sandbox_psp.control("disputes", payment_intent=charge, reason="product_not_received")
    fetched = bench.adapter.fetch(ObjectKind.DISPUTE, opened["id"])
    assert fetched.outcome is Outcome.SUCCEEDED
    assert fetched.snapshot is not None
    facts = fetched.snapshot.dispute
    assert facts is not None
    assert (fetched.snapshot.charge_psp_id, fetched.snapshot.amount_minor) == (charge, 1999)
    assert (facts.stage, facts.taken_minor, facts.cost_minor) == (DisputeStage.NEEDS_RESPONSE, 1999, 2000)
    assert (facts.reason, facts.network_reason) == ("product_not_received", "13.1")
    sandbox_psp.control(f"disputes/{opened['id']}/close", status="won", fee_returned=True)
    ended = bench.adapter.fetch(ObjectKind.DISPUTE, opened["id"]).snapshot
    assert ended is not None
    assert ended.dispute is not None
    assert (ended.status, ended.dispute.returned_minor, ended.dispute.cost_returned_minor) == (
        ObjectStatus.SUCCEEDED,
        1999,
        2000,
    )


def test_the_names_of_evidence_are_those_that_the_sdk_knows() -> None:
    assert set(DisputeUpdateParamsEvidence.__annotations__) >= {*evidence.TEXTS, *evidence.DOCUMENTS}


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "500_after", "429"])
def test_an_answer_whose_upload_failed_goes_on_where_it_broke_off(
    bench: Bench, sandbox_psp: SandboxPsp, key: str, kind: str
) -> None:
    ctx, it = context(), disputed(bench)
    sandbox_psp.faults({"operation": "files.create", "kind": kind}, key=key)
    first = bench.adapter.submit_evidence(ctx, it.dispute, EVIDENCE)
    assert first.outcome is (Outcome.NOT_EXECUTED if kind == "429" else Outcome.UNKNOWN)
    assert bench.truth.disputes.retrieve(it.dispute).evidence_details.submission_count == 0
    again = context() if kind == "500_after" else ctx
    second = bench.adapter.submit_evidence(again, it.dispute, EVIDENCE)
    assert second.outcome is Outcome.SUCCEEDED
    file = bench.truth.files.retrieve(bench.truth.disputes.retrieve(it.dispute).evidence.receipt)
    assert (file.filename, file.type, file.purpose) == ("receipt.pdf", "pdf", "dispute_evidence")


def test_a_file_of_another_kind_is_refused_and_nothing_is_handed_in(bench: Bench) -> None:
    it = disputed(bench)
    request = EvidenceRequest({}, (EvidenceDocument("receipt", "receipt.exe", b"MZ"),))
    result = bench.adapter.submit_evidence(context(), it.dispute, request)
    assert result.outcome is Outcome.DECLINED
    assert bench.truth.disputes.retrieve(it.dispute).evidence_details.submission_count == 0
