"""The sandbox's own books, clock and memory: the referee must be right itself."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

from sandbox.psp.ledger import UnbalancedError, faults_found, post
from sandbox.psp.store import Store
from tests.sandbox.conftest import NEVER_REDIRECT
from tests.sandbox_process import SandboxPsp, start, stop

BODY = {
    "amount": 1999,
    "currency": "eur",
    "automatic_payment_methods": NEVER_REDIRECT,
    "payment_method": "pm_card_visa",
    "confirm": True,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give an empty store."""
    opened = Store(tmp_path / "psp.sqlite3")
    yield opened
    opened.close()


def test_a_journal_that_does_not_balance_is_refused(store: Store) -> None:
    with pytest.raises(UnbalancedError):
        post(store, source="x", kind="charge", currency="eur", entries=[("a", "merchant", 1)], now=0)
    assert store.db.execute("SELECT count(*) FROM entries").fetchone() == (0,)


def test_the_check_finds_what_was_changed_behind_its_back(store: Store) -> None:
    entries = [("a", "merchant", 5), ("a", "outside:networks", -5)]
    post(store, source="x", kind="charge", currency="eur", entries=entries, now=0)
    assert faults_found(store, "a") == ["balance of a in eur: 5 on one side only"]
    store.db.execute("UPDATE entries SET amount = 6 WHERE account = 'merchant'")
    assert any("off by 1 eur" in fault for fault in faults_found(store, None))


def test_a_failed_request_leaves_nothing_behind_and_others_of_its_turn_stay(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.add("a", {"id": "y", "object": "charge", "created": 0})
            store.add("a", {"id": "x", "object": "charge", "created": 0})

    async def requests_of_one_turn() -> None:
        with store.transaction():
            store.add("a", {"id": "x", "object": "charge", "created": 0})
        with pytest.raises(sqlite3.IntegrityError):
            fail()
        await store.committed()

    asyncio.run(requests_of_one_turn())
    assert [one["id"] for one in store.all("a", "charge")] == ["x"]


def test_books_balance_after_every_request_of_a_long_story(tmp_path: Path) -> None:
    """The process checks its whole ledger after each request and answers 500 if it is wrong."""
    psp = start("--verify-books", "--data", str(tmp_path))
    try:
        key = psp.new_key()
        client: Any = stripe.StripeClient(key, base_addresses={"api": psp.url}, max_network_retries=0).v1
        payee = client.accounts.create({"type": "express", "external_account": "btok_good"})
        for round_, token in enumerate(("pm_card_visa", "pm_card_bypassPending", "pm_card_createDispute")):
            paid = client.payment_intents.create({**BODY, "payment_method": token, "metadata": {"n": str(round_)}})
            psp.advance(0)
            if token == "pm_card_visa":
                client.refunds.create({"payment_intent": paid.id, "amount": 700})
            if token == "pm_card_bypassPending":
                sent = client.transfers.create({"amount": 800, "currency": "eur", "destination": payee.id})
                client.transfers.reversals.create(sent.id, {"amount": 300})
                client.payouts.create({"amount": 500, "currency": "eur"}, {"stripe_account": payee.id})
                psp.advance(5)
        held = client.payment_intents.create({**BODY, "capture_method": "manual", "currency": "jpy"})
        client.payment_intents.capture(held.id, {"amount_to_capture": 999})
        with pytest.raises(stripe.CardError):
            client.payment_intents.create({**BODY, "payment_method": "pm_card_chargeDeclined"})
        books = psp.books(key)
        assert books["balanced"], books["wrong"]
        assert psp.books()["balanced"]
        assert [row["status"] for row in books["payouts"]] == ["paid"]
        assert books["counts"]["refund"] == books["counts"]["dispute"] == 1
    finally:
        stop(psp)


def test_everything_is_there_again_after_a_kill(tmp_path: Path) -> None:
    psp = start("--data", str(tmp_path))
    key = psp.new_key()
    client: Any = stripe.StripeClient(key, base_addresses={"api": psp.url}, max_network_retries=0).v1
    paid = client.payment_intents.create(BODY, {"idempotency_key": "k"})
    slow = client.payment_intents.create({**BODY, "payment_method": "pm_sandbox_delayed_success"})
    before = psp.books(key)
    psp.process.kill()
    psp.process.wait(timeout=10)
    psp = start("--data", str(tmp_path))
    try:
        client = stripe.StripeClient(key, base_addresses={"api": psp.url}, max_network_retries=0).v1
        assert client.payment_intents.create(BODY, {"idempotency_key": "k"}).id == paid.id
        after = psp.books(key)
        assert [after[name] for name in ("charges", "balance", "counts")] == [
            before[name] for name in ("charges", "balance", "counts")
        ]
        psp.advance(10)
        assert client.payment_intents.retrieve(slow.id).status == "succeeded"
    finally:
        stop(psp)


def test_resetting_an_account_leaves_the_others_alone(
    sandbox_psp: SandboxPsp, key: str, connect: Callable[..., Any]
) -> None:
    mine, other_key = connect(key), sandbox_psp.new_key()
    other = connect(other_key)
    for client in (mine, other):
        client.payment_intents.create(BODY, {"idempotency_key": "k"})
    sandbox_psp.faults({"operation": "*", "kind": "429", "times": None}, key=key)
    sandbox_psp.reset(key)
    assert sandbox_psp.books(key)["charges"] == []
    assert mine.payment_intents.create(BODY, {"idempotency_key": "k"}).status == "succeeded"
    assert len(sandbox_psp.books(other_key)["charges"]) == 1
    assert sandbox_psp.books(other_key)["balanced"]


def test_the_clock_only_moves_forward_and_only_within_reason(sandbox_psp: SandboxPsp) -> None:
    before = sandbox_psp.advance(0)["now"]
    assert sandbox_psp.advance(60)["now"] >= before + 60
    for wrong in (-1, "soon", None, 10**12):
        answer = requests.post(f"{sandbox_psp.url}/_sandbox/clock", json={"advance_seconds": wrong}, timeout=20)
        assert answer.status_code == 400


def test_objects_carry_the_sandboxs_time(psp: Any, sandbox_psp: SandboxPsp, new_intent: Callable[..., Any]) -> None:
    first = new_intent().created
    sandbox_psp.advance(3600)
    assert new_intent().created >= first + 3600


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("payment_intents/pi_none/advance", {}, 404),
        ("disputes", {"charge": "ch_none"}, 404),
        ("disputes", {"reason": "boredom"}, 400),
        ("disputes/du_none/close", {"status": "won"}, 404),
        ("disputes/du_none/close", {"status": "maybe"}, 400),
        ("webhooks/resend", {"event": "evt_none"}, 404),
        ("webhooks/resend", {}, 400),
        ("clock", [], 400),
    ],
)
def test_control_requests_that_make_no_sense_are_refused(
    sandbox_psp: SandboxPsp, path: str, body: Any, status: int
) -> None:
    answer = requests.post(f"{sandbox_psp.url}/_sandbox/{path}", json=body, timeout=20)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_payment_that_is_decided_cannot_be_decided_again(
    sandbox_psp: SandboxPsp, new_intent: Callable[..., Any]
) -> None:
    paid = new_intent(payment_method="pm_card_visa", confirm=True)
    with pytest.raises(AssertionError, match="nothing is undecided"):
        sandbox_psp.decide(paid.id)


def test_health_says_what_was_asked(psp: Any, sandbox_psp: SandboxPsp) -> None:
    psp.balance.retrieve()
    health = requests.get(f"{sandbox_psp.url}/_sandbox/health", timeout=20).json()
    assert health["status"] == "ok"
    assert health["requests"]["balance.retrieve"] >= 1
