"""Lists are searched by whole identifiers, filtered by state, book and time, and paged by key."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from config import seam
from ledger.admin.filters import lowest_id_at
from ledger.ids import public_id
from ledger.models import Account, Transaction
from payments.models import Charge, PaymentEvent, PaymentOrder, PspNotification, PspOperation
from tests.admin.story import Story, tell


def found(client: Client, model: type, **query: str) -> list[int]:
    """Return the keys on the first page of a list, in its order."""
    label = f"{model._meta.app_label}_{model._meta.model_name}"
    page = client.get(reverse(f"admin:{label}_changelist") + "?" + urlencode(query))
    assert page.status_code == 200, page.content[:300]
    pattern = rf"/{model._meta.app_label}/{model._meta.model_name}/(\d+)/change/"
    return list(dict.fromkeys(int(pk) for pk in re.findall(pattern, page.content.decode())))


def test_any_identifier_of_a_payment_leads_to_it(story: Story, operator: Client) -> None:
    order = story.paid.orders.order_by("position").first()
    charge = story.paid.charges.get()
    operation = story.paid.operations.first()
    terms = [
        public_id("pay", story.paid.public_id),
        public_id("ord", order.public_id),
        public_id("chg", charge.public_id),
        public_id("opr", operation.public_id),
        "cart-9001",
        "cart-9001/line-2",
        "pi_paid",
        str(operation.public_id),
        f"{operation.public_id}-1",
        "  cart-9001  ",
    ]
    for term in terms:
        assert found(operator, PaymentEvent, q=term) == [story.paid.pk], term
    assert found(operator, Charge, q="cart-9001") == [charge.pk]
    assert set(found(operator, PaymentOrder, q="pi_paid")) == set(story.paid.orders.values_list("pk", flat=True))
    assert found(operator, PaymentOrder, q=public_id("ord", order.public_id)) == [order.pk]
    assert story.dead.pk in found(operator, PspOperation, q="cart-9005")


@pytest.mark.parametrize("term", ["cart", "pay_", "pay_0000", "pi_", "%", "'; --", "x" * 5000, "\u0000", "sel_1"])
def test_a_part_of_an_identifier_finds_nothing(term: str, story: Story, operator: Client) -> None:
    if "\u0000" in term:
        label = reverse("admin:payments_paymentevent_changelist")
        assert operator.get(label, {"q": term}).status_code in {200, 302}
    else:
        assert found(operator, PaymentEvent, q=term) == []


def test_notifications_are_found_by_the_psps_ids_and_by_the_payment(story: Story, operator: Client) -> None:
    paid = PspNotification.objects.get(psp_event_id="evt_paid")
    for term in ("evt_paid", "pi_paid", "cart-9001"):
        assert found(operator, PspNotification, q=term) == [paid.pk]


def test_transactions_and_accounts_are_found_by_reference_and_code(story: Story, operator: Client) -> None:
    row = Transaction.objects.first()
    assert found(operator, Transaction, q=row.reference) == [row.pk]
    assert found(operator, Transaction, q=public_id("txn", row.public_id)) == [row.pk]
    account = Account.objects.filter(code__startswith="fees:platform").get()
    assert found(operator, Account, q=account.code) == [account.pk]


def test_lists_are_filtered_by_state_book_and_time(story: Story, operator: Client) -> None:
    other = tell(seam.now())
    assert found(operator, PaymentEvent, status__exact="succeeded") == [other.paid.pk, story.paid.pk]
    assert found(operator, PaymentEvent, status__exact="succeeded", book=str(story.tenant.book.pk)) == [story.paid.pk]
    assert found(operator, PspNotification, work="dead") == [other.notification.pk, story.notification.pk]
    # The ids of the story are of now, though its times are made up.
    assert len(found(operator, PaymentEvent, period="hour")) == 12
    assert found(operator, PaymentEvent, period="hour", book="999999") == []
    assert len(found(operator, PspNotification, period="hour")) == 2


def test_the_lowest_id_of_a_moment_divides_the_ids_before_it_from_those_after(story: Story) -> None:
    now = seam.now()
    fresh = seam.new_uuid()
    assert lowest_id_at(now - timedelta(seconds=1)) < fresh < lowest_id_at(now + timedelta(seconds=5))
    assert story.paid.public_id < fresh


def test_pages_follow_each_other_by_key_in_both_directions(
    story: Story, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin.site._registry[PspOperation], "list_per_page", 3)
    keys = list(PspOperation.objects.order_by("-pk").values_list("pk", flat=True))
    assert len(keys) > 6
    seen, query = [], {}
    while True:
        page = found(operator, PspOperation, **query)
        seen += page
        if len(page) < 3 or seen[-1] == keys[-1]:
            break
        query = {"before": str(page[-1])}
    assert seen == keys
    assert found(operator, PspOperation, after=str(keys[5])) == keys[2:5]
    assert found(operator, PspOperation, after=str(keys[0])) == []
    assert found(operator, PspOperation, before="nonsense") == keys[:3]
    assert found(operator, PspOperation, before=str(keys[2]), p="99", o="1", all="") == keys[3:6]


def test_the_links_to_other_pages_keep_the_filters(
    story: Story, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin.site._registry[PspOperation], "list_per_page", 2)
    address = reverse("admin:payments_pspoperation_changelist")
    first = operator.get(address, {"state__exact": "DONE"}).content.decode()
    older = re.search(r'href="(\?[^"]*before=[^"]*)">Older', first)
    assert older
    assert "state__exact=DONE" in older[1]
    second = operator.get(address + older[1].replace("&amp;", "&")).content.decode()
    assert re.search(r'href="\?[^"]*after=\d+[^"]*state__exact=DONE[^"]*">Newer', second)
    assert 'href="?state__exact=DONE">Newest' in second


def test_the_search_over_everything_finds_a_payment(story: Story, operator: Client) -> None:
    page = operator.get(reverse("admin:search"), {"s": "cart-9001/line-2"}).content.decode()
    assert reverse("admin:payments_paymentevent_change", args=[story.paid.pk]) in page


def test_the_first_page_says_what_needs_a_person(story: Story, operator: Client) -> None:
    page = operator.get(reverse("admin:index")).content.decode()
    assert "Something needs a look." in page
    for expected in ("cart-9005", "cart-9004", "evt_orphan"):
        assert expected in page
    PspOperation.objects.filter(pk__in=[story.dead.pk, story.unknown.pk]).update(
        state="DONE", outcome="succeeded", closed_at=seam.now(), due_at=None, dead_at=None
    )
    PspNotification.objects.update(dead_at=None)
    assert "Nothing needs a person" in operator.get(reverse("admin:index")).content.decode()
