"""The sandbox's own endpoints below `/_sandbox/`: read its books, order faults, move its clock, decide
things by hand.

They have no counterpart at Stripe, take JSON, and are meant for tests, the demo and people; never for the
adapter.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from . import attempts, disputes, payouts, refunds
from .books import report
from .currencies import SUPPORTED
from .errors import Json, RefusalError
from .events import API_VERSION
from .faults import REQUEST_KINDS, WEBHOOK_KINDS, FaultError, parse
from .sandbox import Sandbox
from .settling import Settling, SettlingError
from .store import Store, encode, shown

MAX_ADVANCE_SECONDS: Final = 400 * 24 * 3600
MAX_SHOWN: Final = 1000


class ControlError(ValueError):
    """A control request that cannot be understood; the message says why."""


class NotFoundError(LookupError):
    """A control request about an object that does not exist."""


class Control:
    """Answer the control endpoints."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def health(self, _request: web.Request) -> Json:
        """`GET /_sandbox/health`."""
        return {
            "status": "ok", "api_version": API_VERSION, "now": self.sandbox.clock.now(),
            "clock_offset_seconds": self.sandbox.clock.offset_seconds, "requests": self.sandbox.requests,
            "faults": len(self.sandbox.faults.rules),
        }  # fmt: skip

    async def books(self, request: web.Request) -> Json:
        """`GET /_sandbox/books[?account=sk_test_...]`."""
        key = request.query.get("account")
        scope = None if key is None else self._scope(key)
        return report(self.sandbox, scope)

    async def list_faults(self, _request: web.Request) -> Json:
        """`GET /_sandbox/faults`."""
        return {
            "faults": [rule.as_json() for rule in self.sandbox.faults.rules],
            "kinds": {"requests": REQUEST_KINDS, "webhooks": WEBHOOK_KINDS},
        }

    async def add_faults(self, request: web.Request) -> Json:
        """`POST /_sandbox/faults`: one rule or a list."""
        given = await _json(request)
        rules = [parse(rule, self.sandbox.account) for rule in (given if isinstance(given, list) else [given])]
        self.sandbox.faults.add(rules)
        return {"faults": [rule.as_json() for rule in rules]}

    async def clear_faults(self, request: web.Request) -> Json:
        """`DELETE /_sandbox/faults[?account=sk_test_...]`."""
        key = request.query.get("account")
        self.sandbox.faults.clear(None if key is None else [self._scope(key)])
        return {"faults": [rule.as_json() for rule in self.sandbox.faults.rules]}

    async def clock(self, request: web.Request) -> Json:
        """`POST /_sandbox/clock`: advance or reset; what became due is done before the answer."""
        given = await _object(request)
        clock = self.sandbox.clock
        if given.get("reset") is True:
            clock.reset()
        else:
            seconds = given.get("advance_seconds")
            if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_ADVANCE_SECONDS:
                raise ControlError(f"advance_seconds is a number from 0 to {MAX_ADVANCE_SECONDS}")
            clock.advance(seconds)
        done = self.sandbox.jobs.run_due()
        self.sandbox.jobs.woken.set()
        self.sandbox.webhooks.woken.set()
        return {"now": clock.now(), "offset_seconds": clock.offset_seconds, "jobs_done": done}

    async def advance_intent(self, request: web.Request) -> Json:
        """`POST /_sandbox/payment_intents/{id}/advance`: decide a delayed or challenged attempt now."""
        given = await _object(request)
        outcome = given.get("outcome", "succeed")
        if outcome not in ("succeed", "decline"):
            raise ControlError("outcome is succeed or decline")
        scope, intent = self._object(request.match_info["id"], "payment_intent")
        call = self.sandbox.call(scope)
        call.base_url = call.base_url or f"{request.scheme}://{request.host}"
        with self.sandbox.store.transaction():
            if intent["status"] == "processing":
                self.sandbox.jobs.cancel(call, "intent.finish", intent["id"])
                attempts.finish(call, intent, outcome)
            elif intent["status"] == "requires_action":
                attempts.authenticate(call, intent, approved=outcome == "succeed")
                attempts.follow(call, intent)
            elif intent["status"] == "canceled" and intent["latest_charge"]:
                self.sandbox.jobs.cancel(call, "intent.late_success", intent["id"])
                attempts.finish(call, intent, "succeed")
            else:
                raise ControlError(f"nothing is undecided: the PaymentIntent is {intent['status']}")
        self.sandbox.jobs.run_due()
        return intent

    async def open_dispute(self, request: web.Request) -> Json:
        """`POST /_sandbox/disputes`: {"charge" or "payment_intent", "reason", "amount", "inquiry", "again",
        "settled_in"}.
        """
        given = await _object(request)
        reason = given.get("reason", "fraudulent")
        if reason not in disputes.REASONS:
            raise ControlError(f"reason is one of {', '.join(disputes.REASONS)}")
        named = str(given.get("charge") or "")
        if not named:
            _, intent = self._object(str(given.get("payment_intent")), "payment_intent")
            named = str(intent["latest_charge"])
        scope, charge = self._object(named, "charge")
        amount = given.get("amount")
        if amount is not None and (not isinstance(amount, int) or not 0 < amount <= charge["amount_captured"]):
            raise ControlError("amount is a whole number of minor units within the captured amount")
        if (charge["disputed"] and given.get("again") is not True) or not charge["captured"]:
            raise ControlError("the charge is disputed already (send again: true), or was never captured")
        settled_in = given.get("settled_in")
        if settled_in is not None and settled_in not in SUPPORTED:
            raise ControlError("settled_in is a currency in lower case")
        with self.sandbox.store.transaction():
            return disputes.open_dispute(
                self.sandbox.call(scope),
                charge,
                reason=reason,
                amount=amount,
                inquiry=given.get("inquiry") is True,
                settled_in=settled_in,
            )

    async def escalate_dispute(self, request: web.Request) -> Json:
        """`POST /_sandbox/disputes/{id}/escalate`: an inquiry becomes a dispute."""
        scope, dispute = self._object(request.match_info["id"], "dispute")
        with self.sandbox.store.transaction():
            disputes.escalate(self.sandbox.call(scope), dispute)
        return dispute

    async def reinstate_dispute(self, request: web.Request) -> Json:
        """`POST /_sandbox/disputes/{id}/reinstate`: {"amount"} comes back after the decision."""
        given = await _object(request)
        scope, dispute = self._object(request.match_info["id"], "dispute")
        amount = given.get("amount")
        if not isinstance(amount, int) or not 0 < amount <= dispute["amount"]:
            raise ControlError("amount is a whole number of minor units within the disputed amount")
        with self.sandbox.store.transaction():
            disputes.reinstate(self.sandbox.call(scope), dispute, amount)
        return dispute

    async def close_dispute(self, request: web.Request) -> Json:
        """`POST /_sandbox/disputes/{id}/close`: {"status": "won", "lost" or "warning_closed", "returned",
        "fee_returned"}.
        """
        given = await _object(request)
        if given.get("status") not in disputes.ENDS:
            raise ControlError(f"status is one of {', '.join(disputes.ENDS)}")
        scope, dispute = self._object(request.match_info["id"], "dispute")
        returned = given.get("returned")
        if returned is not None and (not isinstance(returned, int) or not 0 <= returned <= dispute["amount"]):
            raise ControlError("returned is a whole number of minor units within the disputed amount")
        with self.sandbox.store.transaction():
            disputes.decide(
                self.sandbox.call(scope),
                dispute,
                given["status"],
                returned=returned,
                fee_returned=given.get("fee_returned") is True,
            )
        return dispute

    async def fail_refund(self, request: web.Request) -> Json:
        """`POST /_sandbox/refunds/{id}/fail`."""
        scope, refund = self._object(request.match_info["id"], "refund")
        if refund["status"] not in ("pending", "succeeded"):
            raise ControlError(f"the refund is {refund['status']}")
        with self.sandbox.store.transaction():
            refunds.fail(self.sandbox.call(scope), refund)
        return refund

    async def advance_payout(self, request: web.Request) -> Json:
        """`POST /_sandbox/payouts/{id}/advance`: {"status": "in_transit", "paid", "failed" or "canceled"}."""
        given = await _object(request)
        scope, payout = self._object(request.match_info["id"], "payout")
        with self.sandbox.store.transaction():
            payouts.move(self.sandbox.call(scope), payout, str(given.get("status")))
        return payout

    async def deliveries(self, request: web.Request) -> Json:
        """`GET /_sandbox/webhooks[?account=sk_test_...]`: what was sent, what waits, what was lost."""
        key = request.query.get("account")
        where, given = ("", ()) if key is None else ("WHERE scope = ?", (self._scope(key),))
        rows = self.sandbox.store.db.execute(
            "SELECT id, endpoint, event, state, due, tries, forged, note FROM deliveries "
            f"{where} ORDER BY id DESC LIMIT {MAX_SHOWN}",
            given,
        )
        names = ("id", "endpoint", "event", "state", "due", "tries", "forged", "note")
        return {"deliveries": [dict(zip(names, row, strict=True)) for row in rows]}

    async def resend(self, request: web.Request) -> Json:
        """`POST /_sandbox/webhooks/resend`: {"event": "evt_..."} or {"account": "sk_test_...", "state":
        "lost"}.
        """
        given = await _object(request)
        store = self.sandbox.store
        if event_id := given.get("event"):
            scope, _ = self._object(str(event_id), "event")
            wanted = [(scope, str(event_id))]
        else:
            scope = self._scope(str(given.get("account") or ""))
            state = str(given.get("state", "lost"))
            wanted = [
                (scope, row[0])
                for row in store.db.execute(
                    "SELECT DISTINCT event FROM deliveries WHERE scope = ? AND state = ?", (scope, state)
                )
            ]
        sent = 0
        with store.transaction():
            for scope, identifier in wanted:
                event = store.get(scope, identifier, "event")
                if event is None:
                    continue
                store.db.execute("DELETE FROM deliveries WHERE event = ? AND state IN ('lost', 'dead')", (identifier,))
                endpoints = self.sandbox.webhooks.interested(scope, event["type"])
                self.sandbox.webhooks.queue(scope, event, endpoints, faults=False)
                sent += len(endpoints)
        return {"queued": sent}

    async def reset(self, request: web.Request) -> Json:
        """`POST /_sandbox/reset`: {"account": "sk_test_..."} or {} for everything."""
        given = await _object(request)
        key = given.get("account")
        return self.sandbox.reset(None if key is None else str(key))

    def _scope(self, key: str) -> str:
        if key.startswith("acct_"):
            return key
        if not key.startswith("sk_test_"):
            raise ControlError("account is a secret key such as sk_test_shop, or an acct_ id")
        return self.sandbox.account(key)

    def _object(self, identifier: str, kind: str) -> tuple[str, Json]:
        scope = self.sandbox.store.holder(identifier)
        found = None if scope is None else self.sandbox.store.get(scope, identifier, kind)
        if scope is None or found is None:
            raise NotFoundError(f"no {kind} is called {identifier}")
        return scope, found


async def _json(request: web.Request) -> Any:
    text = await request.text()
    try:
        return json.loads(text) if text else {}
    except json.JSONDecodeError as problem:
        raise ControlError(f"the body is not JSON: {problem}") from problem


async def _object(request: web.Request) -> Json:
    given = await _json(request)
    if not isinstance(given, dict):
        raise ControlError("the body is a JSON object")
    return given


def _answering(
    store: Store, handler: Callable[[web.Request], Awaitable[Json | web.Response]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        status = 200
        try:
            answered = await handler(request)
            await store.committed()
            if isinstance(answered, web.Response):
                return answered
            body = shown(answered)
        except (ControlError, FaultError, SettlingError) as problem:
            status, body = 400, {"error": str(problem)}
        except NotFoundError as problem:
            status, body = 404, {"error": str(problem)}
        except RefusalError as refusal:
            status, body = refusal.status, {"error": str(refusal)}
        return web.Response(status=status, body=encode(body).encode(), content_type="application/json")

    return answer


def add_routes(router: web.UrlDispatcher, sandbox: Sandbox) -> None:
    """Put the control endpoints below `/_sandbox/`."""
    control, settling = Control(sandbox), Settling(sandbox, _object)
    endpoints: tuple[tuple[str, str, Callable[[web.Request], Awaitable[Json | web.Response]]], ...] = (
        ("GET", "health", control.health),
        ("GET", "books", control.books),
        ("GET", "faults", control.list_faults),
        ("POST", "faults", control.add_faults),
        ("DELETE", "faults", control.clear_faults),
        ("POST", "clock", control.clock),
        ("POST", "payment_intents/{id}/advance", control.advance_intent),
        ("POST", "disputes", control.open_dispute),
        ("POST", "disputes/{id}/close", control.close_dispute),
        ("POST", "disputes/{id}/escalate", control.escalate_dispute),
        ("POST", "disputes/{id}/reinstate", control.reinstate_dispute),
        ("POST", "refunds/{id}/fail", control.fail_refund),
        ("POST", "payouts/{id}/advance", control.advance_payout),
        ("GET", "webhooks", control.deliveries),
        ("POST", "webhooks/resend", control.resend),
        ("POST", "banking", settling.arrange),
        ("POST", "banking/pay_out", settling.pay_out),
        ("POST", "adjustments", settling.adjust),
        ("GET", "reports/{name}", settling.report),
        ("POST", "reset", control.reset),
    )
    for method, path, handler in endpoints:
        router.add_route(method, f"/_sandbox/{path}", _answering(sandbox.store, handler))
