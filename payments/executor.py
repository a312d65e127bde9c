"""The executor: claims what is due at the PSPs, makes the calls, hands the answers to settlement.

Claim and settlement are short transactions of the main thread. The calls run in threads, many at once, with no
transaction and no database connection; while nothing but calls is going on the main thread holds none either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import prefetch_related_objects

from config import seam
from payments import (
    discovery,
    dispute_watch,
    doorbell,
    notifications,
    payout_calls,
    payout_settlement,
    psp_calls,
    settlement,
    work,
)
from payments.breaker import note_health
from payments.discovery import LookCall
from payments.models import Charge, Dispute, PaymentEvent, PspAccount, PspOperation
from payments.models.bulk import by_id, read_rows
from payments.payout_calls import PayoutCall
from payments.psp.base import CallError, Outcome, Result
from payments.psp_calls import Call

type AnyCall = Call | PayoutCall | LookCall

log = structlog.get_logger(__name__)
CLAIM_AT_MOST = 200


def execute(*, limit: int = CLAIM_AT_MOST, go_on: bool = False) -> int:
    """Claim what is due, call, settle: one round, one call after the other. Return how many calls were made.

    With `go_on` a registration is followed by its payment in the same round, as `drain` does it.
    """
    made, calls = 0, claim(limit)
    while calls:
        made += len(calls)
        calls = settle([(call, _run(call)) for call in calls], go_on=go_on)
    return made


def drain(*, seconds: float, stop: Callable[[], bool] = lambda: False) -> int:
    """Work until nothing is due, `seconds` have passed, or `stop` says so; return how many calls were made.

    Keeps up to `PSP_CALLS_IN_FLIGHT` calls going: whatever has been answered is settled as a batch while the others
    wait, so one slow answer holds up nobody. A payment follows its registration at once, in the place of that call.
    """
    ends = time.monotonic() + seconds
    made = 0
    in_flight: dict[Future[Result], AnyCall] = {}
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(settings.PSP_CALLS_IN_FLIGHT, thread_name_prefix="psp"))
        while True:
            # A claim may bring as many looks at notified charges as operations; those beyond the threads wait in line.
            room = max(0, settings.PSP_CALLS_IN_FLIGHT - len(in_flight))
            open_for_more = time.monotonic() < ends and not stop()
            fresh = claim(min(room, CLAIM_AT_MOST)) if room and open_for_more else []
            made += len(fresh)
            if len(fresh) >= room:
                # More may be due than this process takes: another worker can help.
                doorbell.ring("psp")
            for call in fresh:
                in_flight[threads.submit(_run, call)] = call
            if not in_flight:
                return made
            answered = _await_some(in_flight)
            open_for_more = time.monotonic() < ends and not stop()
            for call in settle([(in_flight.pop(future), future.result()) for future in answered], go_on=open_for_more):
                made += 1
                in_flight[threads.submit(_run, call)] = call


def claim(limit: int) -> list[AnyCall]:
    """Claim operations, notifications and polls that are due, and commit that before anything is sent."""
    now = seam.now()
    calls: list[AnyCall] = []
    with transaction.atomic():
        claims = {item.id: item for item in work.claim_operations(limit)}
        operations = _read(list(claims)) if claims else []
        calls.extend(
            (payout_calls if operation.payout_id is not None else psp_calls).of_operation(
                operation, claims[operation.pk], now=now
            )
            for operation in sorted(operations, key=lambda o: (o.lane, o.pk))
        )
        if len(calls) < limit:
            polls = [item.id for item in work.claim_polls(limit - len(calls))]
            if polls:
                calls.extend(
                    psp_calls.of_charge(charge)
                    for charge in Charge.objects.filter(id__in=polls).select_related("psp_account")
                )
        if len(calls) < limit:
            about_disputes, looks = work.claim_watched(limit - len(calls))
            calls.extend(dispute_watch.calls_of(about_disputes))
            calls.extend(discovery.calls_of(looks, now=now))
        if len(calls) < limit:
            calls.extend(payout_calls.claim(limit - len(calls), now=now))
    calls.extend(notifications.claim(limit, now=now))
    return calls


def _read(ids: list[int]) -> list[PspOperation]:
    """Read claimed operations with all that their calls need; each PSP account once."""
    operations = read_rows(PspOperation, "id", ids)
    payout_calls.load([o for o in operations if o.payout_id is not None])
    operations_of_payments = [o for o in operations if o.payout_id is None]
    events = by_id(read_rows(PaymentEvent, "id", (o.payment_id for o in operations_of_payments)))
    charges = by_id(read_rows(Charge, "id", (o.charge_id for o in operations if o.charge_id is not None)))
    accounts = by_id(read_rows(PspAccount, "id", (o.psp_account_id for o in operations)))
    about = [o.dispute_id for o in operations if o.dispute_id is not None]
    disputes = by_id(read_rows(Dispute, "id", about)) if about else {}
    for operation in operations:
        operation.psp_account = accounts[operation.psp_account_id]
    for operation in operations_of_payments:
        operation.event = events[operation.payment_id]
        operation.charge = charges[operation.charge_id] if operation.charge_id is not None else None
        operation.dispute = disputes[operation.dispute_id] if operation.dispute_id is not None else None
    pages = [o.charge for o in operations if o.kind == PspOperation.Kind.HOSTED_SESSION and o.charge is not None]
    if pages:
        prefetch_related_objects(pages, "orders")
    return operations


def settle(answers: Sequence[tuple[AnyCall, Result]], *, go_on: bool = False) -> list[AnyCall]:
    """Hand answers to settlement in batches and remember how healthy each PSP account is.

    With `go_on` what the answers made due is claimed with them; it is returned, and the caller must make these calls.
    """
    now = seam.now()
    calls: list[AnyCall] = []
    about_payouts = [call.report(result) for call, result in answers if isinstance(call, PayoutCall)]
    if about_payouts:
        payout_settlement.apply(about_payouts, now=now)
    about_payments = [call.report(result) for call, result in answers if isinstance(call, Call)]
    for start in range(0, len(about_payments), settlement.MAX_REPORTS):
        reports = about_payments[start : start + settlement.MAX_REPORTS]
        applied = settlement.advance(reports, now=now, claim_next=go_on)
        calls.extend(psp_calls.of_operation(operation, claim, now=now) for operation, claim in applied.claimed)
    looked = [(call, result) for call, result in answers if isinstance(call, LookCall)]
    if looked:
        discovery.apply(looked, now=now)
    note_health([(call.account_id, result) for call, result in answers], now=now)
    return calls


def _run(call: AnyCall) -> Result:
    """Make one call in a thread. An adapter that raises has a bug; the money question is then open: unknown."""
    assert not connection.in_atomic_block, "no transaction may span a PSP call"
    try:
        return call.run()
    except Exception as error:
        log.exception("psp_adapter_failed", operation_id=call.operation_id, account_id=call.account_id)
        return Result(Outcome.UNKNOWN, error=CallError("adapter_error", f"{type(error).__name__}: {error}"[:300]))


def _await_some(in_flight: dict[Future[Result], AnyCall]) -> set[Future[Result]]:
    """Wait for answers, holding no database connection, and gather those that arrive together."""
    done, _ = wait(in_flight, timeout=0, return_when=FIRST_COMPLETED)
    if not done:
        connection.close()
        assert connection.connection is None, "no database session is held while the PSP is silent"
        done, _ = wait(in_flight, timeout=psp_calls.read_timeout_seconds(), return_when=FIRST_COMPLETED)
    more, _ = wait(in_flight, timeout=0.003)
    return done | more
