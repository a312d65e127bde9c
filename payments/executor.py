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

from config import seam
from payments import doorbell, notifications, psp_calls, settlement, work
from payments.breaker import note_health
from payments.models import Charge, PspOperation
from payments.psp.base import CallError, Outcome, Result
from payments.psp_calls import Call

log = structlog.get_logger(__name__)
CLAIM_AT_MOST = 200


def execute(*, limit: int = CLAIM_AT_MOST) -> int:
    """Claim what is due, call, settle: one round, one call after the other. Return how many were made."""
    calls = claim(limit)
    answers = [(call, _run(call)) for call in calls]
    settle(answers)
    return len(calls)


def drain(*, seconds: float, stop: Callable[[], bool] = lambda: False) -> int:
    """Work until nothing is due, `seconds` have passed, or `stop` says so; return how many calls were made.

    Keeps up to `PSP_CALLS_IN_FLIGHT` calls going: whatever has been answered is settled as a batch while the others
    wait, so one slow answer holds up nobody.
    """
    ends = time.monotonic() + seconds
    made = 0
    in_flight: dict[Future[Result], Call] = {}
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(settings.PSP_CALLS_IN_FLIGHT, thread_name_prefix="psp"))
        while True:
            room = settings.PSP_CALLS_IN_FLIGHT - len(in_flight)
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
            settle([(in_flight.pop(future), future.result()) for future in answered])


def claim(limit: int) -> list[Call]:
    """Claim operations, notifications and polls that are due, and commit that before anything is sent."""
    now = seam.now()
    calls: list[Call] = []
    with transaction.atomic():
        claims = {item.id: item for item in work.claim_operations(limit)}
        operations = (
            PspOperation.objects.filter(id__in=list(claims))
            .select_related("psp_account", "charge", "event")
            .prefetch_related("charge__orders")
            if claims
            else []
        )
        calls.extend(
            psp_calls.of_operation(operation, claims[operation.pk], now=now)
            for operation in sorted(operations, key=lambda o: (o.lane, o.pk))
        )
        if len(calls) < limit:
            polls = [item.id for item in work.claim_polls(limit - len(calls))]
            if polls:
                calls.extend(
                    psp_calls.of_charge(charge)
                    for charge in Charge.objects.filter(id__in=polls).select_related("psp_account")
                )
    calls.extend(notifications.claim(limit, now=now))
    return calls


def settle(answers: Sequence[tuple[Call, Result]]) -> None:
    """Hand answers to settlement in batches and remember how healthy each PSP account is."""
    now = seam.now()
    for start in range(0, len(answers), settlement.MAX_REPORTS):
        chunk = answers[start : start + settlement.MAX_REPORTS]
        settlement.apply([call.report(result) for call, result in chunk], now=now)
    note_health([(call.account_id, result) for call, result in answers], now=now)


def _run(call: Call) -> Result:
    """Make one call in a thread. An adapter that raises has a bug; the money question is then open: unknown."""
    assert not connection.in_atomic_block, "no transaction may span a PSP call"
    try:
        return call.run()
    except Exception as error:
        log.exception("psp_adapter_failed", operation_id=call.operation_id, charge_id=call.charge_id)
        return Result(Outcome.UNKNOWN, error=CallError("adapter_error", f"{type(error).__name__}: {error}"[:300]))


def _await_some(in_flight: dict[Future[Result], Call]) -> set[Future[Result]]:
    """Wait for answers, holding no database connection, and gather those that arrive together."""
    done, _ = wait(in_flight, timeout=0, return_when=FIRST_COMPLETED)
    if not done:
        connection.close()
        assert connection.connection is None, "no database session is held while the PSP is silent"
        done, _ = wait(in_flight, timeout=psp_calls.read_timeout_seconds(), return_when=FIRST_COMPLETED)
    more, _ = wait(in_flight, timeout=0.003)
    return done | more
