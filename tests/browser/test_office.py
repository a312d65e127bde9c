"""The back office in a real browser, under its own content security policy."""

from __future__ import annotations

import psycopg
import pytest

from tests.browser.conftest import Office, Visit

LISTS = (
    "payments/paymentevent",
    "payments/paymentorder",
    "payments/charge",
    "payments/pspoperation",
    "payments/pspnotification",
    "payments/refund",
    "payments/dispute",
    "payments/payout",
    "payments/merchantbook",
    "payments/reservehold",
    "payments/outboxmessage",
    "payments/transition",
    "payments/merchant",
    "payments/seller",
    "payments/pspaccount",
    "wallet/wallet",
    "ledger/book",
    "ledger/account",
    "ledger/transaction",
    "ledger/entry",
    "ledger/period",
    "wallet/proposal",
    "admin/logentry",
)


@pytest.mark.slow
def test_an_operator_reads_everything_without_a_word_in_the_console(office: Office, visit: Visit) -> None:
    visit.open("/admin/login/")
    visit.shoot("login")
    visit.sign_in("a-operator", office.passwords["operator"])
    assert "Something needs a look." in visit.text()
    visit.shoot("overview")
    for name in LISTS:
        shown = visit.open(f"/admin/{name}/")
        assert "Overview" in shown, name
        visit.shoot(f"list-{name.split('/')[1]}")
        link = visit.page.locator("#result_list th a, #result_list td a").first
        if link.count():
            link.click()
            visit.page.wait_for_load_state("load")
            visit.shoot(f"page-{name.split('/')[1]}")
    assert visit.troubles == []


@pytest.mark.slow
def test_a_payment_is_found_and_followed_to_the_books(office: Office, visit: Visit) -> None:
    visit.sign_in("a-operator", office.passwords["operator"])
    visit.open("/admin/payments/paymentevent/")
    visit.page.fill("#searchbar", "cart-9001/line-2")
    visit.page.press("#searchbar", "Enter")
    visit.page.wait_for_load_state("load")
    assert "cart-9001" in visit.text()
    assert "cart-9002" not in visit.text()
    visit.page.click("#result_list th a")
    visit.page.wait_for_load_state("load")
    shown = visit.text()
    for expected in ("Orders", "Charges", "Operations at the PSP", "1,277.91", "Ada Ceramics", "SUCCESS"):
        assert expected in shown
    visit.page.click("text=Timeline")
    visit.page.wait_for_load_state("load")
    shown = visit.text()
    assert "posted: settle charge" in shown
    assert "order: EXECUTING → SUCCESS" in shown
    visit.shoot("timeline")
    visit.open("/admin/ledger/account/")
    visit.page.click("#result_list >> text=fees:platform:EUR")
    visit.page.wait_for_load_state("load")
    assert "127.79" in visit.text()
    visit.page.click("text=Statement")
    visit.page.wait_for_load_state("load")
    shown = visit.text()
    assert "Opening balance" in shown
    assert "Closing balance" in shown
    visit.shoot("statement")
    visit.open(f"/admin/ledger/book/{office.story.tenant.book.pk}/trial-balance/")
    assert "IN BALANCE" in visit.text().upper()
    visit.shoot("trial-balance")
    visit.open("/admin/payments/paymentevent/")
    visit.page.click("text=Filters")
    visit.page.wait_for_timeout(300)
    visit.shoot("filters")
    visit.page.click("#changelist-filter >> text=Failed")
    visit.page.wait_for_load_state("load")
    assert "cart-9003" in visit.text()
    assert "cart-9001" not in visit.text()
    visit.page.keyboard.press("Control+k")
    visit.page.wait_for_selector("#search-input-command:focus")
    visit.page.keyboard.type("cart-9004")
    visit.page.wait_for_selector("text=Payment, processing")
    visit.shoot("search")
    assert visit.troubles == []


@pytest.mark.slow
def test_an_operator_retries_a_dead_operation_and_the_audit_trail_says_so(
    office: Office, visit: Visit, superuser: psycopg.Connection
) -> None:
    visit.sign_in("a-operator", office.passwords["operator"])
    visit.page.click("text=cart-9005 >> xpath=ancestor::tr >> a >> nth=0")
    visit.page.wait_for_load_state("load")
    visit.page.click("text=Retry now")
    visit.page.wait_for_load_state("load")
    assert "cannot happen twice" in visit.text()
    visit.shoot("retry-asked")
    visit.page.click("button:has-text('Retry now')")
    visit.page.wait_for_load_state("load")
    assert "will run within seconds" in visit.text()
    visit.shoot("retry-done")
    row = superuser.execute(
        "SELECT state, due_at IS NOT NULL, dead_at FROM payments_pspoperation WHERE id = %s", [office.story.dead.pk]
    ).fetchone()
    assert row == ("UNKNOWN", True, None)
    assert "Retry now" in visit.open("/admin/admin/logentry/")
    visit.shoot("audit-trail")
    assert visit.troubles == []


@pytest.mark.slow
def test_a_journal_is_proposed_by_one_and_posted_by_another(
    office: Office, visit: Visit, superuser: psycopg.Connection
) -> None:
    visit.sign_in("a-operator", office.passwords["operator"])
    visit.open("/admin/wallet/proposal/")
    visit.page.click("text=Propose a journal")
    visit.page.wait_for_load_state("load")
    visit.shoot("propose-empty")
    visit.page.select_option("#id_book", str(office.story.tenant.book.pk))
    for name, text in {"reference": "case-17", "memo": "a cent too much"}.items():
        visit.page.fill(f"#id_{name}", text)
    for row, (account, side, amount) in enumerate((("fees:platform:EUR", "D", "0.01"), ("write_off:EUR", "C", "0.02"))):
        visit.page.fill(f"#id_form-{row}-account", account)
        visit.page.select_option(f"#id_form-{row}-side", side)
        visit.page.fill(f"#id_form-{row}-amount", amount)
    visit.page.click("button:has-text('Propose')")
    visit.page.wait_for_load_state("load")
    assert "unbalanced" in visit.text()
    visit.shoot("propose-refused")
    visit.page.fill("#id_form-1-amount", "0.01")
    visit.page.click("button:has-text('Propose')")
    visit.page.wait_for_load_state("load")
    assert "somebody else has to approve it" in visit.text()
    assert visit.page.locator("a:has-text('Approve')").count() == 0
    visit.page.context.clear_cookies()
    visit.sign_in("a-approver", office.passwords["approver"])
    assert "a cent too much" in visit.text()
    visit.page.click("text=a cent too much >> xpath=ancestor::tr >> a >> nth=0")
    visit.page.wait_for_load_state("load")
    assert "What approval would do" in visit.text()
    visit.shoot("proposal")
    visit.page.click("a:has-text('Approve')")
    visit.page.wait_for_load_state("load")
    visit.page.fill("#id_note", "seen")
    visit.shoot("approve-asked")
    visit.page.click("button:has-text('Approve')")
    visit.page.wait_for_load_state("load")
    assert "Approved and posted" in visit.text()
    visit.open(f"/admin/ledger/book/{office.story.tenant.book.pk}/soft-close/")
    visit.shoot("close-asked")
    assert superuser.execute("SELECT state, maker, checker FROM wallet_proposal").fetchone() == (
        "approved",
        "user:a-operator",
        "user:a-approver",
    )
    assert visit.troubles == []


@pytest.mark.slow
def test_the_policy_stops_foreign_script_style_and_frames(office: Office, visit: Visit) -> None:
    visit.sign_in("a-viewer", office.passwords["viewer"])
    visit.open("/admin/")
    assert visit.troubles == []
    visit.page.evaluate(
        """() => {
            const add = (name, fill) => { const e = document.createElement(name); fill(e); document.body.append(e); };
            add('script', e => { e.textContent = 'window.foreign = true'; });
            add('style', e => { e.textContent = 'body { outline: 7px solid red }'; });
            add('img', e => { e.setAttribute('onerror', 'window.foreign = true'); e.src = '/static/none.png'; });
            add('script', e => { e.src = 'http://127.0.0.2:1/x.js'; });
            add('iframe', e => { e.src = '/admin/'; });
        }"""
    )
    visit.page.wait_for_timeout(500)
    assert visit.page.evaluate("window.foreign") is None
    assert visit.page.evaluate("getComputedStyle(document.body).outlineWidth") != "7px"
    refused = [trouble for trouble in visit.troubles if "Content Security Policy" in trouble]
    assert len(refused) >= 5, visit.troubles
