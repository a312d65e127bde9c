"""verify_books agrees with a sound story, and every check of payments finds the corruption that it is there for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction

from config import seam
from ledger.invariants import Violation
from payments import (
    bank_files,
    cancellations,
    captures,
    exchange,
    invariants,
    payouts,
    refunds,
    releases,
    reserves,
    stored_value,
    top_ups,
)
from payments.intake import NewOrder
from payments.models import Charge, Dispute, MerchantBook, PspOperation, Refund, Seller
from payments.refunds import Wanted
from tests.bank import Bank
from tests.market import Market
from tests.shop import Shop
from wallet import rates
from wallet.rates import EcbFile


@pytest.fixture
def story(shop: Shop) -> Shop:
    """Tell a story with every kind of ending: paid, paid in part, declined, cancelled, late and refunded, open."""
    shop.buy(1999, 501)
    shop.buy(1000, 2000, charge_mode="per_order", token="pm_card_visa")
    shop.buy(700, token="pm_card_chargeDeclined")
    shop.buy(900, token="pm_card_authenticationRequired")
    shop.buy(800, token="")
    shop.buy(1999, currency="JPY")
    held = shop.buy(1000, 500, capture="manual")
    late = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    disputed = {decision: shop.buy(1500, 300) for decision in ("", "won", "lost")}
    shop.work()
    first, second = shop.orders(held)
    captures.capture(held.pk, {first.pk: 333, second.pk: 0}, now=seam.now())
    cancellations.cancel(late.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.advance(60)
    for decision, event in disputed.items():
        dispute = shop.psp.control("disputes", payment_intent=Charge.objects.get(event=event).psp_id)
        if decision:
            shop.psp.control(f"disputes/{dispute['id']}/close", status=decision)
    give_money_back(shop)
    shop.notify()
    shop.settle_down()
    assert sorted(Dispute.objects.values_list("status", flat=True)) == ["lost", "needs_response", "won"]
    assert Charge.objects.get(event=late).status == Charge.Status.LATE_SUCCESS
    _pay_out(shop)
    _pay_through_the_bank(shop)
    _keep(shop)
    _change(shop)
    shop.reset_time()
    return shop


def _pay_out(shop: Shop) -> None:
    """Pay a seller out: one payout that arrived, one under way, one cancelled."""
    market = Market(shop)
    market.verified()
    market.earn(50_000)  # disputes took most of what the PSP had
    arrived, _under_way, cancelled = market.ask(2000), market.ask(1000), market.ask(500)
    payouts.cancel(cancelled.pk, now=seam.now())
    shop.work()
    market.bank_says(arrived, "paid")


def _pay_through_the_bank(shop: Shop) -> None:
    """Pay a seller through our bank: booked, returned, refused, under way, and in a file that nobody has yet."""
    bank = Bank(Market(shop))
    booked, returned, refused, _under_way = bank.ready(700, 600, 500, 400)
    bank_files.withdraw(bank.made().pk, actor="tests", now=seam.now())
    bank.hand_out(bank.made())
    assert bank.says("booked", [booked, returned]) == ["done", "done"]
    assert bank.says("returned", [returned]) == bank.says("rejected", [refused]) == ["done"]
    bank.ready(300)
    bank.made()
    shop.tenant.psp_account.payout_mode = "psp"
    shop.tenant.psp_account.save(update_fields=["payout_mode"])


def give_money_back(shop: Shop) -> None:
    """Tell of refunds with every ending, a seller's debt, and releases of which a share is held back."""
    Seller.objects.filter(pk=shop.sellers[0].pk).update(reserve_basis_points=1000, reserve_days=30)
    tokens = ("pm_card_visa", "pm_card_visa", "pm_card_refundFail", "pm_card_pendingRefund", "pm_card_visa")
    events = [shop.buy(1000, token=token) for token in tokens]
    shop.work()
    owed, partly, returned, taken_back, released = (shop.orders(event)[0] for event in events)
    now = seam.now()
    refunds.request(owed.event_id, Wanted(owed.pk), now=now)
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(refund_fee_policy="proportional")
    for order in (partly, returned, taken_back):
        refunds.request(order.event_id, Wanted(order.pk, 400), now=now)
    shop.work()
    shop.psp.control(f"refunds/{Refund.objects.get(order=taken_back).psp_id}/fail")
    shop.psp.advance(60)
    for order in (partly, released):
        releases.deliver(order.event_id, order.pk, now=now)
    shop.pass_time(timedelta(days=31))
    assert reserves.free_due(now=now, limit=1) == 1
    shop.reset_time()


def _keep(shop: Shop) -> None:
    """Let a buyer keep a refund, pay an order with it, and get a part of that back."""
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(stored_value=True)
    caller = shop.caller()
    order = NewOrder(top_ups.house(caller), 5000, "", "Stored value", {})
    top_ups.accept(caller, shop.new_payment(caller, [5000], orders=(order,)), now=seam.now())
    sold = shop.buy(600)
    shop.work()
    refunds.request(sold.pk, Wanted(shop.orders(sold)[0].pk, to_stored_value=True), now=seam.now())
    bought = shop.buy(400, token="")
    stored_value.pay(bought.pk, now=seam.now())
    refunds.request(bought.pk, Wanted(shop.orders(bought)[0].pk, 100), now=seam.now())


def _change(shop: Shop) -> None:
    """Change what was sold for dollars into euros, and a part of it back: for a refund, and for disputes."""
    now = seam.now()
    with transaction.atomic():
        rates.load(EcbFile(f"Date, USD, JPY\n{now.date().isoformat()}, 1.0857, 163.21\n".encode()), now=now)
    Seller.objects.filter(pk=shop.sellers[0].pk).update(settlement_currency="EUR")
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(fx_margin_basis_points=150)
    events = [shop.buy(1777, currency="USD") for _ in range(2)]
    shop.work()
    first, second = (shop.orders(event)[0] for event in events)
    for order in (first, second):
        releases.deliver(order.event_id, order.pk, now=now)
    assert exchange.convert_due(now=now) == 2
    refunds.request(first.event_id, Wanted(first.pk, 555), now=now)
    shop.work()  # what is disputed cannot be refunded any more
    for order, amount in ((first, 700), (second, 1777)):
        intent = Charge.objects.get(pk=order.charge_id).psp_id
        dispute = shop.psp.control("disputes", payment_intent=intent, amount=amount)
        if order is second:
            shop.psp.control(f"disputes/{dispute['id']}/close", status="won", returned=900)
        shop.notify()
        shop.settle_down()


def verify(*words: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    out = StringIO()
    try:
        call_command("verify_books", *words, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_a_sound_story_verifies(story: Shop) -> None:
    code, printed = verify("--json")
    report = json.loads(printed)
    assert (code, report["ok"], report["violations"]) == (0, True, [])
    checked = report["checked"]
    assert (checked["payments"], checked["orders"], checked["transactions"]) == (24, 30, 92)
    assert (checked["disputes"], checked["refunds"]) == (5, 8)
    assert checked["checks"] >= 60
    code, printed = verify()
    assert code == 0
    assert printed.splitlines()[-1].startswith("The books agree (")


def test_an_empty_system_verifies(committed_db: object) -> None:
    code, printed = verify("--json")
    assert code == 0
    assert json.loads(printed)["checked"]["entries"] == 0


def test_a_violation_is_listed_and_ends_with_one(story: Shop, superuser: psycopg.Connection) -> None:
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("UPDATE payments_paymentorder SET ledger_updated = false, wallet_updated = false")
        superuser.execute("UPDATE ledger_entry SET amount = amount + 1 WHERE side = 'D'")
    code, printed = verify("--json")
    report = json.loads(printed)
    assert (code, report["ok"]) == (1, False)
    found = {violation["check"] for violation in report["violations"]}
    assert {"flags_follow_status", "transaction_balances", "success_is_posted_once"} <= found
    assert all(violation["detail"] for violation in report["violations"])
    code, printed = verify()
    assert code == 1
    assert "flags_follow_status: order " in printed


def test_it_looks_at_one_moment_and_cannot_write(story: Shop) -> None:
    """All checks see the same snapshot, so a payment that settles meanwhile is no violation."""
    seen: list[tuple[str, str]] = []
    real = invariants.check

    def check() -> invariants.Findings:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
            seen.append(cursor.fetchone())
        return real()

    with mock.patch.object(invariants, "check", check):
        assert verify("--json")[0] == 0
    assert seen == [("repeatable read", "on")]


PAID = "(SELECT min(id) FROM payments_paymentorder WHERE status = 'SUCCESS')"
LATE = "(SELECT id FROM payments_charge WHERE status = 'LATE_SUCCESS')"

CORRUPTIONS: dict[str, list[str]] = {
    "success_is_posted_once": [
        f"UPDATE payments_paymentorder SET fee_minor = fee_minor + 1, pending_minor = 0 WHERE id = {PAID}",
        f"UPDATE payments_paymentorder SET captured_minor = captured_minor - 1, pending_minor = 0 WHERE id = {PAID}",
        f"UPDATE payments_paymentorder SET status = 'FAILED' WHERE id = {PAID}",
        "UPDATE payments_paymentorder SET status = 'SUCCESS', captured_minor = 700 WHERE status = 'FAILED'",
        "DELETE FROM ledger_transaction WHERE kind = 'settle_charge' AND id % 2 = 0",
        "UPDATE ledger_transaction SET kind = 'late_success' WHERE kind = 'settle_charge'",
        "UPDATE ledger_transaction SET kind = 'settle_charge' WHERE kind = 'stored_pay'",
        "UPDATE ledger_account SET code = 'x' || code WHERE code LIKE 'buyer:%'",
        "UPDATE payments_charge SET stored_value_of = NULL WHERE stored_value_of IS NOT NULL",
        "UPDATE payments_paymentorder SET top_up_of = NULL WHERE top_up_of IS NOT NULL",
        "UPDATE ledger_account SET code = 'x' || code WHERE code LIKE 'seller:%:pending:%'",
        "UPDATE ledger_account SET code = 'x' || code WHERE code LIKE 'fees:%'",
    ],
    "posting_has_its_cause": [
        f"UPDATE payments_paymentorder SET status = 'CANCELLED' WHERE id = {PAID}",
        "UPDATE ledger_transaction SET reference = reference || 'x' WHERE kind = 'settle_refund'",
        "UPDATE ledger_transaction SET reference = reference || 'x' WHERE kind IN ('stored_pay', 'stored_refund')",
        f"UPDATE payments_charge SET status = 'CANCELLED' WHERE id = {LATE}",
        "DELETE FROM payments_disputepart WHERE position = 1",
        "UPDATE payments_payout SET public_id = gen_random_uuid()",
        "UPDATE payments_paymentorder SET released_at = NULL WHERE released_at IS NOT NULL",
        "DELETE FROM payments_reservehold",
        "UPDATE payments_refund SET status = 'succeeded', settled_at = now() WHERE status = 'failed'",
        "DELETE FROM payments_refund WHERE status = 'pending' OR order_id IS NOT NULL",
    ],
    "flags_follow_status": [
        f"UPDATE payments_paymentorder SET ledger_updated = false, wallet_updated = false WHERE id = {PAID}",
        "UPDATE payments_paymentorder SET ledger_updated = true, wallet_updated = true WHERE status = 'FAILED'",
        f"UPDATE payments_paymentorder SET succeeded_at = NULL WHERE id = {PAID}",
    ],
    "charge_equals_its_orders": [
        "UPDATE payments_charge SET captured_minor = captured_minor - 1 WHERE status = 'SUCCEEDED'",
        "UPDATE payments_charge SET amount_minor = amount_minor + 1 WHERE status = 'FAILED'",
        "UPDATE payments_charge SET currency = 'USD' WHERE status = 'SUCCEEDED'",
        "UPDATE payments_charge SET status = 'PROCESSING' WHERE status = 'SUCCEEDED' AND stored_value_of IS NULL",
        f"UPDATE payments_paymentorder SET charge_id = {LATE} WHERE id = {PAID}",
    ],
    "payment_equals_its_orders": [
        "UPDATE payments_paymentevent SET amount_minor = amount_minor + 1",
        "UPDATE payments_paymentorder SET currency = 'USD' WHERE currency = 'JPY'",
    ],
    "late_success_is_refunded": [
        "DELETE FROM payments_refund",
        "UPDATE payments_refund SET amount_minor = amount_minor - 1 WHERE reason = 'late_success'",
        "DELETE FROM ledger_transaction WHERE kind = 'late_success'",
    ],
    "refund_is_posted_once": [
        "UPDATE payments_refund SET status = 'pending'",
        "UPDATE payments_refund SET status = 'failed' WHERE stored_value_of IS NULL",
        "DELETE FROM ledger_transaction WHERE kind = 'stored_refund'",
        "DELETE FROM ledger_transaction WHERE kind = 'settle_refund'",
        "DELETE FROM ledger_transaction WHERE kind = 'refund_returned'",
        "UPDATE payments_refund SET settled_at = NULL WHERE status = 'failed' AND settled_at IS NOT NULL",
    ],
    "refunds_stay_within_capture": [
        "UPDATE payments_refund SET amount_minor = amount_minor + 1 WHERE reason = 'late_success'",
        (
            "UPDATE payments_refund SET amount_minor = 1001, from_pending_minor = 1001 - fee_minor"
            " WHERE status = 'failed' AND settled_at IS NOT NULL"
        ),
        (
            "UPDATE payments_refund SET order_id = (SELECT id FROM payments_paymentorder WHERE status = 'SUCCESS'"
            " ORDER BY captured_minor LIMIT 1) WHERE order_id IS NOT NULL"
        ),
    ],
    "refund_is_split_as_booked": [
        (
            "UPDATE payments_refund SET fee_minor = fee_minor + 1, from_pending_minor = from_pending_minor - 1"
            " WHERE from_pending_minor > 0"
        ),
        (
            "UPDATE payments_refund SET from_debt_minor = 0, from_available_minor = from_debt_minor"
            " WHERE from_debt_minor > 0"
        ),
        "DELETE FROM ledger_transaction WHERE kind = 'request_refund'",
        "UPDATE ledger_account SET code = 'x' || code WHERE code LIKE 'refund:payable:%'",
    ],
    "refund_is_taken_back_once": [
        "DELETE FROM ledger_transaction WHERE kind = 'cancel_refund'",
        "UPDATE payments_refund SET settled_at = now() WHERE status = 'failed' AND settled_at IS NULL",
        "UPDATE payments_refund SET settled_at = NULL WHERE status = 'failed' AND settled_at IS NOT NULL",
        "UPDATE payments_refund SET status = 'pending' WHERE status = 'failed' AND settled_at IS NULL",
    ],
    "refunded_is_of_refunds": [
        "UPDATE payments_paymentorder SET refunded_minor = refunded_minor - 1 WHERE refunded_minor > 0",
        "UPDATE payments_paymentorder SET fee_refunded_minor = 0 WHERE fee_refunded_minor > 0",
        f"UPDATE payments_paymentorder SET refunded_minor = 1 WHERE id = {PAID}",
        "DELETE FROM payments_refund WHERE order_id IS NOT NULL",
        "UPDATE payments_refund SET settled_at = NULL WHERE status = 'failed'",
    ],
    "reserve_is_posted_once": [
        "UPDATE payments_reservehold SET amount_minor = amount_minor + 1",
        "UPDATE payments_reservehold SET freed_at = now(), due_at = NULL WHERE freed_at IS NULL",
        "UPDATE payments_reservehold SET freed_at = NULL, due_at = now() WHERE freed_at IS NOT NULL",
        "DELETE FROM ledger_transaction WHERE kind = 'hold_reserve'",
        "UPDATE payments_reservehold SET amount_minor = amount_minor - 1 WHERE freed_at IS NOT NULL",
    ],
    "debt_has_its_cause": [
        "UPDATE ledger_transaction SET kind = 'release' WHERE kind = 'request_refund'",
    ],
    "wallet_is_never_below_zero": [
        "UPDATE ledger_balance SET floor = -1 WHERE floor = 0",
        "UPDATE ledger_balance SET floor = NULL WHERE floor = 0",
        "UPDATE ledger_balance SET floor = NULL, debits = debits + 10000000 WHERE NOT debit_normal AND floor = 0",
        "UPDATE ledger_account SET mode = 'recording' WHERE code LIKE 'seller:%:debt:%'",
        "DELETE FROM ledger_balance",
    ],
    "debt_is_explained": [
        ("UPDATE payments_disputepart SET debt_minor = 1, pending_minor = pending_minor - 1 WHERE pending_minor > 0"),
        (
            "UPDATE payments_refund SET from_debt_minor = from_debt_minor - 1, fee_minor = fee_minor + 1"
            " WHERE from_debt_minor > 0"
        ),
        "DELETE FROM ledger_transaction WHERE kind = 'request_refund'",
        "UPDATE ledger_transaction SET kind = 'reserve_payout' WHERE kind = 'release'",
    ],
    "quote_follows_its_rate": [
        "UPDATE wallet_quote SET rate_numerator = rate_numerator + rate_denominator / 500",
        "UPDATE wallet_quote SET received_minor = received_minor + 1, rounding_minor = rounding_minor - 1",
        "UPDATE wallet_quote SET margin_minor = margin_minor - 1, received_minor = received_minor + 1",
        "UPDATE wallet_quote SET margin_basis_points = 200",
    ],
    "conversion_is_its_quote": [
        "UPDATE wallet_quote SET amount_minor = amount_minor + 1",
        "UPDATE wallet_quote SET received_minor = received_minor + 1, rounding_minor = rounding_minor - 1",
        "UPDATE wallet_quote SET margin_minor = margin_minor - 1, mid_minor = mid_minor - 1",
        "DELETE FROM ledger_transaction WHERE kind = 'convert'",
        "UPDATE wallet_quote SET executed_at = NULL",
        "UPDATE ledger_account SET code = 'x' || code WHERE code LIKE 'fees:fx:%'",
    ],
    "conversion_is_undone_as_booked": [
        "UPDATE wallet_quote SET undone_minor = undone_minor - 1 WHERE undone_minor > 0",
        "UPDATE wallet_quote SET undone_received_minor = undone_received_minor + 1",
        "UPDATE wallet_quote SET undone_rounding_minor = undone_rounding_minor + 1",
        "UPDATE wallet_quote SET undone_kept_minor = undone_kept_minor + 1 WHERE undone_margin_minor > 0",
        "UPDATE payments_refund SET changed_back_minor = changed_back_minor - 1 WHERE changed_back_minor > 0",
        "UPDATE payments_disputepart SET changed_back_minor = changed_back_minor - 1 WHERE changed_back_minor > 0",
        "DELETE FROM ledger_transaction WHERE kind = 'unconvert'",
        "DELETE FROM ledger_transaction WHERE kind = 'reconvert'",
    ],
    "payout_is_posted_once": [
        "UPDATE payments_payout SET status = 'paid', paid_at = now() WHERE status = 'sent'",
        (
            "UPDATE payments_payout SET status = 'sent', transfer_psp_id = 'x' WHERE status = 'cancelled'"
            " AND bank_account_id IS NULL"
        ),
        "UPDATE payments_payout SET status = 'pending' WHERE status = 'paid' AND bank_account_id IS NOT NULL",
        "UPDATE payments_payout SET status = 'paid' WHERE status = 'returned' AND bank_account_id IS NOT NULL",
        "UPDATE payments_payout SET status = 'sent' WHERE status = 'cancelled' AND bank_account_id IS NOT NULL",
        "UPDATE payments_payout SET status = 'returned' WHERE status = 'paid'",
        "UPDATE payments_payout SET amount_minor = amount_minor + 1 WHERE status = 'paid'",
        "DELETE FROM ledger_transaction WHERE kind = 'pay_out'",
    ],
    "payout_is_explained": [
        "DELETE FROM payments_payoutallocation",
        "UPDATE payments_payoutallocation SET amount_minor = amount_minor - 1",
        "UPDATE payments_payoutallocation SET entry_id = entry_id + 1",
        "UPDATE payments_payoutallocation SET offset_minor = offset_minor + 500000",
        (
            "UPDATE payments_payoutallocation SET position_minor = position_minor - 1"
            " WHERE position_minor > (SELECT min(position_minor) FROM payments_payoutallocation)"
        ),
    ],
    "in_transit_is_of_payouts": [
        "UPDATE payments_payout SET status = 'returned' WHERE status = 'sent'",
        "UPDATE ledger_balance SET credits = credits + 1 WHERE credits > debits",
    ],
    "connected_is_of_payouts": [
        "UPDATE payments_payout SET status = 'paid', paid_at = now() WHERE status = 'sent'",
        "UPDATE ledger_account SET code = 'x' || code WHERE code LIKE 'psp:%:connected:%'",
    ],
    "payout_has_one_transfer": [
        "DROP INDEX one_operation_per_payout_and_kind",
        "UPDATE payments_pspoperation SET kind = 'transfer' WHERE kind = 'payout' AND outcome <> ''",
        "UPDATE payments_pspoperation SET outcome = 'succeeded' WHERE kind = 'transfer'",
    ],
    "payout_goes_on": [
        "UPDATE payments_payout SET due_at = NULL WHERE status = 'sent'",
        "UPDATE payments_payout SET status = 'pending', due_at = NULL WHERE status = 'sent'",
        "UPDATE payments_payout SET status = 'failed' WHERE status = 'sent' AND bank_account_id IS NULL",
    ],
    "bank_file_is_its_payouts": [
        "UPDATE payments_bankfile SET count = count + 1",
        "UPDATE payments_bankfile SET total_minor = total_minor - 1",
        "DELETE FROM payments_bankinstruction WHERE withdrawn_at IS NULL",
        "UPDATE payments_bankinstruction SET end_to_end_id = 'x' || end_to_end_id",
        "UPDATE payments_bankinstruction SET amount_minor = amount_minor + 1",
        "UPDATE payments_bankfile SET status = 'withdrawn' WHERE status = 'ready'",
        "UPDATE payments_bankinstruction SET withdrawn_at = now() WHERE booked_on IS NULL AND refused_on IS NULL",
    ],
    "bank_payout_was_told_once": [
        "UPDATE payments_payout SET status = 'pending' WHERE status = 'sent' AND bank_account_id IS NOT NULL",
        "UPDATE payments_bankinstruction SET booked_on = NULL, returned_on = NULL WHERE booked_on IS NOT NULL",
        "UPDATE payments_bankinstruction SET returned_on = booked_on WHERE booked_on > '2000-01-01'",
        "UPDATE payments_bankinstruction SET refused_on = NULL WHERE refused_on IS NOT NULL",
        "UPDATE payments_bankfile SET status = 'ready' WHERE status = 'handed_out'",
        "UPDATE payments_bankfile SET status = 'handed_out' WHERE status = 'ready'",
    ],
    "bank_file_hand_outs_are_told": [
        "DELETE FROM payments_bankfilehandout",
        "UPDATE payments_bankfilehandout SET number = number + 1",
        "UPDATE payments_bankfile SET status = 'handed_out' WHERE status = 'ready'",
    ],
    "answered_bank_file_has_its_answers": [
        "UPDATE payments_bankfile SET status = 'answered' WHERE status = 'handed_out'",
        "UPDATE payments_payout SET status = 'paid', paid_at = now() WHERE status = 'sent' AND bank_account_id > 0",
    ],
    "history_is_legal": [
        "UPDATE payments_transition SET source = 'CANCELLED' WHERE target = 'SUCCESS'",
        "DELETE FROM payments_transition WHERE machine = 'payments_charge' AND target = 'PROCESSING'",
        (
            "INSERT INTO payments_transition (machine, object_id, source, target)"
            " SELECT 'payments_paymentorder', id, status, 'EXECUTING' FROM payments_paymentorder"
            " WHERE status = 'CANCELLED'"
        ),
    ],
    "history_ends_in_the_present": [
        "DELETE FROM payments_transition WHERE target = 'SUCCESS'",
        "UPDATE payments_paymentorder SET id = id + 1000000000 WHERE status = 'SUCCESS'",
    ],
    "one_open_operation_per_charge_and_kind": [
        "DROP INDEX one_open_operation_per_charge_and_kind",
        (
            "UPDATE payments_pspoperation SET kind = 'confirm', closed_at = NULL, state = 'PREPARED', outcome = ''"
            " WHERE kind IN ('confirm', 'register')"
        ),
    ],
    "done_left_its_effect": [
        "UPDATE payments_charge SET status = 'FAILED' WHERE status = 'SUCCEEDED' AND stored_value_of IS NULL",
        "UPDATE payments_charge SET psp_id = NULL WHERE status = 'SUCCEEDED'",
    ],
    "tenants_are_apart": [
        "UPDATE payments_paymentorder SET book_id = book_id + 1000",
        "UPDATE payments_seller SET book_id = book_id + 1000",
        "UPDATE payments_pspaccount SET book_id = book_id + 1000",
        "UPDATE payments_refund SET book_id = book_id + 1000",
        "UPDATE payments_dispute SET book_id = book_id + 1000",
        "UPDATE payments_pspoperation SET book_id = book_id + 1000",
    ],
    "wallet_holds_what_was_earned": [
        f"UPDATE payments_paymentorder SET fee_minor = fee_minor + 1, pending_minor = 0 WHERE id = {PAID}",
        "UPDATE ledger_balance SET credits = credits + 1, version = version + 1 WHERE credits > debits",
        "DELETE FROM wallet_wallet",
    ],
    "manual_journal_was_approved": [
        f"UPDATE ledger_transaction SET kind = '{kind}' WHERE kind = 'settle_charge'"
        for kind in ("adjust", "write_off", "year_end_close", "reversal", "partial_reversal", "withdraw_fees")
    ],
    "pending_is_of_orders": [
        f"UPDATE payments_paymentorder SET pending_minor = pending_minor - 1 WHERE id = {PAID}",
        "UPDATE payments_paymentorder SET pending_minor = 0",
        "UPDATE ledger_balance SET credits = credits + 1 WHERE credits > debits",
    ],
    "dispute_is_posted_once": [
        "DELETE FROM ledger_transaction WHERE kind = 'open_dispute'",
        "DELETE FROM ledger_transaction WHERE kind = 'win_dispute'",
        "DELETE FROM ledger_transaction WHERE kind = 'lose_dispute'",
        "UPDATE ledger_transaction SET reference = reference || 'x' WHERE kind = 'win_dispute'",
        "UPDATE payments_dispute SET cost_minor = cost_minor + 1",
        "UPDATE payments_disputepart SET amount_minor = amount_minor + 1, excess_minor = excess_minor + 1",
        (
            "UPDATE payments_disputepart SET pending_minor = pending_minor - 1, fee_minor = fee_minor + 1"
            " WHERE pending_minor > 0"
        ),
    ],
    "dispute_equals_its_parts": [
        "UPDATE payments_dispute SET taken_minor = taken_minor + 1",
        "UPDATE payments_dispute SET status = 'won' WHERE status = 'needs_response'",
        "UPDATE payments_dispute SET status = 'needs_response' WHERE status = 'lost'",
        "UPDATE payments_dispute SET status = 'won' WHERE status = 'lost'",
        "DELETE FROM payments_disputepart WHERE position = 2",
    ],
    "held_is_of_open_disputes": [
        "UPDATE payments_dispute SET taken_minor = taken_minor - 1 WHERE status = 'needs_response'",
        "UPDATE payments_dispute SET lost_minor = 0 WHERE status = 'lost'",
        "UPDATE ledger_account SET code = 'x' || code WHERE code LIKE 'psp:%:dispute_held:%'",
    ],
    "disputed_is_of_disputes": [
        "UPDATE payments_paymentorder SET disputed_minor = disputed_minor + 1 WHERE disputed_minor > 0",
        f"UPDATE payments_paymentorder SET disputed_minor = 5 WHERE id = {PAID}",
        "DELETE FROM payments_disputepart WHERE lost_minor > 0",
    ],
    "open_dispute_is_watched": ["UPDATE payments_dispute SET due_at = NULL"],
    "stored_value_is_of_buyers": [
        "UPDATE payments_paymentorder SET top_up_of = NULL WHERE top_up_of IS NOT NULL",
        "UPDATE payments_paymentorder SET captured_minor = captured_minor - 1 WHERE top_up_of IS NOT NULL",
        "UPDATE payments_charge SET captured_minor = captured_minor - 1 WHERE stored_value_of IS NOT NULL",
        "UPDATE payments_charge SET stored_value_of = NULL WHERE stored_value_of IS NOT NULL",
        "UPDATE payments_refund SET stored_value_of = NULL WHERE stored_value_of IS NOT NULL",
        "UPDATE payments_refund SET status = 'pending' WHERE stored_value_of IS NOT NULL",
        "UPDATE ledger_transaction SET kind = 'adjust' WHERE kind = 'stored_pay'",
    ],
    "wallet_has_its_accounts": ["DELETE FROM ledger_account WHERE code LIKE 'seller:%:debt:EUR'"],
    "terminal_status_is_published_once": [
        "DELETE FROM payments_outboxmessage WHERE type = 'payment.succeeded'",
        (
            "INSERT INTO payments_outboxmessage (public_id, book_id, type, subject_kind, subject_id, data, created_at)"
            " SELECT gen_random_uuid(), book_id, type, subject_kind, subject_id, data, created_at"
            " FROM payments_outboxmessage WHERE type = 'payment.cancelled'"
        ),
    ],
    "nothing_is_stuck": [
        "UPDATE payments_clockshift SET shift = '1 hour'",
        "UPDATE payments_reservehold SET due_at = now() - interval '1 hour' WHERE freed_at IS NULL",
        (
            "UPDATE payments_paymentorder SET release_due_at = now() - interval '1 hour'"
            " WHERE released_at IS NULL AND pending_minor > 0"
        ),
    ],
    "unknown_is_resolved": [
        (
            "UPDATE payments_pspoperation SET state = 'UNKNOWN', outcome = '', closed_at = NULL,"
            " error_code = 'psp_timeout', first_sent_at = now() - interval '31 minutes'"
        ),
    ],
    "payment_status_is_derived": [
        "UPDATE payments_paymentevent SET status = 'processing' WHERE status = 'succeeded'",
        "UPDATE payments_paymentevent SET status = 'failed' WHERE status = 'requires_action'",
        "UPDATE payments_paymentevent SET next_action = '{}' WHERE status = 'failed'",
    ],
}
# Both statements are one corruption.
TOGETHER = {"one_open_operation_per_charge_and_kind", "payout_has_one_transfer"}


def is_found(check: str, superuser: psycopg.Connection, corruption: Sequence[str]) -> bool:
    """Corrupt inside a transaction that is rolled back, and say whether a check notices; no other check is run."""

    def run(checks: dict[str, str]) -> list[Violation]:
        return run_all({name: query for name, query in checks.items() if name == check})

    run_all = invariants._run
    with superuser.transaction(force_rollback=True):
        superuser.execute("SET LOCAL session_replication_role = replica")
        for statement in corruption:
            assert superuser.execute(statement).rowcount != 0, statement
        with mock.patch.object(invariants, "connection", superuser), mock.patch.object(invariants, "_run", run):
            return check in {violation.check for violation in invariants.check().violations}


def test_every_check_finds_its_corruptions(story: Shop, superuser: psycopg.Connection) -> None:
    assert set(CORRUPTIONS) == set(invariants.names())
    set_due(superuser)
    tries = [
        (check, corruption)
        for check, statements in CORRUPTIONS.items()
        for corruption in ([statements] if check in TOGETHER else [[statement] for statement in statements])
    ]
    missed = [(check, corruption) for check, corruption in tries if not is_found(check, superuser, corruption)]
    assert missed == []


def set_due(superuser: psycopg.Connection) -> None:
    """Leave one piece of work due now."""
    superuser.execute(
        "UPDATE payments_pspnotification SET due_at = now() WHERE id = (SELECT max(id) FROM payments_pspnotification)"
    )


def test_what_a_person_must_look_at_is_a_warning_and_no_violation(story: Shop, superuser: psycopg.Connection) -> None:
    superuser.execute(
        "UPDATE payments_pspoperation SET state = 'DEAD', dead_at = now(), closed_at = NULL, due_at = NULL,"
        " outcome = '' WHERE id = (SELECT max(id) FROM payments_pspoperation WHERE kind = 'register')"
    )
    superuser.execute(
        "UPDATE payments_pspnotification SET dead_at = now(), due_at = NULL, processed_at = NULL"
        " WHERE id = (SELECT max(id) FROM payments_pspnotification)"
    )
    code, printed = verify("--json")
    report = json.loads(printed)
    assert code == 0
    assert {warning["check"] for warning in report["warnings"]} == {
        "dead_notification",
        "dead_operation",
        "refund_needs_a_person",
    }


def test_work_under_way_is_no_violation(shop: Shop) -> None:
    """Accepted, registered and waiting payments are sound at every step."""
    for token in ("pm_card_visa", "", "pm_sandbox_delayed_success"):
        shop.buy(1000, 500, token=token)
        assert verify("--json")[0] == 0
    for _ in range(20):
        shop.work(rounds=60)
        assert verify("--json")[0] == 0
        if not PspOperation.objects.filter(due_at__isnull=False).exists():
            break


def test_inside_a_transaction_it_checks_what_that_transaction_sees(story: Shop) -> None:
    with transaction.atomic():
        code, printed = verify("--json")
    report: dict[str, Any] = json.loads(printed)
    assert (code, report["ok"]) == (0, True)
