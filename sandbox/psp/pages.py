"""The pages that a buyer sees: the hosted payment page and the bank's 3-D Secure page.

Rendered here, without a script. A page may send its form to itself only; the addresses of the merchant
are allowed as well because browsers check them when the answer redirects there.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from . import attempts, methods, sessions, setups
from .call import Call
from .currencies import money
from .errors import Json
from .identifiers import same_secret
from .sandbox import Sandbox
from .tokens import TOKENS

HTML: Final = Path(__file__).parent / "html"
STYLE: Final = (HTML / "style.css").read_text()
STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
MAX_FORM_BYTES: Final = 4096

CHOICES: Final = {
    "card": ("pm_card_visa", "Card", "Visa ending in 4242, is accepted"),
    "debit": ("pm_card_visa_debit", "Debit card", "Visa debit ending in 5556, is accepted"),
    "wallet": ("pm_sandbox_wallet", "Wallet", "pays at once"),
    "qr": ("pm_sandbox_qr", "QR code", "is confirmed by the bank a moment later"),
    "three_d_secure": (
        "pm_card_authenticationRequired",
        "Card with 3-D Secure",
        "the bank asks the buyer first",
    ),
    "declined": ("pm_card_chargeDeclined", "Card that is declined", "Visa ending in 0002"),
    "insufficient_funds": (
        "pm_card_chargeDeclinedInsufficientFunds",
        "Card without sufficient funds",
        "Visa ending in 9995",
    ),
}
CANCEL: Final = "cancel"


def _template(name: str) -> Template:
    return Template((HTML / f"{name}.html").read_text())


FRAME: Final = _template("frame")
PAY: Final = _template("pay")
THREE_D_SECURE: Final = _template("three_d_secure")
CLOSED: Final = _template("closed")


def render(title: str, body: str, *, goes_to: tuple[str | None, ...] = (), status: int = 200) -> web.Response:
    """Answer a page; `goes_to` are the addresses that its form may lead to."""
    text = FRAME.substitute(title=escape(title), style=STYLE, body=body)
    origins = sorted({origin for address in goes_to if (origin := _origin(address))})
    policy = (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action {' '.join(["'self'", *origins])}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(text=text, content_type="text/html", headers=headers, status=status)


def _origin(address: str | None) -> str | None:
    parts = urlsplit(address or "")
    if parts.scheme not in ("http", "https") or not parts.netloc or any(mark in parts.netloc for mark in " ;,'\""):
        return None
    return f"{parts.scheme}://{parts.netloc}"


def closed(heading: str, message: str, status: int) -> web.Response:
    """Answer a page that offers nothing."""
    return render(heading, CLOSED.substitute(heading=escape(heading), message=escape(message)), status=status)


class Pages:
    """Answer the buyer's browser."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def show_payment(self, request: web.Request) -> web.StreamResponse:
        """`GET /pay/{session}`: what is bought and how it can be paid."""
        call, session = self._session(request)
        if session is None:
            return closed("This page does not exist", "The link is wrong or has been cut off.", 404)
        return self._payment_page(call, session)

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """`POST /pay/{session}`: the buyer's choice."""
        choice = await _field(request, "choice")
        call, session = self._session(request)
        if session is None:
            return closed("This page does not exist", "The link is wrong or has been cut off.", 404)
        if session["status"] != "open":
            return self._payment_page(call, session)
        if choice == CANCEL and session["cancel_url"]:
            return _see(sessions.address_after(session["cancel_url"], session["id"]))
        if choice not in _offered(call, session):
            return self._payment_page(call, session, error="Please choose one of the ways to pay.", status=400)
        with call.store.transaction():
            held = self._attempt(call, session, CHOICES[choice][0])
            sessions.follow(call, session)
        await call.store.committed()
        action = held["next_action"]
        if held["status"] == "requires_action" and action:
            return _see(action["redirect_to_url"]["url"])
        return self._payment_page(call, session)

    def _attempt(self, call: Call, session: Json, token: str) -> Json:
        method = methods.make(call, TOKENS[token])
        back = f"{call.base_url}/pay/{session['id']}"
        held = _held(call, session)
        if held["object"] == "payment_intent":
            attempts.attempt(call, held, method, return_url=back)
        else:
            setups.attempt(call, held, method, return_url=back)
        return held

    def _payment_page(
        self, call: Call, session: Json, *, error: str | None = None, status: int = 200
    ) -> web.StreamResponse:
        if session["status"] == "complete":
            return _see(sessions.address_after(session["success_url"], session["id"]))
        if session["status"] == "expired":
            return closed("This page has expired", "Please go back to the shop and start again.", 410)
        held = _held(call, session)
        if held["status"] == "requires_action":
            return _see(held["next_action"]["redirect_to_url"]["url"])
        failure = held.get("last_payment_error") or held.get("last_setup_error")
        error = error or (failure["message"] if failure else None)
        lines = "\n".join(
            f"<tr><td>{line['quantity']} &times; {escape(line['name'])}</td>"
            f"<td>{money(line['unit'] * line['quantity'], line['currency'])}</td></tr>"
            for line in session["_"]["lines"]
        )
        buttons = [
            f'<button name="choice" value="{name}">{title}<small>{hint}</small></button>'
            for name, (_, title, hint) in CHOICES.items()
            if name in _offered(call, session)
        ]
        if session["cancel_url"]:
            buttons.append(f'<button class="quiet" name="choice" value="{CANCEL}">Cancel and go back</button>')
        paying = session["mode"] == "payment"
        body = PAY.substitute(
            heading="Pay" if paying else "Save a way to pay",
            error=f'<p class="bad" role="alert">{escape(error)}</p>' if error else "",
            lines=lines,
            total=money(session["amount_total"], session["currency"]) if paying else "nothing is charged now",
            action=escape(f"/pay/{session['id']}"),
            choices="\n".join(buttons),
        )
        goes_to = (session["success_url"], session["cancel_url"])
        return render("Sandbox payment", body, goes_to=goes_to, status=status)

    async def show_challenge(self, request: web.Request) -> web.StreamResponse:
        """`GET /3ds/{intent}/{secret}`: the bank asks."""
        call, held = self._challenge(request)
        if held is None:
            return closed("There is nothing to approve", "The question was answered already, or has expired.", 404)
        paying = held["object"] == "payment_intent"
        body = THREE_D_SECURE.substitute(
            what="Payment" if paying else "Saving this card",
            total=money(held["amount"], held["currency"]) if paying else "",
            action=escape(request.path),
        )
        session = call.store.get(call.scope, held["_"].get("session") or "", "checkout.session") or {}
        goes_to = (held["_"]["return_url"], session.get("success_url"), session.get("cancel_url"))
        return render("Sandbox bank", body, goes_to=goes_to)

    async def answer_challenge(self, request: web.Request) -> web.StreamResponse:
        """`POST /3ds/{intent}/{secret}`: the buyer approves or refuses."""
        answer = await _field(request, "answer")
        call, held = self._challenge(request)
        if held is None:
            return closed("There is nothing to approve", "The question was answered already, or has expired.", 404)
        if answer not in ("approve", "refuse"):
            return closed("This answer is not possible", "Please go back and approve or refuse.", 400)
        paying = held["object"] == "payment_intent"
        authenticate = attempts.authenticate if paying else setups.authenticate
        with call.store.transaction():
            error = authenticate(call, held, approved=answer == "approve")
            session = call.store.get(call.scope, held["_"].get("session") or "", "checkout.session")
            if session is not None:
                sessions.follow(call, session)
        await call.store.committed()
        return_url = held["_"]["return_url"]
        if not return_url:
            return closed("Thank you", "You can close this page.", 200)
        if session is not None:
            return _see(return_url)
        query = urlencode(
            {
                held["object"]: held["id"],
                f"{held['object']}_client_secret": held["client_secret"],
                "redirect_status": "failed" if error else "succeeded",
            }
        )
        return _see(f"{return_url}{'&' if '?' in return_url else '?'}{query}")

    def _call(self, request: web.Request, scope: str) -> Call:
        call = self.sandbox.call(scope)
        call.base_url = call.base_url or f"{request.scheme}://{request.host}"
        return call

    def _session(self, request: web.Request) -> tuple[Call, Json | None]:
        identifier = request.match_info["session"]
        scope = self.sandbox.store.holder(identifier) or ""
        call = self._call(request, scope)
        return call, call.store.get(scope, identifier, "checkout.session")

    def _challenge(self, request: web.Request) -> tuple[Call, Json | None]:
        identifier, secret = request.match_info["intent"], request.match_info["secret"]
        scope = self.sandbox.store.holder(identifier) or ""
        call = self._call(request, scope)
        held = call.store.get(scope, identifier)
        if held is None or held["object"] not in ("payment_intent", "setup_intent"):
            return call, None
        asked = held["status"] == "requires_action" and same_secret(held["_"].get("challenge", ""), secret)
        return call, held if asked else None


def _held(call: Call, session: Json) -> Json:
    held = call.store.get(call.scope, session["payment_intent"] or session["setup_intent"])
    if held is None:
        raise LookupError(f"{session['id']} has neither a PaymentIntent nor a SetupIntent")
    return held


def _offered(call: Call, session: Json) -> list[str]:
    types = _held(call, session)["payment_method_types"]
    return [name for name, (token, _, _) in CHOICES.items() if TOKENS[token].type in types]


async def _field(request: web.Request, name: str) -> str:
    if (request.content_length or 0) > MAX_FORM_BYTES:
        return ""
    value = (await request.post()).get(name, "")
    return value if isinstance(value, str) else ""


def _see(address: str) -> web.Response:
    return web.Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


def add_routes(router: web.UrlDispatcher, sandbox: Sandbox) -> None:
    """Put the pages on their paths."""
    pages = Pages(sandbox)
    routes: tuple[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]], ...] = (
        ("GET", "/pay/{session}", pages.show_payment),
        ("POST", "/pay/{session}", pages.choose),
        ("GET", "/3ds/{intent}/{secret}", pages.show_challenge),
        ("POST", "/3ds/{intent}/{secret}", pages.answer_challenge),
    )
    for method, path, handler in routes:
        router.add_route(method, path, handler)
