"""Bank files in the back office: an operator handles them, an approver agrees, nobody does both with one file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from config import seam
from ledger import accounts
from ledger.ids import public_id
from ledger.models import Side, TransactionKind
from payments import bank_accounts, bank_files, destinations, own_bank_accounts, payouts
from payments.models import BankFile, BankFileHandOut, BankInstruction, MerchantBook, OwnBankAccount, Payout
from payments.own_bank_accounts import OwnDetails
from payments.payouts import PayoutRequest
from payments.sepa import as_id
from tests.bank import OUR_IBAN
from tests.factories import Tenant, tenant
from tests.market import GOOD_IBAN
from wallet import chart, movements
from wallet.movements import Heading, Movement

APPROVER = "user:a-approver"


@pytest.fixture
def place(db: None) -> Tenant:
    """Give a merchant whose bank pays, with two payouts that wait for a file."""
    accounts.forget()
    shop, now = tenant(payout_mode="bank"), seam.now()
    ours = OwnDetails("main", "EUR", bank_accounts.iban(OUR_IBAN, "Market GmbH"))
    own_bank_accounts.put(shop.book.pk, ours, now=now)
    seller = shop.seller(external_id="ann", kyc_status="verified")
    theirs = bank_accounts.iban(GOOD_IBAN, "Ann Example")
    destinations.put(seller, theirs, currency="EUR", actor="tests", now=now)
    sale = Heading(shop.book.pk, "o1", "EUR", now, "tests")
    bank, on_the_way = (chart.bank(shop.book.pk, name, "EUR") for name in ("main", "in_transit"))
    lines = (Side.DEBIT, bank, 10_000), (Side.CREDIT, on_the_way, 10_000)
    movements.record(
        [
            movements.settle_charge(sale, psp_account="x", seller=seller.public_id, captured=10_000, fee=0),
            movements.release(sale, seller=seller.public_id, amount=10_000, debt=0),
            Movement(TransactionKind.BANK_CREDIT, "credit", lines, now, "tests"),
        ],
        now=now,
    )
    for amount in (4_000, 5_000):
        payouts.request(shop.book.pk, PayoutRequest(seller.pk, "EUR", amount), actor="key:tests", now=now)
    return shop


@pytest.fixture
def file(place: Tenant) -> BankFile:
    """Give their file."""
    (made,) = bank_files.make_all(place.book.pk, actor="user:mia", now=seam.now())
    return made


@pytest.fixture
def approver(signed_in: Callable[..., Client]) -> Client:
    """Give a browser in which an approver is signed in."""
    return signed_in("approver")


def page(name: str, *arguments: object) -> str:
    return reverse(f"admin:payments_bankfile_{name}", args=arguments)


def everything() -> dict[str, Any]:
    return {
        "files": list(BankFile.objects.order_by("pk").values()),
        "instructions": list(BankInstruction.objects.order_by("pk").values()),
        "payouts": list(Payout.objects.order_by("pk").values()),
        "hand_outs": BankFileHandOut.objects.count(),
        "audit": LogEntry.objects.count(),
    }


def test_an_operator_makes_files_of_what_waits(place: Tenant, operator: Client) -> None:
    address = page("make")
    assert address in operator.get(page("changelist")).content.decode()
    before = everything()
    assert "payouts waiting" in operator.get(address).content.decode()
    assert everything() == before
    answer = operator.post(address, {"book": place.book.pk}, follow=True)
    assert "1 files were made" in answer.content.decode()
    made = BankFile.objects.get()
    assert (made.count, made.made_by, LogEntry.objects.get().object_id) == (2, "user:a-operator", str(made.pk))
    assert "No payout can go" in operator.post(address, {"book": place.book.pk}, follow=True).content.decode()


def test_an_operator_is_asked_and_gets_the_file(file: BankFile, operator: Client) -> None:
    shown = operator.get(page("change", file.pk)).content.decode()
    assert page("hand_out", file.pk) in shown
    assert "90.00" in shown
    before = everything()
    assert "count as sent" in operator.get(page("hand_out", file.pk)).content.decode()
    assert everything() == before
    got = operator.post(page("hand_out", file.pk))
    assert got["Content-Disposition"] == f'attachment; filename="{public_id("bfl", file.public_id)}.xml"'
    assert GOOD_IBAN.encode() in got.content
    assert {row.status for row in Payout.objects.all()} == {Payout.Status.SENT}
    assert "handed out 1 times before" in operator.get(page("hand_out", file.pk)).content.decode()
    assert operator.post(page("hand_out", file.pk)).content == got.content
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == ["Hand out, no. 1", "Hand out, no. 2"]


def test_a_large_file_is_approved_by_somebody_else_and_then_handed_out(
    place: Tenant, operator: Client, approver: Client
) -> None:
    MerchantBook.objects.filter(pk=place.book.pk).update(payout_approval_above={"EUR": 1})
    (own,) = bank_files.make_all(place.book.pk, actor=APPROVER, now=seam.now())
    assert page("approve", own.pk) not in approver.get(page("change", own.pk)).content.decode()
    before = everything()
    assert approver.post(page("approve", own.pk)).status_code == 403, "its maker"
    assert "invalid_state" in operator.post(page("hand_out", own.pk), follow=True).content.decode()
    assert everything() == before
    bank_files.withdraw(own.pk, actor="x", now=seam.now())
    (file,) = bank_files.make_all(place.book.pk, actor="user:mia", now=seam.now())
    assert "Approved" in approver.post(page("approve", file.pk), follow=True).content.decode()
    file.refresh_from_db()
    assert (file.status, file.approved_by) == (BankFile.Status.READY, APPROVER)
    before = everything()
    assert "invalid_state" in approver.post(page("approve", file.pk), follow=True).content.decode()
    assert everything() == before
    assert operator.post(page("hand_out", file.pk))["Content-Type"] == "application/xml"


def test_a_file_is_withdrawn_before_anybody_got_it(file: BankFile, operator: Client) -> None:
    assert "Withdrawn" in operator.post(page("withdraw", file.pk), follow=True).content.decode()
    before = everything()
    assert "invalid_state" in operator.post(page("withdraw", file.pk), follow=True).content.decode()
    assert page("hand_out", file.pk) not in operator.get(page("change", file.pk)).content.decode()
    assert everything() == before


def test_a_report_of_the_bank_is_read_in(place: Tenant, file: BankFile, operator: Client) -> None:
    operator.post(page("hand_out", file.pk))
    name = as_id(public_id("bfl", file.public_id))
    content = (
        f"<Document><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{name}</OrgnlMsgId><GrpSts>RJCT</GrpSts>"
        "</OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>"
    ).encode()
    given = {"book": place.book.pk, "report": SimpleUploadedFile("r.xml", content)}
    answer = operator.post(page("report"), given, follow=True).content.decode()
    assert "2 refused (done)" in answer
    assert {row.status for row in Payout.objects.all()} == {Payout.Status.CANCELLED}
    before = everything()
    wrong = {"book": place.book.pk, "report": SimpleUploadedFile("r.xml", b"<html/>")}
    assert "invalid_bank_report" in operator.post(page("report"), wrong).content.decode()
    assert "This field is required" in operator.post(page("report"), {"book": place.book.pk}).content.decode()
    assert everything() == before


@pytest.mark.parametrize("role", ["viewer", "nobody", "approver"])
def test_whoever_may_not_handle_files_is_refused(
    place: Tenant, file: BankFile, signed_in: Callable[..., Client], role: str
) -> None:
    client, before = signed_in(role), everything()
    for name, arguments in (("make", ()), ("report", ()), ("hand_out", (file.pk,)), ("withdraw", (file.pk,))):
        assert client.get(page(name, *arguments)).status_code == 403
        assert client.post(page(name, *arguments), {"book": place.book.pk}).status_code == 403
    if role != "approver":
        assert client.post(page("approve", file.pk)).status_code == 403
    assert everything() == before


def test_no_page_shows_an_account_in_full(place: Tenant, file: BankFile, administrator: Client) -> None:
    own = OwnBankAccount.objects.get()
    pages = [
        page("change", file.pk),
        page("changelist"),
        reverse("admin:payments_ownbankaccount_change", args=[own.pk]),
        reverse("admin:payments_payout_change", args=[Payout.objects.latest("pk").pk]),
    ]
    for address in pages:
        shown = administrator.get(address).content.decode()
        assert "DE **** " in shown or address == page("changelist")
        assert OUR_IBAN not in shown
        assert GOOD_IBAN not in shown
