"""Journals in the back office: an operator proposes, an approver decides, never about what is their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from config import seam
from ledger import accounts, periods
from ledger.models import Account, Side, Transaction
from payments.models import Seller
from tests.admin.story import Story
from tests.ledger.desk import digests
from wallet import chart, movements, proposals
from wallet.legs import DraftLeg
from wallet.models import Proposal
from wallet.movements import Heading
from wallet.proposals import Draft

PROPOSE = "admin:wallet_proposal_propose"


@pytest.fixture(autouse=True)
def _no_remembered_accounts() -> None:
    accounts.forget()


@pytest.fixture
def available(story: Story) -> str:
    """Give the account in which a seller of the story has 1000.00 available."""
    seller, book = Seller.objects.get(external_id="ada"), story.tenant.book.pk
    heading = Heading(book, "o1", "EUR", seam.now(), "tests")
    movements.record([movements.release(heading, seller=seller.public_id, amount=100_000, debt=0)], now=seam.now())
    return chart.seller(book, seller.public_id, "available", "EUR").code


@pytest.fixture
def proposal(story: Story, available: str) -> Proposal:
    """Give a proposal of 5.00 that somebody else made."""
    legs = (DraftLeg(available, Side.DEBIT, 500, "EUR"), DraftLeg("refund:payable:EUR", Side.CREDIT, 500, "EUR"))
    draft = Draft(story.tenant.book.pk, Proposal.Kind.ADJUST, "case-17", legs, "the buyer paid twice", "user:mia")
    return proposals.propose(draft, now=seam.now())[0]


@pytest.fixture
def approver(signed_in: Callable[..., Client]) -> Client:
    """Give a browser in which an approver is signed in."""
    return signed_in("approver")


def page(proposal: Proposal, name: str) -> str:
    return reverse(f"admin:wallet_proposal_{name}", args=[proposal.pk])


def everything() -> dict[str, Any]:
    return {
        **digests(connection),
        "proposals": list(Proposal.objects.order_by("pk").values()),
        "audit": LogEntry.objects.count(),
    }


def form(story: Story, *lines: tuple[str, str, str], **changes: Any) -> dict[str, Any]:
    """Fill in the form of a journal."""
    filled = {
        "book": story.tenant.book.pk,
        "kind": "write_off",
        "reference": "w-1",
        "memo": "nobody will pay this",
        "effective_at": "",
        "form-TOTAL_FORMS": "10",
        "form-INITIAL_FORMS": "0",
    }
    for place, (account, side, amount) in enumerate(lines):
        filled |= {f"form-{place}-account": account, f"form-{place}-side": side, f"form-{place}-amount": amount}
    return {**filled, **changes}


# --- deciding ------------------------------------------------------------------------------------------------------


def test_an_approver_sees_what_would_happen_is_asked_and_posts_it(proposal: Proposal, approver: Client) -> None:
    shown = approver.get(page(proposal, "change")).content.decode()
    assert "What approval would do" in shown
    assert page(proposal, "approve") in shown
    assert page(proposal, "reject") in shown
    before = everything()
    asked = approver.get(page(proposal, "approve")).content.decode()
    assert "in your name" in asked
    assert "refund:payable:EUR" in asked
    assert everything() == before
    answer = approver.post(page(proposal, "approve"), {"note": "seen the e-mail"}, follow=True)
    assert "Approved and posted" in answer.content.decode()
    stored = Proposal.objects.get()
    assert (stored.state, stored.checker, stored.note) == ("approved", "user:a-approver", "seen the e-mail")
    assert Transaction.objects.get(pk=stored.transaction_id).actor == "user:a-approver"
    audit = LogEntry.objects.get()
    assert (audit.user.username, audit.object_id, audit.action_flag) == ("a-approver", str(proposal.pk), CHANGE)
    after = approver.get(page(proposal, "change")).content.decode()
    assert page(proposal, "approve") not in after
    assert "adjust:case-17" in after


def test_an_approver_rejects_with_a_reason(proposal: Proposal, approver: Client) -> None:
    books = digests(connection)
    assert "This field is required" in approver.post(page(proposal, "reject"), {"note": ""}).content.decode()
    assert Proposal.objects.get().state == "awaiting_approval"
    approver.post(page(proposal, "reject"), {"note": "the wrong seller"})
    stored = Proposal.objects.get()
    assert (stored.state, stored.note) == ("rejected", "the wrong seller")
    assert digests(connection) == books
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("role", ["viewer", "operator", "nobody"])
@pytest.mark.parametrize("name", ["approve", "reject"])
def test_whoever_may_not_decide_is_refused(
    proposal: Proposal, signed_in: Callable[..., Client], role: str, name: str
) -> None:
    client = signed_in(role)
    before = everything()
    assert client.get(page(proposal, name)).status_code == 403
    assert client.post(page(proposal, name), {"note": "x"}).status_code == 403
    assert everything() == before
    shown = client.get(page(proposal, "change"))
    assert shown.status_code == (403 if role == "nobody" else 200)
    assert page(proposal, name) not in shown.content.decode()


@pytest.mark.parametrize("name", ["approve", "reject"])
def test_not_even_an_administrator_decides_about_their_own(
    story: Story, available: str, administrator: Client, name: str
) -> None:
    administrator.post(reverse(PROPOSE), form(story, (available, "D", "1.00"), ("write_off:EUR", "C", "1.00")))
    own = Proposal.objects.get(maker="user:a-admin")
    before = everything()
    assert administrator.get(page(own, name)).status_code == 403
    assert administrator.post(page(own, name), {"note": "x"}).status_code == 403
    assert everything() == before
    assert page(own, name) not in administrator.get(page(own, "change")).content.decode()


def test_without_its_audit_row_nothing_is_posted(
    proposal: Proposal, approver: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("the audit trail is broken")

    before = everything()
    monkeypatch.setattr(LogEntry.objects, "create", fail)
    with pytest.raises(RuntimeError):
        approver.post(page(proposal, "approve"), {"note": ""})
    assert everything() == before


def test_a_form_of_another_site_is_refused(proposal: Proposal, signed_in: Callable[..., Client]) -> None:
    before = everything()
    assert signed_in("approver", strict=True).post(page(proposal, "approve")).status_code == 403
    assert everything() == before


def test_what_can_no_longer_be_posted_says_why_and_stays(story: Story, proposal: Proposal, approver: Client) -> None:
    accounts.close(Account.objects.get(book=story.tenant.book, code="refund:payable:EUR").pk, now=seam.now())
    before = everything()
    assert "account_closed" in approver.get(page(proposal, "change")).content.decode()
    answer = approver.post(page(proposal, "approve"), {"note": ""}, follow=True)
    assert "account_closed" in answer.content.decode()
    assert everything() == before
    assert Proposal.objects.get().state == "awaiting_approval"


def test_who_comes_second_is_told(proposal: Proposal, approver: Client) -> None:
    proposals.reject(proposal.pk, checker="user:faster", now=seam.now())
    before = everything()
    answer = approver.post(page(proposal, "approve"), {"note": ""}, follow=True)
    assert "user:faster decided" in answer.content.decode()
    assert everything() == before


# --- proposing -----------------------------------------------------------------------------------------------------


def test_an_operator_proposes_with_a_form_and_nothing_is_posted(story: Story, available: str, operator: Client) -> None:
    assert reverse(PROPOSE) in operator.get(reverse("admin:wallet_proposal_changelist")).content.decode()
    assert operator.get(reverse(PROPOSE)).status_code == 200
    entries = digests(connection)["ledger_entry"]
    lines = (available, "D", "3.50"), ("write_off:EUR", "C", "3.50")
    answer = operator.post(reverse(PROPOSE), form(story, *lines, effective_at="2026-11-01 10:00"), follow=True)
    assert "somebody else has to approve" in answer.content.decode()
    made = Proposal.objects.get()
    assert (made.kind, made.reference, made.maker, made.state) == (
        "write_off",
        "w-1",
        "user:a-operator",
        "awaiting_approval",
    )
    assert [(leg["account"], leg["side"], leg["amount"]) for leg in made.legs] == [
        (available, "D", 350),
        ("write_off:EUR", "C", 350),
    ]
    assert made.effective_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert digests(connection)["ledger_entry"] == entries
    audit = LogEntry.objects.get()
    assert (audit.user.username, audit.action_flag) == ("a-operator", ADDITION)


BAD: list[tuple[str, dict[str, str], str]] = [
    ("no legs", {"form-0-account": "", "form-0-side": "", "form-0-amount": ""}, "2 to 10000 legs"),
    ("unbalanced", {"form-0-amount": "4.00"}, "unbalanced"),
    ("an unknown account", {"form-0-account": "nobody:EUR"}, "no such account"),
    ("no currency", {"form-0-account": "nobody"}, "not an ISO 4217 currency"),
    ("decimals", {"form-0-amount": "3.501"}, "has 2 decimals"),
    ("zero", {"form-0-amount": "0"}, "greater than zero"),
    ("no side", {"form-0-side": ""}, "Debit or credit"),
    ("too much", {"form-0-amount": "9999999.00", "form-1-amount": "9999999.00"}, "insufficient_balance"),
    ("no reason", {"memo": ""}, "This field is required"),
    ("the future", {"effective_at": "2999-01-01 00:00"}, "lies in the future"),
    ("a kind of a machine", {"kind": "settle_charge"}, "Select a valid choice"),
]


@pytest.mark.parametrize(("changes", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_wrong_form_says_what_is_wrong_and_proposes_nothing(
    story: Story, available: str, operator: Client, changes: dict[str, str], says: str
) -> None:
    filled = form(story, (available, "D", "3.50"), ("write_off:EUR", "C", "3.50"))
    before = everything()
    answer = operator.post(reverse(PROPOSE), {**filled, **changes})
    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert everything() == before


@pytest.mark.parametrize("role", ["viewer", "approver", "nobody"])
@pytest.mark.parametrize("name", ["propose", "close_year", "withdraw"])
def test_whoever_may_not_propose_is_refused(
    story: Story, signed_in: Callable[..., Client], role: str, name: str
) -> None:
    client, address = signed_in(role), reverse(f"admin:wallet_proposal_{name}")
    before = everything()
    assert client.get(address).status_code == 403
    assert client.post(address, form(story)).status_code == 403
    assert everything() == before
    assert address not in client.get(reverse("admin:wallet_proposal_changelist")).content.decode()


def test_an_operator_proposes_the_close_of_a_year(story: Story, operator: Client) -> None:
    address, book = reverse("admin:wallet_proposal_close_year"), story.tenant.book.pk
    year = seam.now().year
    before = everything()
    assert "not over" in operator.post(address, {"book": book, "year": year}).content.decode()
    assert "softly first" in operator.post(address, {"book": book, "year": year - 1}).content.decode()
    assert everything() == before
    ends_at = datetime(year, 1, 1, tzinfo=UTC)
    periods.soft_close(book, ends_at=ends_at, may_post=[], actor="x", now=seam.now())
    answer = operator.post(address, {"book": book, "year": year - 1}, follow=True)
    assert "0 proposals wait" in answer.content.decode()


def test_an_operator_proposes_a_withdrawal_of_fees(story: Story, operator: Client) -> None:
    address, book = reverse("admin:wallet_proposal_withdraw"), story.tenant.book.pk
    accounts.resolve([chart.bank(book, "main", "EUR")])
    given = {"book": book, "amount": "1.00", "currency": "EUR", "bank": "main", "reference": "w", "memo": "November"}
    before = everything()
    for changes, says in (
        ({"amount": "9999999.00"}, "insufficient_fees"),
        ({"amount": "1.001"}, "has 2 decimals"),
        ({"bank": "other"}, "no such bank account"),
        ({"memo": ""}, "This field is required"),
    ):
        assert says in operator.post(address, {**given, **changes}).content.decode()
    assert everything() == before
    answer = operator.post(address, given, follow=True)
    assert "somebody else has to approve" in answer.content.decode()
    made = Proposal.objects.get()
    assert (made.kind, made.maker, made.legs[0]["amount"]) == ("withdraw_fees", "user:a-operator", 100)


def test_the_first_page_shows_what_waits_to_those_who_may_see_it(
    proposal: Proposal, approver: Client, signed_in: Callable[..., Client]
) -> None:
    assert "the buyer paid twice" in approver.get(reverse("admin:index")).content.decode()
    nobody = User.objects.create(username="only-charges", is_staff=True)
    client = Client()
    client.force_login(nobody)
    assert "the buyer paid twice" not in client.get(reverse("admin:index")).content.decode()


def test_lists_are_filtered_and_searched_by_a_whole_reference(proposal: Proposal, approver: Client) -> None:
    address = reverse("admin:wallet_proposal_changelist")
    assert "case-17" in approver.get(f"{address}?q=case-17").content.decode()
    assert page(proposal, "change") not in approver.get(f"{address}?q=case-1").content.decode()
    assert page(proposal, "change") not in approver.get(f"{address}?state__exact=approved").content.decode()
    with_state = approver.get(f"{address}?state__exact=awaiting_approval").content.decode()
    assert page(proposal, "change") in with_state


def test_the_approver_sees_what_a_viewer_sees_and_proposes_nothing(db: None) -> None:
    rights = {group.name: set(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()}
    own = {"check_proposals", "close_periods", "approve_payouts", "book_found_refunds"}
    assert rights["approver"] - rights["viewer"] == own
    assert rights["viewer"] <= rights["approver"]
    assert rights["operator"] & own == set()
