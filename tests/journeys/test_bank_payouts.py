"""Payouts through the merchant's own bank: what goes into a file, who gets it, and what the bank says of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from lxml import etree

from config import seam
from ledger.ids import public_id
from ledger.models import Transaction
from payments import (
    bank_files,
    bank_payouts,
    destinations,
    executor,
    explaining,
    payout_stops,
    payouts,
    runs,
    schedules,
)
from payments.bank_accounts import gb_bank, iban
from payments.errors import PaymentsError
from payments.models import (
    BankFile,
    BankFileHandOut,
    BankInstruction,
    MerchantBook,
    OutboxMessage,
    Payout,
    PspAccount,
    PspFunding,
    PspOperation,
    Run,
    Seller,
)
from payments.sepa import as_id
from tests.bank import CHECKER, MAKER, OTHER_IBAN, OUR_IBAN, Bank, again, fact, yesterday
from tests.ledger.desk import sqlstate_of
from tests.market import BOUNCING_IBAN, Market
from tests.shop import Shop

_S, _F = Payout.Status, BankFile.Status
SPACE = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}


def refused(call: Any, *arguments: Any, **named: Any) -> str:
    """Return the code of the refusal that a call meets."""
    with pytest.raises(PaymentsError) as refusal:
        call(*arguments, **named)
    return refusal.value.code


def state(bank: Bank) -> dict[str, Any]:
    """Return what a refusal must leave alone."""
    return {
        "journals": bank.market.shop.journals(),
        "payouts": list(Payout.objects.order_by("pk").values()),
        "files": list(BankFile.objects.order_by("pk").values()),
        "instructions": list(BankInstruction.objects.order_by("pk").values()),
        "hand_outs": BankFileHandOut.objects.count(),
        "facts": OutboxMessage.objects.count(),
    }


# --- the way of the money ------------------------------------------------------------------------------------------


def test_a_payout_is_put_in_a_file_handed_out_and_booked(shop: Shop, market: Market, bank: Bank) -> None:
    (payout,) = bank.ready(9_000)
    assert (payout.status, payout.waiting_for, payout.due_at, payout.psp_account_id) == ("pending", "file", None, None)
    executor.execute()
    assert PspOperation.objects.filter(payout__isnull=False).count() == PspFunding.objects.count() == 0
    file = bank.made()
    assert (file.status, file.count, file.total_minor, again(payout).waiting_for) == (_F.READY, 1, 9_000, "")
    assert market.wallet()["in_transit"] == 9_000
    got = bank.hand_out(file)
    assert (again(payout).status, got.number) == (_S.SENT, 1)
    shop.check()
    assert bank.says("booked", [payout], booked_on=yesterday()) == ["done"]
    assert (again(payout).status, market.wallet()["in_transit"], bank.balance()) == (_S.PAID, 0, 0)
    assert market.movements(payout) == ["reserve_payout", "bank_payout"]
    posted = Transaction.objects.get(kind="bank_payout")
    assert posted.effective_at == payout.created_at, "the bank's day, but not before there was a payout"
    file.refresh_from_db()
    assert file.status == _F.ANSWERED
    facts = OutboxMessage.objects.filter(subject_kind="payout", subject_id=payout.pk).order_by("id")
    assert [one.type for one in facts] == ["payout.pending", "payout.sent", "payout.paid"]
    assert [one.data["version"] for one in facts] == [1, 2, 3]
    shop.check()


def test_the_file_says_who_pays_whom_how_much_and_under_which_reference(bank: Bank) -> None:
    market = bank.market
    name = "Çelik & Söhne «Töpferei» Ελλάδα"
    destinations.put(market.seller, iban(BOUNCING_IBAN, name), currency="EUR", actor="tests", now=seam.now())
    rows = bank.ready(9_000, 1, 123_456)
    file = bank.made()
    got = bank.hand_out(file)
    assert hashlib.sha256(got.content).hexdigest() == got.sha256 == bytes(file.sha256).hex()
    assert BOUNCING_IBAN.encode() in got.content
    assert BOUNCING_IBAN.encode() not in bytes(file.content), "at rest it is sealed"
    root = etree.fromstring(got.content)
    message = as_id(public_id("bfl", file.public_id))
    assert root.findtext(".//p:GrpHdr/p:MsgId", namespaces=SPACE) == message
    assert root.findtext(".//p:PmtInf/p:PmtInfId", namespaces=SPACE) == message
    assert root.findtext(".//p:PmtInf/p:BtchBookg", namespaces=SPACE) == "false"
    assert [one.text for one in root.iterfind(".//p:NbOfTxs", SPACE)] == ["3", "3"]
    assert [one.text for one in root.iterfind(".//p:CtrlSum", SPACE)] == ["1324.57", "1324.57"]
    assert root.findtext(".//p:DbtrAcct/p:Id/p:IBAN", namespaces=SPACE) == OUR_IBAN
    assert root.findtext(".//p:DbtrAgt/p:FinInstnId/p:BICFI", namespaces=SPACE) == "BYLADEM1001"
    assert root.findtext(".//p:Dbtr/p:Nm", namespaces=SPACE) == "Market Sohne GmbH"
    assert root.findtext(".//p:ReqdExctnDt/p:Dt", namespaces=SPACE) == file.execution_on.isoformat()
    told = [
        (one.findtext("p:PmtId/p:EndToEndId", namespaces=SPACE), one.findtext("p:Amt/p:InstdAmt", namespaces=SPACE))
        for one in root.iterfind(".//p:CdtTrfTxInf", SPACE)
    ]
    amounts = ["90.00", "0.01", "1234.56"]
    ids = [as_id(public_id("pyo", row.public_id)) for row in rows]
    assert told == list(zip(ids, amounts, strict=True))
    assert all(len(one) <= 35 for one in ids)
    assert root.findtext(".//p:Cdtr/p:Nm", namespaces=SPACE) == "Celik Sohne Topferei Ellada"


def test_without_a_bic_and_in_the_older_schema_the_file_is_valid_too(bank: Bank) -> None:
    bank.account = bank.set_down(bic="", schema="pain.001.001.03")
    bank.ready(5_000)
    content = bank.hand_out(bank.made()).content
    assert b"pain.001.001.03" in content
    assert b"<Id>NOTPROVIDED</Id>" in content


def test_a_payout_that_the_bank_refuses_is_available_again(shop: Shop, market: Market, bank: Bank) -> None:
    refused_one, other = bank.sent(4_000, 5_000)
    before = market.wallet()["available"]
    assert bank.says("rejected", [refused_one]) == ["done"]
    assert again(refused_one).status == _S.CANCELLED
    assert refused_one.failure is not None
    assert (refused_one.failure["code"], refused_one.failure["psp_code"]) == ("payout_failed", "AC04")
    assert market.wallet()["available"] == before + 4_000
    assert market.movements(refused_one) == ["reserve_payout", "cancel_payout"]
    assert BankFile.objects.get().status == _F.HANDED_OUT
    assert bank.says("booked", [other]) == ["done"]
    assert BankFile.objects.get().status == _F.ANSWERED
    assert bank.balance() == 4_000
    shop.check()


def test_a_payout_that_comes_back_is_available_again_and_explained(shop: Shop, market: Market, bank: Bank) -> None:
    (payout,) = bank.sent(9_000)
    assert bank.says("returned", [payout]) == ["wrong_state"], "it was not booked yet"
    assert bank.says("booked", [payout]) == ["done"]
    available = market.wallet()["available"]
    assert bank.says("returned", [payout], bank_reference="R-1") == ["done"]
    assert (again(payout).status, market.wallet()["available"], bank.balance()) == (
        _S.RETURNED,
        available + 9_000,
        9_000,
    )
    assert market.movements(payout) == ["reserve_payout", "bank_payout", "return_bank_payout"]
    second = market.ask(None)
    came_back = [part for part in explaining.explain(second)["pays"] if part["kind"] == "return_bank_payout"]
    assert [(part["amount"], part["payout"]) for part in came_back] == [
        ("90.00", public_id("pyo", payout.public_id)),
    ]
    assert sum(float(leaf["amount"]) for leaf in came_back[0]["pays"]) == 90
    shop.check()


# --- what the bank says twice, wrong or out of order ---------------------------------------------------------------


def test_a_fact_that_is_told_again_writes_nothing(bank: Bank) -> None:
    rows = bank.sent(4_000, 5_000)
    assert bank.says("booked", [rows[0], rows[0], rows[1]]) == ["done", "exists", "done"]
    before = state(bank)
    assert bank.says("booked", rows) == ["exists", "exists"]
    assert bank.says("booked", rows, bank_reference="") == ["exists", "exists"]
    assert state(bank) == before
    assert bank.says("returned", [rows[0]], bank_reference="R") == ["done"]
    before = state(bank)
    assert bank.says("returned", [rows[0]], bank_reference="R") == ["exists"]
    assert bank.says("booked", [rows[0]]) == ["exists"]
    assert state(bank) == before


def test_money_that_the_bank_took_or_gave_twice_is_no_repetition(bank: Bank) -> None:
    (payout,) = bank.sent(4_000)
    bank.says("booked", [payout], bank_reference="B-1")
    before = state(bank)
    assert bank.says("booked", [payout], bank_reference="B-2") == ["wrong_state"]
    assert state(bank) == before
    bank.says("returned", [payout], bank_reference="R-1")
    before = state(bank)
    assert bank.says("returned", [payout], bank_reference="R-2") == ["wrong_state"]
    assert state(bank) == before


@pytest.mark.parametrize("what", ["booked", "returned", "rejected"])
def test_what_does_not_fit_is_answered_and_changes_nothing(bank: Bank, what: str) -> None:
    (payout,) = bank.sent(4_000)
    if what == "returned":
        bank.says("booked", [payout])
    before = state(bank)
    assert bank.says(what, [payout], amount_minor=3_999) == ["amount_differs"]
    assert bank.says(what, [payout], currency="USD") == ["amount_differs"]
    unknown = as_id(public_id("pyo", seam.new_uuid()))
    for name in (unknown, "NOTPROVIDED", "", "pyo-", "x" * 400, public_id("ord", payout.public_id)):
        assert bank.says(what, [payout], end_to_end_id=name) == ["unknown_reference"]
    other = getattr(bank_payouts, what)(bank.book_id + 1_000_000, [], actor="tests", now=seam.now())
    assert other == []
    assert state(bank) == before


def test_a_payout_of_another_book_or_of_a_psp_is_unknown(shop: Shop, market: Market, bank: Bank) -> None:
    (payout,) = bank.sent(4_000)
    PspAccount.objects.filter(book_id=bank.book_id).update(payout_mode="psp")
    through_psp = market.ask(1_000)
    before = state(bank)
    assert bank.says("booked", [through_psp]) == ["unknown_reference"]
    from tests.factories import tenant  # another merchant

    elsewhere = bank_payouts.booked(tenant().book.pk, [fact(payout)], actor="tests", now=seam.now())
    assert [one.outcome for one in elsewhere] == ["unknown_reference"]
    assert state(bank) == before


def test_a_bank_may_write_our_reference_in_its_own_way(bank: Bank) -> None:
    rows = bank.sent(1_000, 2_000, 3_000)
    ids = [public_id("pyo", row.public_id) for row in rows]
    spelled = [ids[0], as_id(ids[1]).upper(), f" {as_id(ids[2])} "]
    facts = [fact(row, end_to_end_id=name) for row, name in zip(rows, spelled, strict=True)]
    answers = bank_payouts.booked(bank.book_id, facts, actor="tests", now=seam.now())
    assert [one.outcome for one in answers] == ["done"] * 3


def test_what_was_refused_is_never_booked_and_what_was_booked_is_never_refused(bank: Bank) -> None:
    one, other = bank.sent(4_000, 5_000)
    bank.says("rejected", [one])
    bank.says("booked", [other])
    before = state(bank)
    assert bank.says("booked", [one]) == bank.says("rejected", [other]) == ["wrong_state"]
    assert bank.says("rejected", [one]) == ["exists"]
    assert state(bank) == before


def test_what_was_never_handed_out_was_never_paid(bank: Bank) -> None:
    waiting, *_ = bank.ready(4_000)
    assert bank.says("booked", [waiting]) == ["unknown_reference"]
    bank.made()
    before = state(bank)
    for what in ("booked", "returned", "rejected"):
        assert bank.says(what, [waiting]) == ["wrong_state"]
    assert state(bank) == before


def test_a_file_says_what_is_in_it_to_a_bank_that_books_it_in_one_sum(bank: Bank) -> None:
    rows = bank.sent(4_000, 5_000)
    name = as_id(public_id("bfl", BankFile.objects.get().public_id))
    facts = bank_payouts.of_file(bank.book_id, name.upper(), on=yesterday())
    assert [(one.amount_minor, one.end_to_end_id) for one in facts] == [
        (row.amount_minor, as_id(public_id("pyo", row.public_id))) for row in rows
    ]
    assert bank_payouts.of_file(bank.book_id, "nothing", on=yesterday()) == []
    assert bank_payouts.of_file(bank.book_id + 1, name, on=yesterday()) == []


def test_two_statements_read_at_once_book_a_transfer_once(bank: Bank) -> None:
    rows = bank.sent(*range(1_000, 1_020))

    def read(_number: int) -> Counter[str]:
        try:
            return Counter(bank.says("booked", rows))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = sum(pool.map(read, range(4)), Counter())
    assert answers == {"done": 20, "exists": 60}
    assert Transaction.objects.filter(kind="bank_payout").count() == 20


# --- what goes into a file -----------------------------------------------------------------------------------------


def test_no_more_is_put_into_files_than_the_bank_holds_and_what_fits_passes(bank: Bank) -> None:
    market = bank.market
    market.earn(30_000)
    bank.receive(10_000)
    first, second, third = market.ask(8_000), market.ask(5_000), market.ask(2_000)
    file = bank.made()
    assert [again(row).waiting_for for row in (first, second, third)] == ["", "funding", ""]
    assert file.total_minor == 10_000
    assert bank.make() is None, "what is in files is not there any more"
    bank.hand_out(file)
    assert bank.make() is None
    bank.says("booked", [again(first), again(third)])
    assert bank.make() is None
    bank.receive(5_000)
    assert bank.made().count == 1
    market.shop.check()


def test_what_changed_about_the_seller_holds_a_payout_back(bank: Bank) -> None:
    payout, *_ = bank.ready(4_000)
    Seller.objects.filter(pk=bank.market.seller.pk).update(kyc_status="rejected")
    assert bank.make() is None
    assert (again(payout).status, payout.waiting_for) == (_S.PENDING, "seller")
    Seller.objects.filter(pk=bank.market.seller.pk).update(kyc_status="verified")
    assert bank.made().count == 1


def test_a_changed_bank_account_ends_a_payout_or_voids_its_approval(shop: Shop, market: Market, bank: Bank) -> None:
    plain, *_ = bank.ready(4_000)
    market.earn(10_000)
    MerchantBook.objects.filter(pk=bank.book_id).update(payout_approval_above={"EUR": 4_000})
    approved = payouts.approve(market.ask(4_001).pk, actor="user:bob", now=seam.now())
    assert approved.waiting_for == "file"
    market.destination(market.seller, iban=BOUNCING_IBAN)
    bank.receive(10_000)
    assert bank.make() is None
    assert (again(plain).status, again(approved).status, approved.approved_by) == (
        _S.CANCELLED,
        _S.REQUIRES_APPROVAL,
        None,
    )
    payouts.approve(approved.pk, actor="user:bob", now=seam.now())
    file = bank.made()
    assert (file.status, file.count) == (_F.REQUIRES_APPROVAL, 1)
    bank_files.approve(file.pk, actor=CHECKER, now=seam.now())
    assert BOUNCING_IBAN.encode() in bank.hand_out(file).content
    shop.check()


def test_a_bank_account_that_changes_before_the_hand_out_holds_the_file_back(bank: Bank) -> None:
    market = bank.market
    payout, *_ = bank.ready(4_000)
    file = bank.made()
    market.destination(market.seller, iban=BOUNCING_IBAN)
    before = state(bank)
    assert refused(bank.hand_out, file) == "bank_file_outdated"
    assert state(bank) == before
    bank_files.withdraw(file.pk, actor=MAKER, now=seam.now())
    assert bank.make() is None
    assert again(payout).status == _S.CANCELLED
    market.shop.check()


def test_a_stopped_book_makes_no_file_and_hands_none_out(bank: Bank) -> None:
    from ledger.invariants import Violation

    bank.ready(4_000)
    file = bank.made()
    bank.ready(1_000)
    payout_stops.stop([Violation("book_sums_to_zero", "wrong", bank.book_id)], actor="tests", now=seam.now())
    before = state(bank)
    assert refused(bank.make) == refused(bank.hand_out, file) == "payouts_stopped"
    assert state(bank) == before


# --- what is refused -----------------------------------------------------------------------------------------------


def test_what_our_bank_cannot_pay_is_refused_and_nothing_moves(bank: Bank) -> None:
    market = bank.market
    market.earn(20_000)
    Seller.objects.filter(pk=market.seller.pk).update(
        payout_schedule={"interval": "manual", "minimum": "50.00"}, default_currency="EUR"
    )
    before = state(bank)
    assert refused(market.ask, 4_999) == "payout_below_minimum"
    assert refused(market.ask, 18_001) == "insufficient_available_balance"
    assert refused(market.ask, 6_000, currency="USD") == "payout_currency_not_sepa"
    british = gb_bank("20-00-00", "12345678", "Ann Example")
    destinations.put(market.seller, british, currency="EUR", actor="tests", now=seam.now())
    assert refused(market.ask, 6_000) == "payout_destination_not_sepa"
    brazilian = iban("BR1800360305000010009795493C1", "Ann Example")
    destinations.put(market.seller, brazilian, currency="EUR", actor="tests", now=seam.now())
    assert refused(market.ask, 6_000) == "payout_destination_not_sepa"
    assert state(bank) == before


def test_without_a_bank_account_of_its_own_a_merchant_pays_nothing(shop: Shop, market: Market) -> None:
    PspAccount.objects.filter(book=shop.tenant.book).update(payout_mode="bank")
    market.earn(10_000)
    assert refused(market.ask, 1_000) == "no_bank_account"
    assert Payout.objects.count() == 0


def test_an_approval_for_an_account_that_our_bank_cannot_reach_is_refused(bank: Bank) -> None:
    market = bank.market
    MerchantBook.objects.filter(pk=bank.book_id).update(payout_approval_above={"EUR": 1})
    market.earn(20_000)
    payout = market.ask(4_000)
    british = gb_bank("20-00-00", "12345678", "Ann Example")
    destinations.put(market.seller, british, currency="EUR", actor="tests", now=seam.now())
    assert refused(payouts.approve, payout.pk, actor="user:bob", now=seam.now()) == "payout_destination_not_sepa"
    assert again(payout).status == _S.REQUIRES_APPROVAL


def test_a_payout_is_cancelled_while_it_waits_and_not_once_it_is_in_a_file(bank: Bank) -> None:
    first, second = bank.ready(4_000, 5_000)
    payouts.cancel(first.pk, now=seam.now())
    assert again(first).status == _S.CANCELLED
    file = bank.made()
    assert file.count == 1
    before = state(bank)
    assert refused(payouts.cancel, second.pk, now=seam.now()) == "payout_not_cancellable"
    assert state(bank) == before
    bank_files.withdraw(file.pk, actor=MAKER, now=seam.now())
    payouts.cancel(second.pk, now=seam.now())
    bank.market.shop.check()


# --- who may what --------------------------------------------------------------------------------------------------


def test_a_file_above_the_threshold_is_approved_by_somebody_else(bank: Bank) -> None:
    MerchantBook.objects.filter(pk=bank.book_id).update(payout_approval_above={"EUR": 8_999})
    bank.ready(4_000, 5_000)
    file = bank.made()
    assert file.status == _F.REQUIRES_APPROVAL
    before = state(bank)
    assert refused(bank.hand_out, file) == "invalid_state"
    assert refused(bank_files.approve, file.pk, actor=MAKER, now=seam.now()) == "maker_is_not_checker"
    with pytest.raises(DatabaseError, match="bank_file_is_approved_by_somebody_else"), transaction.atomic():
        BankFile.objects.filter(pk=file.pk).update(status="ready", approved_by=MAKER, approved_at=seam.now())
    with pytest.raises(DatabaseError, match="nobody approved it"), transaction.atomic():
        BankFile.objects.filter(pk=file.pk).update(status="ready")
    assert state(bank) == before
    bank_files.approve(file.pk, actor=CHECKER, now=seam.now())
    assert refused(bank_files.approve, file.pk, actor=CHECKER, now=seam.now()) == "invalid_state"
    assert bank.hand_out(file).number == 1


def test_the_same_file_handed_out_twice_is_the_same_and_shows(bank: Bank) -> None:
    (payout,) = bank.ready(4_000)
    file = bank.made()
    first, second = bank.hand_out(file), bank_files.hand_out(file.pk, actor=CHECKER, now=seam.now())
    assert first.content == second.content
    assert (first.number, second.number) == (1, 2)
    assert list(BankFileHandOut.objects.order_by("number").values_list("number", "actor")) == [(1, MAKER), (2, CHECKER)]
    assert bank.market.movements(payout) == ["reserve_payout"]
    assert OutboxMessage.objects.filter(type="payout.sent").count() == 1
    from payments import invariants

    assert "bank_file_handed_out_twice" in {one.check for one in invariants.check().warnings}


def test_a_withdrawn_file_is_never_handed_out_and_its_payouts_go_into_the_next(bank: Bank) -> None:
    payout, *_ = bank.ready(4_000)
    file = bank.made()
    bank_files.withdraw(file.pk, actor=MAKER, now=seam.now())
    assert again(payout).waiting_for == "file"
    assert refused(bank.hand_out, file) == "invalid_state"
    assert refused(bank_files.withdraw, file.pk, actor=MAKER, now=seam.now()) == "invalid_state"
    other = bank.made()
    assert other.pk != file.pk
    bank.hand_out(other)
    assert refused(bank_files.withdraw, other.pk, actor=MAKER, now=seam.now()) == "invalid_state"
    assert bank.says("booked", [again(payout)]) == ["done"]
    assert refused(bank_files.withdraw, 0, actor=MAKER, now=seam.now()) == "not_found"
    bank.market.shop.check()


def test_two_workers_on_one_run_make_one_file(bank: Bank) -> None:
    bank.ready(*range(1_000, 1_010))

    def work(_number: int) -> int:
        try:
            return len(bank_files.make_all(bank.book_id, actor="run", now=seam.now()))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(4))) == [0, 0, 0, 1]
    assert BankFile.objects.get().count == 10


def test_a_run_makes_as_many_files_as_it_needs_and_begun_again_none(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = bank.ready(1_000, 2_000, 3_000, 4_000, 5_000)
    monkeypatch.setattr(bank_files, "MAX_PAYOUTS", 2)
    run = Run(kind="bank_files", book_id=bank.book_id, period="2026-11-21")
    result = bank_files.run_book(run, seam.now())
    assert (len(result["files"]), result["payouts"], result["total_minor"]) == (3, 5, 15_000)
    assert bank_files.run_book(run, seam.now())["files"] == []
    assert [again(row).waiting_for for row in rows] == [""] * 5
    assert runs.registry.kinds["bank_files"].per_book
    bank.market.shop.check()


def test_scheduled_payouts_go_through_the_bank_too_and_pass_over_whom_it_cannot_reach(bank: Bank) -> None:
    market = bank.market
    seller = market.seller
    market.earn(20_000)
    daily = {"interval": "daily"}
    Seller.objects.filter(pk=seller.pk).update(payout_schedule=daily, created_at=seam.now() - timedelta(days=3))
    british = gb_bank("20-00-00", "12345678", "Ann Example")
    destinations.put(seller, british, currency="EUR", actor="tests", now=seam.now())
    today = seam.now().date()
    for day in (today, today + timedelta(days=1)):
        run = Run(kind="payouts", book_id=bank.book_id, period=day.isoformat())
        made = schedules.run_book(run, seam.now())
        assert made["payouts"] == (0 if day == today else 1)
        market.destination(seller)
    payout = Payout.objects.get()
    assert (payout.bank_account_id, payout.waiting_for) == (bank.account.pk, "file")


def test_a_file_is_executed_on_a_day_on_which_euro_is_settled(bank: Bank) -> None:
    bank.ready(4_000, 5_000)
    for now, day in (
        (datetime(2026, 11, 21, 6, tzinfo=UTC), date(2026, 11, 23)),  # a Saturday
        (datetime(2026, 12, 25, 6, tzinfo=UTC), date(2026, 12, 28)),
        (datetime(2026, 11, 23, 6, tzinfo=UTC), date(2026, 11, 23)),
    ):
        file = bank_files.make(bank.account.pk, actor=MAKER, now=max(now, seam.now()))
        assert file is not None
        assert file.execution_on == (day if now >= seam.now() else file.execution_on)
        bank_files.withdraw(file.pk, actor=MAKER, now=seam.now())


def test_another_account_pays_what_is_asked_for_from_now_on(bank: Bank) -> None:
    before, *_ = bank.ready(4_000)
    assert bank.set_down().pk == bank.account.pk, "the same again"
    assert refused(bank.set_down, OTHER_IBAN) == refused(bank.set_down, name="second") == "bank_account_exists"
    second = bank.set_down(OTHER_IBAN, name="second")
    after = bank.market.ask(1_000)
    assert (before.bank_account_id, after.bank_account_id) == (bank.account.pk, second.pk)
    bank.receive(1_000, "second")
    assert len(bank_files.make_all(bank.book_id, actor="run", now=seam.now())) == 2


# --- the database has the last word --------------------------------------------------------------------------------


def test_the_database_keeps_what_was_made(bank: Bank) -> None:
    payout, *_ = bank.ready(4_000)
    bank.made()
    before = state(bank)
    attacks: list[tuple[Any, dict[str, Any], str]] = [
        (BankFile.objects, {"content": b"other"}, "FL021"),
        (BankFile.objects, {"sha256": b"x" * 32}, "FL021"),
        (BankFile.objects, {"total_minor": 1}, "FL021"),
        (BankFile.objects, {"status": "answered"}, "FL020"),
        (BankFile.objects, {"status": "withdrawn"}, "FL023"),
        (BankInstruction.objects, {"amount_minor": 1}, "FL021"),
        (BankInstruction.objects, {"end_to_end_id": "other"}, "FL021"),
        (BankInstruction.objects, {"withdrawn_at": seam.now()}, "FL023"),
        (Payout.objects, {"status": "sent"}, "FL023"),
        (Payout.objects, {"status": "cancelled"}, "FL023"),
        (Payout.objects, {"status": "requires_approval"}, "FL023"),
        (Payout.objects, {"bank_account_id": None}, "FL021"),
        (Payout.objects, {"due_at": seam.now()}, "23514"),
        (Payout.objects, {"transfer_psp_id": "tr_1"}, "23514"),
    ]
    for manager, change, code in attacks:
        with pytest.raises(DatabaseError) as refusal, transaction.atomic():  # noqa: PT012 - deferred triggers too
            manager.update(**change)
            transaction.get_connection().check_constraints()
        assert sqlstate_of(refusal.value) == code, change
    assert state(bank) == before
    assert again(payout).status == _S.PENDING


def test_the_database_puts_no_payout_into_two_files(bank: Bank) -> None:
    payout, *_ = bank.ready(4_000)
    file = bank.made()
    told = BankInstruction.objects.get()
    before = state(bank)
    wrong: dict[str, dict[str, Any]] = {
        "payout_is_in_one_file_that_counts": {},
        "its count and total": {"payout": _other(bank, payout)},
        "while it is pending": {"payout": _other(bank, payout), "amount_minor": 1},
    }
    for says, changes in wrong.items():
        given = {
            "file": file, "book_id": bank.book_id, "payout": payout, "destination_id": told.destination_id,
            "end_to_end_id": says[:35], "amount_minor": 4_000, **changes,
        }  # fmt: skip
        with pytest.raises(DatabaseError, match=says), transaction.atomic():
            BankInstruction.objects.create(**given)
    assert {key: value for key, value in state(bank).items() if key in ("files", "instructions")} == {
        key: value for key, value in before.items() if key in ("files", "instructions")
    }


def _other(bank: Bank, payout: Payout) -> Payout:
    row, *_ = bank.ready(4_000)
    assert row.pk != payout.pk
    return row


def test_the_database_takes_no_file_without_its_payouts(bank: Bank) -> None:
    bank.ready(4_000)
    file = bank.made()
    values = {field.attname: file.__dict__[field.attname] for field in BankFile._meta.concrete_fields}
    made = BankFile(**{**values, "id": None, "public_id": seam.new_uuid()})
    with pytest.raises(DatabaseError) as refusal, transaction.atomic():
        made.save(force_insert=True)
    assert sqlstate_of(refusal.value) == "FL023"
    assert BankFile.objects.count() == 1
