"""A buyer's way over the hosted page, without script or cookie, to a paid order and back to the shop."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
from django.http import HttpResponse
from django.test import Client

from ledger.ids import public_id
from payments.checkout_links import token_for
from payments.models import Charge, PaymentEvent, PaymentOrder, PspOperation
from tests.shop import Shop


def address(event: PaymentEvent, step: str = "", *, token: str | None = None, **query: int) -> str:
    """Return the address of a page of a payment."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    own = token_for(event.public_id) if token is None else token
    return f"/checkout/{public_id('pay', event.public_id)}{step}?token={own}{more}"


def text(response: HttpResponse) -> str:
    """Return the page as text, with its spaces folded; it must be complete HTML without a script."""
    content = response.content.decode()
    assert "<script" not in content
    assert "Set-Cookie" not in response
    HTMLParser().feed(content)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", content)).split())


def form_token(response: HttpResponse) -> str:
    """Return the hidden field of the Pay form."""
    found = re.search(r'name="form_token" value="([^"]+)"', response.content.decode())
    assert found is not None
    return found[1]


def refresh(response: HttpResponse) -> str:
    """Return where the page goes by itself, empty when it stays."""
    found = re.search(r'http-equiv="refresh" content="\d+;url=([^"]+)"', response.content.decode())
    return unescape(found[1]) if found else ""


def go_to_psp(client: Client, event: PaymentEvent, shop: Shop) -> str:
    """Press Pay and wait until the browser is sent to the PSP; return the address."""
    page = client.get(address(event))
    response = client.post(address(event), {"form_token": form_token(page)})
    assert response.status_code == 303, response.content
    waiting = client.get(response["Location"])
    assert waiting.status_code == 200
    shop.work()
    response = client.get(refresh(waiting))
    assert response.status_code == 303, text(response)
    assert response["Location"].startswith(shop.psp.url)
    return str(response["Location"])


@pytest.fixture
def unpaid(shop: Shop) -> PaymentEvent:
    """Take a checkout in that the buyer pays on the page."""
    return shop.buy(1999, 501, token="", method_types=("card", "wallet", "qr"), return_url="https://shop.example/t?a=1")


@pytest.fixture
def client() -> Client:
    """Give a browser."""
    return Client()


def test_the_summary_shows_what_is_paid(client: Client, unpaid: PaymentEvent, shop: Shop) -> None:
    response = client.get(address(unpaid))
    shown = text(response)
    assert response.status_code == 200
    assert "25.00 EUR" in shown
    assert "19.99 EUR" in shown
    assert shop.sellers[0].name in shown
    assert "Pay 25.00 EUR" in shown
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert response["Cache-Control"] == "no-store"
    assert PspOperation.objects.count() == 0


def test_a_buyer_pays_and_comes_back(client: Client, unpaid: PaymentEvent, shop: Shop) -> None:
    psp_page = go_to_psp(client, unpaid, shop)
    paid = requests.post(psp_page, data={"choice": "card"}, allow_redirects=False, timeout=30)
    back = paid.headers["Location"]
    assert f"/checkout/{public_id('pay', unpaid.public_id)}/return?token=" in back
    returned = client.get(back[back.index("/checkout/") :])
    assert "complete" not in text(returned)
    assert "/return?" in refresh(returned)
    shop.work()
    done = client.get(refresh(returned))
    assert "payment is complete" in text(done)
    place = refresh(done)
    assert place.startswith("https://shop.example/t?a=1&payment=pay_")
    assert place.endswith("&result=success")
    assert "payment is complete" in text(client.get(address(unpaid)))
    assert "form_token" not in client.get(address(unpaid)).content.decode()
    assert Charge.objects.get().captured_minor == 2500
    shop.check()


def test_a_declined_buyer_may_try_again(client: Client, unpaid: PaymentEvent, shop: Shop) -> None:
    psp_page = go_to_psp(client, unpaid, shop)
    requests.post(psp_page, data={"choice": "declined"}, allow_redirects=False, timeout=30)
    again = go_to_psp(client, unpaid, shop)
    assert again == psp_page
    requests.post(psp_page, data={"choice": "wallet"}, allow_redirects=False, timeout=30)
    client.get(address(unpaid, "/return"))
    shop.work()
    assert "payment is complete" in text(client.get(address(unpaid, "/return")))
    shop.check()


def test_a_checkout_that_was_declined_with_a_token_is_paid_on_the_page(client: Client, shop: Shop) -> None:
    event = shop.buy(1000, token="pm_card_chargeDeclined")
    shop.work()
    page = client.get(address(event))
    assert "did not work" in text(page)
    assert "declined" in text(page)
    assert "Try again" in text(page)
    waiting = client.get(client.post(address(event), {"form_token": form_token(page)})["Location"])
    shop.work()
    for visit in range(1, 12):
        response = client.get(address(event, "/pay", n=visit))
        if response.status_code == 303:
            break
        shop.work()
    assert waiting.status_code == 200
    assert response.status_code == 303, text(response)
    requests.post(response["Location"], data={"choice": "card"}, allow_redirects=False, timeout=30)
    client.get(address(event, "/return"))
    shop.work()
    assert "payment is complete" in text(client.get(address(event)))
    shop.check()


def test_two_clicks_open_one_page(client: Client, unpaid: PaymentEvent, shop: Shop) -> None:
    token = form_token(client.get(address(unpaid)))
    for _ in range(3):
        assert client.post(address(unpaid), {"form_token": token}).status_code == 303
    shop.work()
    assert PspOperation.objects.filter(kind="hosted_session").count() == 1


def test_each_order_of_several_charges_is_paid_in_turn(client: Client, shop: Shop) -> None:
    event = shop.buy(1000, 2000, token="", charge_mode="per_order", method_types=("card",))
    for _ in range(2):
        psp_page = go_to_psp(client, event, shop)
        requests.post(psp_page, data={"choice": "card"}, allow_redirects=False, timeout=30)
        client.get(address(event, "/return"))
        shop.work()
    assert "payment is complete" in text(client.get(address(event, "/return")))
    shop.check()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("processing", "on its way"),
        ("requires_action", "Your bank asks you to confirm"),
        ("requires_capture", "authorised"),
        ("succeeded", "payment is complete"),
        ("partially_succeeded", "part of your order is paid"),
        ("failed", "did not work"),
        ("cancelled", "was cancelled"),
        ("expired", "time for paying is over"),
    ],
)
def test_every_status_has_its_face(client: Client, unpaid: PaymentEvent, status: str, words: str) -> None:
    action = {"type": "redirect", "url": "https://bank.example/3ds"}
    PaymentEvent.objects.update(status=status, next_action=action)
    page = client.get(address(unpaid))
    assert words in text(page)
    content = page.content.decode()
    assert ("bank.example" in content) is (status == "requires_action")
    assert ("form_token" in content) is (status in ("failed", "partially_succeeded"))
    assert bool(refresh(page)) is (status in ("processing", "requires_action"))


def test_a_link_with_a_wrong_token_opens_nothing(client: Client, unpaid: PaymentEvent, shop: Shop) -> None:
    other = shop.buy(100, token="")
    for step in ("", "/pay", "/return"):
        for token in ("", "x", token_for(other.public_id), token_for(unpaid.public_id, "form")):
            response = client.get(address(unpaid, step, token=token))
            assert response.status_code == 404
            assert "EUR" not in text(response)
    assert client.get("/checkout/nothing?token=x").status_code == 404


def test_a_form_without_its_own_token_does_nothing(client: Client, unpaid: PaymentEvent, shop: Shop) -> None:
    other = shop.buy(100, token="")
    for token in ("", token_for(unpaid.public_id), token_for(other.public_id, "form")):
        assert client.post(address(unpaid), {"form_token": token}).status_code == 403
    big = client.post(address(unpaid), "x" * 5000, content_type="application/x-www-form-urlencoded")
    assert big.status_code == 400
    assert PspOperation.objects.count() == 0


def test_what_merchants_write_is_shown_as_text(client: Client, unpaid: PaymentEvent) -> None:
    PaymentOrder.objects.update(description="<script>alert(1)</script>")
    content = client.get(address(unpaid)).content.decode()
    assert "<script>alert" not in content
    assert "&lt;script&gt;" in content


def test_the_style_sheet_is_ours(client: Client, db: Any) -> None:
    response = client.get("/static/checkout/checkout.css")
    assert (response.status_code, response["Content-Type"]) == (200, "text/css")
    assert client.get("/static/admin/css/base.css").status_code == 404
    assert client.get("/static/checkout/../../settings.py").status_code == 404
