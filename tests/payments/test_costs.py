"""What the flows cost in round trips, and what they hold while they wait. Counted, not timed."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from config import seam
from payments import executor, settlement
from payments.psp.base import Result
from payments.psp_calls import Call
from tests.shop import Shop


def _statements(run: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        run()
    return len([query for query in captured.captured_queries if query["sql"] not in ("BEGIN", "COMMIT")])


@pytest.mark.parametrize("count", [1, 100])
def test_intake_is_two_round_trips_whatever_the_number_of_payments(shop: Shop, count: int) -> None:
    payments = [shop.new_payment(shop.caller(), [1000, 2000, 3000]) for _ in range(count)]
    assert _statements(lambda: shop.accept(*payments)) == 2


def _answers(shop: Shop, count: int) -> list[tuple[Call, Result]]:
    """Return `count` answers of confirmations that wait for settlement."""
    for _ in range(count):
        shop.buy(1000, 2000)
    while registrations := executor.claim(200):
        answers = [(call, call.run()) for call in registrations]
        if answers[0][1].snapshot is not None and answers[0][1].snapshot.status == "succeeded":
            return answers
        executor.settle(answers)
    raise AssertionError("no confirmation was claimed")


def test_settlement_of_a_batch_is_a_fixed_number_of_statements(shop: Shop) -> None:
    shop.buy(1000, 2000)
    shop.work()
    costs = {}
    for count in (2, 20, 100):
        reports = [call.report(result) for call, result in _answers(shop, count)]
        assert len(reports) == count
        costs[count] = _statements(lambda reports=reports: settlement.apply(reports, now=seam.now()))
    assert len(set(costs.values())) == 1, costs
    assert costs[2] <= 12
    shop.check()


def test_claiming_is_a_fixed_number_of_statements(shop: Shop) -> None:
    costs = []
    for count in (2, 50):
        for _ in range(count):
            shop.buy(1000)
        costs.append(_statements(lambda: executor.claim(200)))
    assert costs[0] == costs[1] <= 9


def test_no_database_session_is_held_while_the_psp_is_silent(shop: Shop, settings: Any) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 8
    shop.psp.faults(
        {"operation": "payment_intents.create", "kind": "delay", "times": 20, "seconds": 1.5},
        key=shop.psp_key,
    )
    for _ in range(20):
        shop.buy(1000)
    connection.close()
    name = f"florin-drain-{shop.tenant.book.pk}"

    def work() -> None:
        connection.settings_dict = {
            **connection.settings_dict,
            "OPTIONS": {**connection.settings_dict["OPTIONS"], "application_name": name},
        }
        executor.drain(seconds=1)
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    seen: list[int] = []
    with psycopg.connect(shop.superuser_url, autocommit=True) as superuser:
        for _ in range(8):
            worker.join(0.12)
            row = superuser.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
            ).fetchone()
            assert row is not None
            seen.append(row[0])
    worker.join(30)
    assert seen[-4:] == [0, 0, 0, 0], f"sessions while twenty calls waited: {seen}"
    shop.settle_down()
    shop.check()


def test_a_call_inside_a_transaction_is_a_programming_error(shop: Shop) -> None:
    shop.buy(1000)
    calls = executor.claim(10)
    with transaction.atomic(), pytest.raises(AssertionError, match="no transaction may span a PSP call"):
        executor._run(calls[0])
