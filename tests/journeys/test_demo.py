"""The demo: its story plays on a running stack, and it says so only when every book agrees."""

import http.server
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from config import seam
from config.demo.browser import Browser, PageLacks
from config.demo.comparison import compare
from config.demo.shopper import ApiRefusal, Shopper
from config.demo.story import SCENES
from config.local_stack.home import ROOT
from payments import refunds
from payments.models import Charge
from payments.refunds import Wanted
from tests.journeys.driven_stack import DrivenStack, last_line
from tests.market import Market
from tests.shop import Shop


@pytest.fixture(scope="module")
def played(driven_stack: DrivenStack) -> subprocess.CompletedProcess[str]:
    """Play the demo once."""
    return driven_stack.run("demo", "--once", "--json")


@pytest.mark.slow
def test_the_story_ends_as_told_and_all_books_agree(played: subprocess.CompletedProcess[str]) -> None:
    found = last_line(played)
    assert found["unexpected"] == [], played.stderr
    assert played.returncode == 0, played.stderr
    assert [scene["scene"] for scene in found["scenes"]] == [scene.name for scene in SCENES]
    assert all(scene["ended"] and scene["said"] and scene["figures"] for scene in found["scenes"])
    assert found["payments"] == len(SCENES) - 1 == 18, (
        "one scene sells twice, one in a marketplace of its own, one nothing"
    )
    assert found["orders"] == {"CANCELLED": 2, "SUCCESS": 22}
    assert found["captured"] == {"EUR": "1206.70", "JPY": "1999", "KWD": "12.340"}
    counted = {"charges": 20, "refunds": 3, "disputes": 1, "transfers": 2, "payouts": 2}
    assert found["compared_with_the_psp"] == counted
    assert found["trial_balance"] == {"EUR": "0.00", "JPY": "0", "KWD": "0.000"}
    assert found["violations"] == []
    assert found["psp_agrees"] is True
    assert len(played.stdout.splitlines()) == 1
    (night,) = (scene["figures"] for scene in found["scenes"] if scene["scene"] == "night")
    assert (night["verdict"], night["found"], night["left"]) == ("BREAKS", ["A02", "A11", "A19"], ["A02", "A19"])
    assert {float(residual) for residual in night["residuals"].values()} == {0.0}
    for name in ("docs", "admin", "checkout"):
        assert requests.get(found["urls"][name], timeout=10).status_code == 200, name
    assert set(found["urls"]) == {"web", "admin", "sandbox_psp", "docs", "checkout"}


@pytest.mark.slow
def test_each_scene_of_money_back_and_out_tells_its_figures(played: subprocess.CompletedProcess[str]) -> None:
    figures = {scene["scene"]: scene["figures"] for scene in last_line(played)["scenes"]}
    wanted = {
        "delivered": {"released": "432.00", "available": "432.00", "releases": 1},
        "partial refund": {
            "refunded": "20.00", "from_the_seller": "18.00", "of_the_fee": "2.00", "available": "27.00",
            "refused": "refund_exceeds_captured",
        },
        "lost dispute": {
            "status": "lost", "paid_out": "72.00", "taken": "80.00", "charge_of_the_psp": "20.00", "debt": "72.00",
            "netted": "27.00", "debt_left": "45.00", "debt_left_by_name": "45.00",
        },
        "bounced payout": {"status": "returned", "paid_out": "100.00", "available": "135.00"},
        "other currency": {
            "changed": "54.00 EUR", "received": "8813 JPY", "source": "ecb", "taken_back": "1468 JPY",
            "available": "7345 JPY",
        },
        "bank file": {"transfers": "2", "total": "90.00", "sent": "36.00", "available_again": "54.00"},
    }  # fmt: skip
    for scene, expected in wanted.items():
        assert {name: figures[scene][name] for name in expected} == expected, scene


def test_the_page_about_the_demo_has_its_scenes() -> None:
    page = (ROOT / "docs" / "reference" / "demo.md").read_text()
    rows = [line.split("|")[1].strip() for line in page.split("\n## ")[0].splitlines() if line.startswith("| ")]
    assert rows[1:] == [scene.name for scene in SCENES]


@pytest.mark.slow
def test_it_plays_again_on_the_same_data_for_a_person(driven_stack: DrivenStack) -> None:
    for _ in range(2):
        done = driven_stack.run("demo", "--once")
        assert done.returncode == 0, done.stdout + done.stderr
        for words in ("Everything agrees", "three decimals", "Lamp Works", "/checkout/pay_", "sign in"):
            assert words in done.stdout
        assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_it_stays_until_it_is_told_to_leave_with_a_checkout_to_pay_by_hand(driven_stack: DrivenStack) -> None:
    running = subprocess.Popen(
        driven_stack.words("demo", "--json"), env=driven_stack.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        found = json.loads(running.stdout.readline())
        page = Browser().open(found["urls"]["checkout"])
        assert page.button("pay")
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
    finally:
        running.kill()
        running.wait()
    assert requests.get(driven_stack.stack.addresses["web"] + "/healthz", timeout=10).status_code == 200


def test_a_difference_to_the_books_of_the_psp_is_found(shop: Shop) -> None:
    shop.buy(1000)
    shop.buy(2500)
    shop.work()
    book, theirs = shop.tenant.book.pk, shop.books()
    agreed = compare(book, theirs)
    assert agreed.everything_agrees
    assert (agreed.clearing, agreed.at_the_psp, agreed.counts["charges"]) == ({"EUR": 3500}, {"EUR": 3500}, 2)

    first, second = theirs["charges"]
    for wrong, word in (
        ([first], "unknown at the PSP"),
        ([first, second, second], "took money twice"),
        ([first, {**second, "captured": second["captured"] + 1}], "at the PSP"),
        ([first, {**second, "refunded": 1}], "refunded at the PSP"),
        ([first, {**second, "currency": "usd"}], "usd at the PSP"),
    ):
        found = compare(book, {**theirs, "charges": wrong})
        assert not found.psp_agrees
        assert not found.everything_agrees
        assert any(word in difference for difference in found.differences), found.differences
    assert not compare(book, {**theirs, "wrong": ["ch_1: 5 captured, 4 booked"]}).psp_agrees
    assert Charge.objects.count() == 2


def test_a_difference_in_what_went_back_or_out_is_found(shop: Shop, market: Market) -> None:
    first, second, third = market.earn(10_000, 5_000, 4_000)
    payout = market.ask(9_000)
    shop.work()
    market.bank_says(payout, "paid")
    refunds.request(second.event_id, Wanted(second.pk, 1_000), now=seam.now())
    shop.psp.control("disputes", payment_intent=Charge.objects.get(pk=third.charge_id).psp_id)
    shop.notify()
    shop.settle_down()
    book, theirs = shop.tenant.book.pk, shop.books()
    agreed = compare(book, theirs)
    assert agreed.everything_agrees, agreed
    assert agreed.counts == {"charges": 3, "refunds": 1, "disputes": 1, "transfers": 1, "payouts": 1}
    for kind, changes in {
        "refunds": ({"amount": 999}, {"status": "failed"}, {"currency": "usd"}),
        "disputes": ({"amount": 3_999}, {"net": -4_000}, {"status": "lost"}),
        "transfers": ({"amount": 9_001}, {"amount_reversed": 9_000}),
        "payouts": ({"amount": 8_999}, {"status": "failed"}),
    }.items():
        (row,) = theirs[kind]
        for wrong in ([], [{**row, "id": "another"}], *([{**row, **change}] for change in changes)):
            found = compare(book, {**theirs, kind: wrong})
            assert any(kind[:-1] in difference for difference in found.differences), (kind, wrong, found.differences)
            assert not found.everything_agrees
    held = {"acct_1": {"eur": {"available": 1, "pending": 0}}}
    assert not compare(book, {**theirs, "connected": held}).psp_agrees
    assert first.captured_minor == 10_000


class _Site(http.server.BaseHTTPRequestHandler):
    """Answers from a list and remembers what it was asked."""

    answers: list[tuple[int, dict[str, str], str]]
    asked: list[tuple[str, str, str | None, str]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.asked.append((self.command, self.path, self.headers.get("Idempotency-Key"), body))
        status, headers, text = self.answers.pop(0)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_words: Any) -> None:
        """Keep quiet."""


@contextmanager
def site(*answers: tuple[int, dict[str, str], str]) -> Iterator[tuple[str, list[tuple[str, str, str | None, str]]]]:
    handler = type("Site", (_Site,), {"answers": list(answers), "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined] # set above
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_shopper_repeats_what_may_be_repeated_under_the_same_key() -> None:
    again = json.dumps({"code": "service_unavailable", "retryable": True})
    with site((503, {}, again), (409, {"Retry-After": "0"}, again), (201, {}, '{"id": "pay_1"}')) as (address, asked):
        assert Shopper(address, "sk_test_1").post("/payments", {"amount": "1.00"}).body == {"id": "pay_1"}
    assert len(asked) == 3
    assert len({(path, key, body) for _, path, key, body in asked}) == 1
    assert asked[0][1] == "/api/v1/payments"
    assert asked[0][2]


def test_the_shopper_does_not_repeat_a_refusal() -> None:
    refused = json.dumps({"code": "checkout_id_conflict", "retryable": False, "detail": "taken"})
    with site((409, {}, refused)) as (address, asked), pytest.raises(ApiRefusal, match="checkout_id_conflict"):
        Shopper(address, "sk_test_1").post("/payments", {})
    assert len(asked) == 1


def test_the_browser_presses_buttons_follows_redirects_and_waits() -> None:
    form = (
        '<title>t</title><h1>Pay <b>now</b></h1><form method="post" action="/pay?x=1"><input type="hidden" name="t" '
        'value="a&amp;b"><button name="choice" value="card">Card<small>visa</small></button></form>'
    )
    waiting = '<meta http-equiv="refresh" content="1; url=/done"><h1>One moment</h1>'
    with site(
        (200, {}, form), (303, {"Location": "/wait"}, ""), (200, {}, waiting), (200, {}, "<h1>Thank you</h1>")
    ) as (address, asked):
        browser = Browser()
        page = browser.open(f"{address}/checkout")
        assert page.heading == "Pay now"
        with pytest.raises(PageLacks, match="no button 'cancel'"):
            browser.press(page, "cancel")
        page = browser.press(page, "card")
        assert browser.wait(page, lambda shown: shown.refresh is None, seconds=5).heading == "Thank you"
    assert [(method, path, body) for method, path, _, body in asked] == [
        ("GET", "/checkout", ""),
        ("POST", "/pay?x=1", "t=a%26b&choice=card"),
        ("GET", "/wait", ""),
        ("GET", "/done", ""),
    ]


def test_the_browser_says_what_is_missing() -> None:
    with site((404, {}, "<h1>This link is not valid</h1>")) as (address, _), pytest.raises(PageLacks, match="404"):
        Browser().open(address)
    with site((200, {}, "<h1>Over</h1>")) as (address, _):
        browser = Browser()
        page = browser.open(address)
        with pytest.raises(PageLacks, match="will not change"):
            browser.wait(page, lambda _: False, seconds=1)
