"""Each operation of the contract in each situation, against the sandbox."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payments.psp.base import (
    Adapter,
    CallContext,
    ConfirmRequest,
    ErrorCode,
    EvidenceRequest,
    ObjectKind,
    ObjectStatus,
    Outcome,
    RegisterRequest,
    Result,
)
from payments.psp.stripe import StripeAdapter
from tests.payments.psp.capabilities import ANSWERS, DOCUMENT, FAULTS, READ_FAULTS, cell, render
from tests.payments.psp.operations import (
    ACCEPT_DISPUTE,
    CANCEL,
    CANCEL_PAYOUT,
    CAPTURE,
    CONFIRM,
    EVIDENCE,
    FIND,
    GET_PAYEE,
    MONEY,
    PAYEE,
    PAYOUT,
    READS,
    REFUND,
    REGISTER,
    RETURN_URL,
    REVERSE_TRANSFER,
    SAVE_METHOD,
    SUBMIT_EVIDENCE,
    TRANSFER,
    Bench,
    Operation,
    Situation,
    context,
    disputed,
    funded,
    hosted,
    paid,
    paid_out,
    payee,
    registered,
    transferred,
)
from tests.sandbox_process import SandboxPsp, free_port

by_name = {operation.name: operation for operation in (*MONEY, *READS)}
each = pytest.mark.parametrize("operation", MONEY, ids=[operation.name for operation in MONEY])


def expect(situation: str, operation: Operation, result: Result) -> None:
    """Compare a result with the matrix, and see that it keeps the contract."""
    assert cell(result) == ANSWERS[situation][operation.name]
    assert (result.outcome is Outcome.DECLINED) == (result.failure is not None)
    if result.outcome in (Outcome.NOT_EXECUTED, Outcome.UNKNOWN) and operation is not FIND:
        assert result.error is not None


def test_the_document_says_what_the_suite_asserts() -> None:
    """Prints the matrix too: `pytest -s -k document`."""
    print(render())
    assert DOCUMENT.read_text() == render(), "write it again: python -m tests.payments.psp.capabilities"


@each
def test_done(bench: Bench, operation: Operation) -> None:
    ctx, it = context(), operation.prepare(bench)
    assert operation.happened(bench, ctx, it) == 0
    result = operation.perform(bench.adapter, ctx, it)
    expect("done", operation, result)
    assert result.snapshot is not None
    assert result.request_id.startswith("req_")
    assert operation.happened(bench, ctx, it) == 1


@each
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_classified_by_what_it_proves(
    *,
    bench: Bench,
    impatient: StripeAdapter,
    sandbox_psp: SandboxPsp,
    key: str,
    operation: Operation,
    fault: str,
) -> None:
    kind, says, times, again = FAULTS[fault]
    ctx, it = context(), operation.prepare(bench)
    rules = sandbox_psp.faults({"operation": operation.endpoint, "kind": kind}, key=key)
    result = operation.perform(impatient, ctx, it)
    assert sandbox_psp.fired()[rules[0]["id"]] == 1
    assert result.error is not None
    assert f"{result.outcome}: {result.error.code}" == says
    assert result.failure is None
    assert result.error.stored_by_psp == (kind in ("500_before", "500_after"))
    assert operation.happened(bench, ctx, it) == times

    second = operation.perform(bench.adapter, ctx, it)
    expected = ANSWERS["done"][operation.name] if again == "succeeded" else again
    assert (f"{second.outcome}: {second.error.code}" if second.error else str(second.outcome)) == expected
    assert operation.happened(bench, ctx, it) == (1 if again == "succeeded" else times)


@pytest.mark.parametrize("operation", READS, ids=[operation.name for operation in READS])
@pytest.mark.parametrize("fault", READ_FAULTS)
def test_a_reading_that_fails_proves_nothing(
    *,
    bench: Bench,
    impatient: StripeAdapter,
    sandbox_psp: SandboxPsp,
    key: str,
    operation: Operation,
    fault: str,
) -> None:
    kind, says = READ_FAULTS[fault]
    ctx, it = context(), operation.prepare(bench)
    sandbox_psp.faults({"operation": operation.endpoint, "kind": kind}, key=key)
    result = operation.perform(impatient, ctx, it)
    assert result.error is not None
    assert result.error.code == says.split(": ")[1]
    assert result.outcome == ("unknown" if operation is FIND else says.split(": ")[0])


@pytest.mark.parametrize("endpoint", ["customers.create", "setup_intents.create"])
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "html_502_after"])
def test_saving_a_method_goes_on_where_it_broke_off(
    bench: Bench, sandbox_psp: SandboxPsp, key: str, endpoint: str, kind: str
) -> None:
    ctx, it = context(), SAVE_METHOD.prepare(bench)
    sandbox_psp.faults({"operation": endpoint, "kind": kind}, key=key)
    first = SAVE_METHOD.perform(bench.adapter, ctx, it)
    assert first.outcome is Outcome.UNKNOWN
    second = SAVE_METHOD.perform(bench.adapter, ctx, it)
    assert second.outcome is Outcome.SUCCEEDED
    assert second.snapshot is not None
    assert second.snapshot.customer.startswith("cus_")
    assert second.snapshot.payment_method.startswith("pm_")
    assert SAVE_METHOD.happened(bench, ctx, it) == 1
    assert len(bench.truth.customers.list().data) == 1


def test_an_unknown_confirmation_of_a_saved_method_still_tells_the_id(
    bench: Bench, sandbox_psp: SandboxPsp, key: str
) -> None:
    ctx = context()
    sandbox_psp.faults({"operation": "setup_intents.confirm", "kind": "drop_after"}, key=key)
    result = bench.adapter.save_method(ctx, "pm_card_visa", RETURN_URL)
    assert result.outcome is Outcome.UNKNOWN
    assert result.snapshot is not None
    fetched = bench.adapter.fetch(ObjectKind.SAVED_METHOD, result.snapshot.psp_id)
    assert fetched.snapshot is not None
    assert fetched.snapshot.status is ObjectStatus.SUCCEEDED
    assert fetched.snapshot.metadata["florin_operation"] == ctx.operation_id


@each
def test_the_same_key_with_the_same_request_has_one_effect(bench: Bench, operation: Operation) -> None:
    ctx, it = context(), operation.prepare(bench)
    first, second = (operation.perform(bench.adapter, ctx, it) for _ in range(2))
    expect("same key, same request", operation, second)
    assert second.snapshot == first.snapshot
    assert operation.happened(bench, ctx, it) == 1


@pytest.mark.parametrize(
    "operation", [one for one in MONEY if one.perform_otherwise], ids=lambda operation: operation.name
)
def test_the_same_key_with_another_request_is_doubt(bench: Bench, operation: Operation) -> None:
    assert operation.perform_otherwise is not None
    ctx, it = context(), operation.prepare(bench)
    operation.perform(bench.adapter, ctx, it)
    result = operation.perform_otherwise(bench.adapter, ctx, it)
    assert result.error is not None
    assert f"{result.outcome}: {result.error.code}" == ANSWERS["same key, other request"][operation.name]
    assert operation.happened(bench, ctx, it) == 1


@pytest.mark.parametrize("operation", [*MONEY, *READS], ids=lambda operation: operation.name)
def test_nobody_there(bench: Bench, operation: Operation) -> None:
    it = operation.prepare(bench)
    result = operation.perform(StripeAdapter("sk_test_x", f"http://127.0.0.1:{free_port()}"), context(), it)
    expect("nobody there", operation, result)


@pytest.mark.parametrize("operation", [*MONEY, *READS], ids=lambda operation: operation.name)
def test_bad_key(bench: Bench, sandbox_psp: SandboxPsp, operation: Operation) -> None:
    it = operation.prepare(bench)
    result = operation.perform(StripeAdapter("pk_test_a_wrong_key", sandbox_psp.url), context(), it)
    expect("bad key", operation, result)
    assert result.error is not None
    assert "pk_" not in result.error.message


def test_declined_at_the_confirmation(bench: Bench) -> None:
    ctx, it = context(), replace(CONFIRM.prepare(bench), token="pm_card_chargeDeclined")
    result = CONFIRM.perform(bench.adapter, ctx, it)
    expect("declined", CONFIRM, result)
    assert result.snapshot is not None
    assert result.snapshot.status is ObjectStatus.DECLINED
    assert result.snapshot.failure == result.failure
    assert result.snapshot.captured_minor == 0
    assert result.snapshot.method is not None
    assert result.snapshot.method.last4 == "0002"
    assert CONFIRM.happened(bench, ctx, it) == 0
    # The object can be tried again with another method.
    assert CONFIRM.perform(bench.adapter, context(), replace(it, token="pm_card_visa")).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("token", "code", "psp_code"),
    [
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "limit_exceeded", "card_velocity_exceeded"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_radarBlock", "card_declined", "fraudulent"),
    ],
)
def test_reasons_are_translated(bench: Bench, token: str, code: str, psp_code: str) -> None:
    result = bench.adapter.confirm(context(), registered(bench), ConfirmRequest(token, RETURN_URL))
    assert result.outcome is Outcome.DECLINED
    assert result.failure is not None
    assert (result.failure.code, result.failure.psp_code) == (code, psp_code)
    assert result.failure.retryable_by_buyer


def test_a_decline_is_repeated_by_the_same_key(bench: Bench) -> None:
    ctx, charge = context(), registered(bench)
    request = ConfirmRequest("pm_card_chargeDeclined", RETURN_URL)
    first, second = (bench.adapter.confirm(ctx, charge, request) for _ in range(2))
    assert first.error is not None
    assert first.error.stored_by_psp
    assert (second.outcome, second.snapshot, second.failure) == (first.outcome, first.snapshot, first.failure)


def test_declined_when_saving(bench: Bench) -> None:
    ctx = context()
    result = SAVE_METHOD.perform(bench.adapter, ctx, Situation(token="pm_card_chargeDeclined"))
    expect("declined", SAVE_METHOD, result)
    assert result.snapshot is not None
    assert result.snapshot.status is ObjectStatus.DECLINED
    assert SAVE_METHOD.happened(bench, ctx, Situation()) == 0


def test_nothing_to_capture(bench: Bench) -> None:
    result = CAPTURE.perform(bench.adapter, context(), Situation(charge=registered(bench)))
    expect("declined", CAPTURE, result)


def test_nothing_to_refund(bench: Bench) -> None:
    ctx, it = context(), Situation(charge=registered(bench))
    expect("declined", REFUND, REFUND.perform(bench.adapter, ctx, it))
    assert REFUND.happened(bench, ctx, it) == 0


def test_the_buyer_must_act(bench: Bench, sandbox_psp: SandboxPsp) -> None:
    it = replace(CONFIRM.prepare(bench), token="pm_card_authenticationRequired")
    result = CONFIRM.perform(bench.adapter, context(), it)
    expect("3-D Secure", CONFIRM, result)
    assert result.snapshot is not None
    assert result.snapshot.next_action is not None
    assert result.snapshot.next_action.type == "redirect"
    assert result.snapshot.next_action.url.startswith(sandbox_psp.url)
    sandbox_psp.decide(it.charge)
    fetched = bench.adapter.fetch(ObjectKind.CHARGE, it.charge).snapshot
    assert fetched is not None
    assert (fetched.status, fetched.next_action) == (ObjectStatus.SUCCEEDED, None)


def test_the_buyer_fails_to_act(bench: Bench, sandbox_psp: SandboxPsp) -> None:
    it = replace(CONFIRM.prepare(bench), token="pm_card_authenticationRequired")
    CONFIRM.perform(bench.adapter, context(), it)
    sandbox_psp.decide(it.charge, "decline")
    fetched = bench.adapter.fetch(ObjectKind.CHARGE, it.charge).snapshot
    assert fetched is not None
    assert fetched.status is ObjectStatus.DECLINED
    assert fetched.failure is not None
    assert fetched.failure.code == "authentication_failed"


def test_the_buyer_must_act_to_save(bench: Bench) -> None:
    result = SAVE_METHOD.perform(bench.adapter, context(), Situation(token="pm_card_authenticationRequired"))
    expect("3-D Secure", SAVE_METHOD, result)
    assert result.snapshot is not None
    assert result.snapshot.next_action is not None


def test_a_saved_method_pays_off_session(bench: Bench) -> None:
    saved = bench.adapter.save_method(context(), "pm_card_visa", RETURN_URL).snapshot
    assert saved is not None
    for _ in range(2):
        charge = bench.adapter.register(
            context(), RegisterRequest(500, "EUR", capture_later=False, customer=saved.customer)
        ).snapshot
        assert charge is not None
        request = ConfirmRequest(saved.payment_method, RETURN_URL, customer=saved.customer)
        result = bench.adapter.confirm(context(), charge.psp_id, request)
        assert result.outcome is Outcome.SUCCEEDED
        assert result.snapshot is not None
        assert (result.snapshot.customer, result.snapshot.captured_minor) == (saved.customer, 500)


def test_off_session_nobody_can_act(bench: Bench) -> None:
    customer = bench.truth.customers.create().id
    method = bench.truth.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer}).id
    charge = bench.adapter.register(context(), RegisterRequest(500, "EUR", False, customer=customer)).snapshot
    assert charge is not None
    result = bench.adapter.confirm(context(), charge.psp_id, ConfirmRequest(method, RETURN_URL, customer=customer))
    assert cell(result) == "declined: authentication_required"


def test_a_code_is_paid_later(bench: Bench, sandbox_psp: SandboxPsp) -> None:
    it = replace(CONFIRM.prepare(bench), token="pm_sandbox_qr")
    result = CONFIRM.perform(bench.adapter, context(), it)
    expect("decided later", CONFIRM, result)
    sandbox_psp.decide(it.charge, "decline")
    fetched = bench.adapter.fetch(ObjectKind.CHARGE, it.charge).snapshot
    assert fetched is not None
    assert fetched.status is ObjectStatus.DECLINED
    assert fetched.failure is not None
    assert fetched.failure.code == "payment_declined"
    assert fetched.method is not None
    assert fetched.method.type == "qr"


@pytest.mark.parametrize(
    ("token", "kind", "funding"),
    [("pm_card_visa_debit", "card", "debit"), ("pm_sandbox_wallet", "wallet", "")],
)
def test_the_method_is_described(bench: Bench, token: str, kind: str, funding: str) -> None:
    result = bench.adapter.confirm(context(), registered(bench), ConfirmRequest(token, RETURN_URL))
    assert result.snapshot is not None
    assert result.snapshot.method is not None
    assert (result.snapshot.method.type, result.snapshot.method.funding) == (kind, funding)


@pytest.mark.parametrize("method_types", [("card",), ("wallet",), ("qr",), ("card", "wallet", "qr")])
def test_methods_can_be_restricted(bench: Bench, method_types: tuple[str, ...]) -> None:
    tokens = {"card": "pm_card_visa", "wallet": "pm_sandbox_wallet", "qr": "pm_sandbox_qr"}
    for name, token in tokens.items():
        request = RegisterRequest(900, "EUR", capture_later=False, method_types=method_types)
        charge = bench.adapter.register(context(), request).snapshot
        assert charge is not None
        result = bench.adapter.confirm(context(), charge.psp_id, ConfirmRequest(token, RETURN_URL))
        allowed = name in method_types
        assert (result.outcome is not Outcome.DECLINED) == allowed
        if not allowed:
            assert cell(result) == "declined: payment_method_unusable"


def test_a_refund_is_decided_later_and_fails(bench: Bench, sandbox_psp: SandboxPsp) -> None:
    charge = registered(bench)
    bench.adapter.confirm(context(), charge, ConfirmRequest("pm_card_pendingRefund", RETURN_URL))
    result = bench.adapter.refund(context(), charge, 500, "EUR")
    expect("decided later", REFUND, result)
    assert result.snapshot is not None
    assert result.snapshot.charge_psp_id == charge
    sandbox_psp.control(f"refunds/{result.snapshot.psp_id}/fail")
    fetched = bench.adapter.fetch(ObjectKind.REFUND, result.snapshot.psp_id).snapshot
    assert fetched is not None
    assert fetched.status is ObjectStatus.FAILED
    assert fetched.failure is not None
    assert fetched.failure.code == "refund_failed"


REFUSALS: dict[str, Callable[[Bench, CallContext], Result]] = {
    "register": lambda bench, ctx: bench.adapter.register(ctx, RegisterRequest(100, "KPW", capture_later=False)),
    "create_hosted_session": lambda bench, ctx: bench.adapter.create_hosted_session(
        ctx, hosted(expires_at=datetime.now(UTC) + timedelta(days=9))
    ),
    "save_method": lambda bench, ctx: bench.adapter.save_method(ctx, "pm_nonsense", RETURN_URL),
    "confirm": lambda bench, ctx: bench.adapter.confirm(
        ctx, registered(bench), ConfirmRequest("pm_nonsense", RETURN_URL)
    ),
    "capture": lambda bench, ctx: bench.adapter.capture(ctx, paid(bench, later=True), 99_999, "EUR"),
    "refund": lambda bench, ctx: bench.adapter.refund(ctx, paid(bench), 99_999, "EUR"),
    "submit_evidence": lambda bench, ctx: bench.adapter.submit_evidence(
        ctx, disputed(bench).dispute, EvidenceRequest({"uncategorized_text": "x" * 20_001})
    ),
    "create_payee": lambda bench, ctx: bench.adapter.create_payee(
        ctx, replace(PAYEE, account_number="DE11370400440532011009")
    ),
    "transfer": lambda bench, ctx: bench.adapter.transfer(ctx, funded(bench).payee, 0, "EUR"),
    "reverse_transfer": lambda bench, ctx: bench.adapter.reverse_transfer(
        ctx, transferred(bench).transfer, 99_999, "EUR"
    ),
    "payout": lambda bench, ctx: bench.adapter.payout(ctx, transferred(bench).payee, 0, "EUR"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_wrong_request_is_refused(bench: Bench, name: str) -> None:
    result = REFUSALS[name](bench, context())
    expect("refused (4xx)", by_name[name], result)
    assert result.error is not None
    assert result.error.code in (ErrorCode.REFUSED, ErrorCode.NOT_FOUND)


UNKNOWN_OBJECTS: dict[str, Callable[[Adapter, CallContext], Result]] = {
    "confirm": lambda adapter, ctx: adapter.confirm(ctx, "pi_nonsense", ConfirmRequest("pm_card_visa", RETURN_URL)),
    "capture": lambda adapter, ctx: adapter.capture(ctx, "pi_nonsense", 1, "EUR"),
    "cancel": lambda adapter, ctx: adapter.cancel(ctx, "pi_nonsense", ""),
    "refund": lambda adapter, ctx: adapter.refund(ctx, "pi_nonsense", 1, "EUR"),
    "submit_evidence": lambda adapter, ctx: adapter.submit_evidence(ctx, "du_nonsense", EVIDENCE),
    "accept_dispute": lambda adapter, ctx: adapter.accept_dispute(ctx, "du_nonsense"),
    "transfer": lambda adapter, ctx: adapter.transfer(ctx, "acct_nonsense", 1, "EUR"),
    "reverse_transfer": lambda adapter, ctx: adapter.reverse_transfer(ctx, "tr_nonsense", 1, "EUR"),
    "payout": lambda adapter, ctx: adapter.payout(ctx, "acct_nonsense", 1, "EUR"),
    "get_payee": lambda adapter, _ctx: adapter.fetch(ObjectKind.PAYEE, "acct_nonsense"),
    "fetch": lambda adapter, _ctx: adapter.fetch(ObjectKind.CHARGE, "pi_nonsense"),
    "find": lambda adapter, ctx: adapter.find(ObjectKind.CHARGE, ctx.operation_id, datetime.now(UTC)),
}


@pytest.mark.parametrize("name", UNKNOWN_OBJECTS)
def test_an_object_that_does_not_exist(bench: Bench, name: str) -> None:
    expect("unknown object", by_name[name], UNKNOWN_OBJECTS[name](bench.adapter, context()))


def test_a_payout_that_does_not_exist_is_not_cancelled(bench: Bench) -> None:
    it = replace(payee(bench), payout="po_nonsense")
    expect("unknown object", CANCEL_PAYOUT, CANCEL_PAYOUT.perform(bench.adapter, context(), it))


def test_a_payee_is_read_as_it_was_made(bench: Bench) -> None:
    it = payee(bench)
    result = GET_PAYEE.perform(bench.adapter, context(), it)
    expect("done", GET_PAYEE, result)
    assert result.snapshot is not None
    assert (result.snapshot.kind, result.snapshot.psp_id) == (ObjectKind.PAYEE, it.payee)


def test_a_balance_that_is_too_low_is_a_no_that_can_be_waited_for(bench: Bench) -> None:
    it, ctx = transferred(bench), context()
    expect("declined", TRANSFER, bench.adapter.transfer(ctx, it.payee, 99_999, "EUR"))
    assert TRANSFER.happened(bench, ctx, it) == 0
    expect("declined", PAYOUT, bench.adapter.payout(context(), it.payee, 99_999, "EUR"))


@pytest.mark.parametrize("status", ["in_transit", "paid"])
def test_a_payout_that_has_left_is_not_cancelled(bench: Bench, sandbox_psp: SandboxPsp, status: str) -> None:
    it = paid_out(bench)
    sandbox_psp.control(f"payouts/{it.payout}/advance", status=status)
    result = CANCEL_PAYOUT.perform(bench.adapter, context(), it)
    expect("declined", CANCEL_PAYOUT, result)
    assert result.snapshot is not None
    assert result.snapshot.status is (ObjectStatus.SUCCEEDED if status == "paid" else ObjectStatus.PROCESSING)
    assert CANCEL_PAYOUT.happened(bench, context(), it) == 0


def test_a_payout_that_failed_by_itself_needs_no_cancelling(bench: Bench, sandbox_psp: SandboxPsp) -> None:
    it = paid_out(bench)
    sandbox_psp.control(f"payouts/{it.payout}/advance", status="failed")
    result = CANCEL_PAYOUT.perform(bench.adapter, context(), it)
    assert result.outcome is Outcome.SUCCEEDED
    assert result.snapshot is not None
    assert result.snapshot.status is ObjectStatus.FAILED


@pytest.mark.parametrize("kind", [kind for kind in ObjectKind if kind not in (ObjectKind.BALANCE, ObjectKind.PAYEE)])
def test_every_kind_can_be_fetched_in_vain(bench: Bench, kind: ObjectKind) -> None:
    owner = "tr_nonsense" if kind is ObjectKind.REVERSAL else ""
    assert cell(bench.adapter.fetch(kind, "xx_nonsense", owner)) == ANSWERS["unknown object"]["fetch"]


def test_a_payee_that_is_not_ours_looks_like_a_key_that_may_not(bench: Bench) -> None:
    assert cell(bench.adapter.fetch(ObjectKind.PAYEE, "acct_nonsense")) == "not_executed: psp_authentication"


def test_already_done_with_another_key(bench: Bench) -> None:
    """The error shows the intent as it is, so the answer is known after all."""
    charge = paid(bench)
    result = bench.adapter.confirm(context(), charge, ConfirmRequest("pm_card_visa", RETURN_URL))
    expect("already done", CONFIRM, result)
    assert result.snapshot is not None
    assert result.snapshot.captured_minor == 1999
    assert CONFIRM.happened(bench, context(), Situation(charge=charge)) == 1

    expect("already done", CAPTURE, bench.adapter.capture(context(), charge, 1999, "EUR"))
    bench.adapter.refund(context(), charge, 1999, "EUR")
    expect("already done", REFUND, bench.adapter.refund(context(), charge, 1999, "EUR"))

    over = disputed(bench)
    bench.truth.disputes.close(over.dispute)
    expect("already done", SUBMIT_EVIDENCE, SUBMIT_EVIDENCE.perform(bench.adapter, context(), over))

    expect("already done", ACCEPT_DISPUTE, ACCEPT_DISPUTE.perform(bench.adapter, context(), over))
    back = transferred(bench)
    REVERSE_TRANSFER.perform(bench.adapter, context(), back)
    expect("already done", REVERSE_TRANSFER, REVERSE_TRANSFER.perform(bench.adapter, context(), back))
    stopped = paid_out(bench)
    CANCEL_PAYOUT.perform(bench.adapter, context(), stopped)
    expect("already done", CANCEL_PAYOUT, CANCEL_PAYOUT.perform(bench.adapter, context(), stopped))

    held = paid(bench, later=True)
    bench.adapter.cancel(context(), held, "")
    again = bench.adapter.cancel(context(), held, "")
    expect("already done", CANCEL, again)
    assert again.snapshot is not None
    assert again.snapshot.status is ObjectStatus.CANCELLED
    after = bench.adapter.confirm(context(), held, ConfirmRequest("pm_card_visa", RETURN_URL))
    assert cell(after) == "declined: payment_cancelled"


def test_a_cancel_that_comes_too_late_says_so(bench: Bench) -> None:
    result = bench.adapter.cancel(context(), paid(bench), "")
    expect("paid before the cancel", CANCEL, result)
    assert result.snapshot is not None
    assert (result.snapshot.status, result.snapshot.captured_minor) == (ObjectStatus.SUCCEEDED, 1999)


def test_a_key_in_use_by_a_request_that_is_still_running(
    bench: Bench, impatient: StripeAdapter, sandbox_psp: SandboxPsp, key: str
) -> None:
    ctx, it = context(), CONFIRM.prepare(bench)
    sandbox_psp.faults({"operation": "payment_intents.confirm", "kind": "delay_before", "seconds": 30}, key=key)
    first = CONFIRM.perform(impatient, ctx, it)
    assert cell(first) == "unknown: psp_timeout"
    assert cell(CONFIRM.perform(bench.adapter, ctx, it)) == "unknown: psp_key_in_use"
    assert CONFIRM.happened(bench, ctx, it) == 0


@pytest.mark.parametrize("kind", [ObjectKind.CHARGE, ObjectKind.SESSION, ObjectKind.SAVED_METHOD, ObjectKind.REFUND])
def test_a_lost_id_is_found_by_the_operation(bench: Bench, kind: ObjectKind) -> None:
    before, ctx, charge = datetime.now(UTC), context(), paid(bench)
    made = {
        ObjectKind.CHARGE: lambda: bench.adapter.register(ctx, RegisterRequest(1, "EUR", capture_later=False)),
        ObjectKind.SESSION: lambda: bench.adapter.create_hosted_session(ctx, hosted()),
        ObjectKind.SAVED_METHOD: lambda: bench.adapter.save_method(ctx, "pm_card_visa", RETURN_URL),
        ObjectKind.REFUND: lambda: bench.adapter.refund(ctx, charge, 5, "EUR"),
    }[kind]().snapshot
    assert made is not None
    found = bench.adapter.find(kind, ctx.operation_id, before)
    assert found.outcome is Outcome.SUCCEEDED
    assert found.snapshot is not None
    assert (found.snapshot.psp_id, found.snapshot.kind) == (made.psp_id, kind)
    absent = bench.adapter.find(kind, "op_that_never_was", before)
    assert (absent.outcome, absent.snapshot) == (Outcome.NOT_EXECUTED, None)
    if kind is ObjectKind.REFUND:
        narrow = bench.adapter.find(kind, ctx.operation_id, before, charge)
        assert narrow.snapshot is not None
        assert narrow.snapshot.psp_id == made.psp_id
        elsewhere = bench.adapter.find(kind, ctx.operation_id, before, registered(bench))
        assert elsewhere.outcome is Outcome.NOT_EXECUTED


def test_a_lost_id_is_found_behind_many_pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments.psp.stripe.lookup.PAGE_SIZE", 2)
    before, ctx = datetime.now(UTC), context()
    REGISTER.perform(bench.adapter, ctx, Situation())
    for _ in range(4):
        registered(bench)
    assert FIND.perform(bench.adapter, ctx, Situation()).outcome is Outcome.SUCCEEDED
    assert FIND.perform(bench.adapter, context(), Situation()).outcome is Outcome.NOT_EXECUTED
    monkeypatch.setattr("payments.psp.stripe.lookup.MAX_PAGES", 2)
    given_up = bench.adapter.find(ObjectKind.CHARGE, ctx.operation_id, before)
    assert given_up.outcome is Outcome.UNKNOWN  # it is there, and it was not seen: absence is not proven


def test_the_matrix_has_no_cell_without_a_test() -> None:
    asserted = {
        "done": {one.name for one in (*MONEY, *READS)} | {"ensure_webhook"},
        "declined": {"save_method", "confirm", "capture", "refund", "transfer", "payout", "cancel_payout"},
        "3-D Secure": {"save_method", "confirm"},
        "decided later": {"confirm", "refund"},
        "refused (4xx)": set(REFUSALS) | {"ensure_webhook"},
        "already done": {
            "confirm",
            "capture",
            "cancel",
            "refund",
            "submit_evidence",
            "accept_dispute",
            "reverse_transfer",
            "cancel_payout",
        },
        "paid before the cancel": {"cancel"},
        "unknown object": set(UNKNOWN_OBJECTS) | {"cancel_payout"},
        "same key, same request": {one.name for one in MONEY},
        "same key, other request": {one.name for one in MONEY if one.perform_otherwise},
        "bad key": {one.name for one in (*MONEY, *READS)} | {"ensure_webhook"},
        "nobody there": {one.name for one in (*MONEY, *READS)} | {"ensure_webhook"},
    }
    assert {situation: set(cells) for situation, cells in ANSWERS.items()} == asserted
