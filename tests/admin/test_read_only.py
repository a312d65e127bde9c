"""Nothing can be changed through the back office, whatever rights a user has; and it shows no secret."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.db.models import Model
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ledger.models import Account, Book, Entry, Transaction
from payments.models import PaymentEvent, PspAccount, PspOperation
from tests.admin.story import CLIENT_SECRET, TOKEN, Story
from tests.factories import PSP_API_KEY, PSP_WEBHOOK_SECRET, SIGNING_SECRET
from wallet.models import Wallet

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


def address(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_the_models_that_the_office_needs_are_registered() -> None:
    labels = {model._meta.label for model in MODELS}
    assert labels >= {
        "payments.PaymentEvent",
        "payments.PaymentOrder",
        "payments.Charge",
        "payments.PspOperation",
        "payments.PspNotification",
        "payments.Refund",
        "payments.OutboxMessage",
        "payments.Transition",
        "payments.Merchant",
        "payments.Seller",
        "payments.PspAccount",
        "wallet.Wallet",
        "ledger.Book",
        "ledger.Account",
        "ledger.Transaction",
        "ledger.Entry",
    }
    assert "auth.Group" not in labels
    assert "payments.ApiKey" not in labels


@every_model
def test_not_even_a_superuser_has_a_right_to_change_anything(model: type[Model]) -> None:
    request = RequestFactory().get("/")
    request.user = User(username="root", is_staff=True, is_superuser=True, is_active=True)
    page = admin.site._registry[model]
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
    assert page.get_actions(request) == {}
    assert page.inlines == ()
    assert not page.list_editable


@every_model
def test_adding_changing_and_deleting_is_refused_by_the_server(
    model: type[Model], story: Story, administrator: Client
) -> None:
    row = model._default_manager.order_by("pk").first()
    before = list(model._default_manager.order_by("pk").values())
    key = row.pk if row is not None else 1
    fields = {field.name: "1" for field in model._meta.concrete_fields}
    posts = [
        administrator.post(address(model, "add"), fields),
        administrator.post(address(model, "change", key), {**fields, "_save": "1"}),
        administrator.post(address(model, "change", key), {"_fsm_transition_to": "succeeded"}),
        administrator.post(address(model, "delete", key), {"post": "yes"}),
        administrator.post(
            address(model, "changelist"),
            {"action": "delete_selected", "_selected_action": [key], "post": "yes", "select_across": "1"},
        ),
        administrator.post(address(model, "changelist"), {"form-TOTAL_FORMS": "1", "_save": "1"}),
    ]
    assert [answer.status_code for answer in posts] == [403] * len(posts)
    assert administrator.get(address(model, "add")).status_code == 403
    assert administrator.get(address(model, "delete", key)).status_code == 403
    assert list(model._default_manager.order_by("pk").values()) == before


@every_model
def test_every_list_and_page_shows_without_counting_and_without_a_query_per_row(
    model: type[Model], story: Story, administrator: Client
) -> None:
    administrator.get(address(model, "changelist"))  # sessions and content types are read once
    with CaptureQueriesContext(
        connection,
    ) as listed:
        answer = administrator.get(address(model, "changelist"))
    assert answer.status_code == 200
    statements = [query["sql"] for query in listed.captured_queries]
    assert not [sql for sql in statements if re.search(r"\bcount\s*\(", sql, re.IGNORECASE)]
    assert len(statements) <= 12, "\n".join(statements)
    for row in model._default_manager.order_by("-pk")[:3]:
        page = administrator.get(address(model, "change", row.pk))
        assert page.status_code == 200
        assert 'name="_save"' not in page.content.decode()


@pytest.mark.parametrize("copies", [1, 4])
def test_a_list_costs_the_same_number_of_statements_however_many_rows(
    copies: int, operator: Client, story: Story
) -> None:
    from config import seam
    from tests.admin.story import tell

    for _ in range(copies - 1):
        again = tell(seam.now())
        assert again.paid.pk != story.paid.pk
    for model, limit in ((PaymentEvent, 6), (PspOperation, 6), (Entry, 6), (Transaction, 6), (Account, 6)):
        operator.get(address(model, "changelist"))
        with CaptureQueriesContext(connection) as listed:
            operator.get(address(model, "changelist"))
        assert len(listed) <= limit, [query["sql"][:200] for query in listed.captured_queries]


def test_the_balances_of_a_list_of_wallets_are_one_statement(story: Story, operator: Client) -> None:
    with CaptureQueriesContext(connection) as listed:
        page = operator.get(address(Wallet, "changelist")).content.decode()
    assert len([query for query in listed.captured_queries if "ledger_balance" in query["sql"]]) == 1
    assert "1,124.91" in page


def test_no_page_shows_a_secret(story: Story, administrator: Client) -> None:
    secrets = {
        PSP_API_KEY,
        PSP_WEBHOOK_SECRET,
        SIGNING_SECRET,
        CLIENT_SECRET,
        TOKEN,
        "never-shown",
        story.tenant.key,
        bytes(story.tenant.api_key.key_hash).hex(),
    }
    pages = [reverse("admin:index"), reverse("admin:payments_paymentevent_timeline", args=[story.paid.pk])]
    for model in MODELS:
        pages.append(address(model, "changelist"))
        pages += [address(model, "change", pk) for pk in model._default_manager.values_list("pk", flat=True)[:60]]
    for page in pages:
        answer = administrator.get(page)
        assert answer.status_code == 200, page
        text = answer.content.decode()
        assert not [secret for secret in secrets if secret in text], page


def test_the_credentials_of_a_psp_account_are_not_even_read(story: Story, operator: Client) -> None:
    with CaptureQueriesContext(connection) as read:
        page = operator.get(address(PspAccount, "change", story.tenant.psp_account.pk)).content.decode()
    assert "stored encrypted, never shown" in page
    touching = [query["sql"] for query in read.captured_queries if "payments_pspaccount" in query["sql"]]
    assert touching
    assert not [sql for sql in touching if '"api_key"' in sql]


def test_a_page_is_found_by_the_id_that_the_api_shows(story: Story, operator: Client) -> None:
    from ledger.ids import public_id

    page = operator.get(address(PaymentEvent, "change", public_id("pay", story.paid.public_id)))
    assert page.status_code == 200
    assert "cart-9001" in page.content.decode()
    assert operator.get(address(Book, "change", "nonsense")).status_code in {302, 404}


def test_who_has_no_role_sees_nothing(signed_in, story: Story) -> None:
    client = signed_in("nobody")
    for model in MODELS:
        assert client.get(address(model, "changelist")).status_code == 403
        row = model._default_manager.first()
        if row is not None:
            assert client.get(address(model, "change", row.pk)).status_code == 403
    assert client.get(reverse("admin:payments_paymentevent_timeline", args=[story.paid.pk])).status_code == 403
    account = Account.objects.first()
    assert client.get(reverse("admin:ledger_account_statement", args=[account.pk])).status_code == 403
    assert "cart-9005" not in client.get(reverse("admin:index")).content.decode()
    assert "cart-9001" not in client.get(reverse("admin:search"), {"s": "cart-9001"}).content.decode()


def test_a_stranger_is_sent_to_the_login(story: Story, client: Client) -> None:
    assert AnonymousUser().is_anonymous
    for model in MODELS:
        answer = client.get(address(model, "changelist"))
        assert answer.status_code == 302
        assert answer.url.startswith(reverse("admin:login"))


def test_viewers_and_operators_see_payments_and_books_but_not_users(
    story: Story, viewer: Client, operator: Client
) -> None:
    for client in (viewer, operator):
        for model in MODELS:
            expected = 403 if model._meta.label == "auth.User" else 200
            assert client.get(address(model, "changelist")).status_code == expected, model
