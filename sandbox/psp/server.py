"""The HTTP side: who asks, which operation, which fault, which answer.

The order is Stripe's: authentication (401) and rate limits (429) come before the idempotency layer,
validation before anything is kept, and an operation with its kept answer is one transaction. Faults that
cut the connection do so here.
"""

import asyncio
import base64
import binascii
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sandbox.bank import control as bank_control

from . import control, pages
from .call import Call
from .errors import Json, RefusalError
from .events import API_VERSION
from .faults import Fault
from .files import multipart
from .forms import Params, nest, pairs
from .idempotency import Answer, fingerprint, key_in_use
from .ledger import faults_found
from .lists import expand
from .operations import JOBS, Operation, find
from .sandbox import Sandbox, Settings, request_id
from .store import encode, shown

log = logging.getLogger(__name__)
MAX_BODY_BYTES: Final = 6 * 1024 * 1024
SILENT_SECONDS: Final = 600.0
TEST_KEY: Final = "sk_test_"
MAX_KEY_LENGTH: Final = 255
SANDBOX: Final = web.AppKey("sandbox", Sandbox)
HTML_502: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
ENVELOPE_500: Final[Json] = {"error": {"message": "An unknown error occurred", "type": "api_error"}}


class KeyRefusedError(RefusalError):
    """No key, or one that the sandbox does not take."""

    begun = False

    def __init__(self, message: str) -> None:
        super().__init__(message, status=401)


def create_app(data_dir: Path | None = None, *, settings: Settings | None = None) -> web.Application:
    """Build the server; without a directory its books are temporary."""
    chosen = settings or Settings(data_dir=data_dir)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    sandbox = Sandbox(chosen)
    sandbox.jobs.kinds = JOBS
    app[SANDBOX] = sandbox
    api = Api(sandbox)
    app.router.add_route("*", "/v1/{path:.*}", api.handle)
    control.add_routes(app.router, sandbox)
    bank_control.add_routes(app.router, sandbox.bank)
    pages.add_routes(app.router, sandbox)
    app.cleanup_ctx.append(_loops)
    return app


async def _loops(app: web.Application) -> AsyncIterator[None]:
    """Run the loops of due jobs and webhooks while the server runs."""
    sandbox = app[SANDBOX]
    loops = [asyncio.create_task(sandbox.jobs.run()), asyncio.create_task(sandbox.webhooks.run())]
    yield
    for loop in loops:
        loop.cancel()
    for loop in loops:
        with suppress(asyncio.CancelledError):
            await loop
    sandbox.close()


class Api:
    """Answer `/v1/...`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, with whatever fault was ordered for it."""
        identifier = request_id()
        headers = {
            "Request-Id": identifier,
            "Stripe-Version": request.headers.get("Stripe-Version", API_VERSION),
            "Cache-Control": "no-cache, no-store",
        }
        body = await request.read()
        try:
            return await self._answer(request, body, identifier, headers)
        except RefusalError as refusal:
            return _response(refusal.status, encode({"error": refusal.error}).encode(), headers)

    async def _answer(
        self, request: web.Request, body: bytes, identifier: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        sandbox = self.sandbox
        platform = sandbox.account(secret_key_of(request))
        scope = self._acting_for(request, platform)
        operation, ids = find(request.method, request.match_info["path"])
        sandbox.requests[operation.name] = sandbox.requests.get(operation.name, 0) + 1
        upload = None
        if request.content_type == "multipart/form-data":
            flat, upload = multipart(request.headers["Content-Type"], body)
        else:
            query = request.rel_url.raw_query_string
            flat = pairs(body.decode("utf-8", "replace") if request.method == "POST" else query)
        call = Call(
            sandbox=sandbox,
            scope=scope,
            platform=platform,
            now=int(sandbox.clock.now()),
            params=Params(nest(flat)),
            ids=ids,
            base_url=sandbox.settings.public_url or f"{request.scheme}://{request.host}",
            request_id=identifier,
            upload=upload,
        )
        fault = self._fault(operation, call) if sandbox.faults.rules else None
        kind = fault.kind if fault else ""
        if kind == "429":
            raise _too_many()
        if kind == "html_502":
            return _gateway_page(headers)
        if kind in ("drop_before", "reset_before", "never_answer_before"):
            return await self._silence(request, kind)
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        if kind == "409":
            raise key_in_use(key or "none")
        if key is None:
            answer = await self._work(operation, call, fault, None)
        else:
            call.idempotency_key = key
            path = request.path
            print_ = fingerprint(flat)
            first = sandbox.answers.begin(scope, key, path, print_, now=sandbox.clock.now())
            if first is not None:
                headers.update(
                    {
                        "Idempotent-Replayed": "true",
                        "Original-Request": first.request_id,
                        "Idempotency-Key": key,
                    }
                )
                answer = first
            else:
                headers.update({"Idempotency-Key": key, "Original-Request": identifier})
                try:
                    answer = await self._work(operation, call, fault, (key, path, print_))
                finally:
                    sandbox.answers.end(scope, key)
        if kind in ("drop_after", "reset_after", "never_answer"):
            return await self._silence(request, kind)
        if kind == "html_502_after":
            return _gateway_page(headers)
        if kind == "delay" and fault is not None:
            await sandbox.clock.sleep(fault.seconds)
        return _response(answer.status, answer.body, headers)

    def _acting_for(self, request: web.Request, platform: str) -> str:
        """Answer the account that the request is about: the platform's own, or one of its connected
        accounts.
        """
        connected = request.headers.get("Stripe-Account")
        if connected is None or connected == platform:
            return platform
        if self.sandbox.platform_of(connected) != platform:
            refusal = RefusalError(
                f"The provided key does not have access to account '{connected[:40]}' (or that account does "
                "not exist). "
                "Application access may have been revoked.",
                status=403,
                code="account_invalid",
            )
            refusal.begun = False
            raise refusal
        return connected

    def _fault(self, operation: Operation, call: Call) -> Fault | None:
        return self.sandbox.faults.take(operation.name, (call.scope, call.platform), lambda: _subjects(call))

    async def _work(
        self, operation: Operation, call: Call, fault: Fault | None, keep: tuple[str, str, str] | None
    ) -> Answer:
        """Do the operation and keep its answer, in one transaction."""
        sandbox, store = self.sandbox, self.sandbox.store
        kind = fault.kind if fault else ""
        if fault is not None and kind == "delay_before":
            await sandbox.clock.sleep(fault.seconds)
            call.now = int(sandbox.clock.now())
        refusal: RefusalError | None = None
        answer = Answer(500, encode(ENVELOPE_500).encode(), call.request_id or "")
        if kind != "500_before":
            try:
                with nullcontext() if operation.method == "GET" else store.transaction():
                    try:
                        result = expand(call, operation.handler(call))
                        done = Answer(200, encode(shown(result)).encode(), answer.request_id)
                    except RefusalError as problem:
                        if not problem.keeps_effects:
                            raise
                        done = _refused(problem, answer.request_id)
                    answer = answer if kind == "500_after" else done
                    self._keep(call, keep, answer)
            except RefusalError as problem:
                refusal = problem
        if refusal is not None:
            if not refusal.begun:
                raise refusal
            answer = _refused(refusal, answer.request_id)
        if refusal is not None or kind == "500_before":
            with store.transaction():
                self._keep(call, keep, answer)
        await store.committed()
        if sandbox.settings.verify_books and (wrong := faults_found(store, call.scope)):
            raise AssertionError(f"the sandbox's books are wrong after {operation.name}: {wrong}")
        return answer

    def _keep(self, call: Call, keep: tuple[str, str, str] | None, answer: Answer) -> None:
        if keep is not None:
            self.sandbox.answers.keep(call.scope, *keep, answer, now=self.sandbox.clock.now())

    async def _silence(self, request: web.Request, kind: str) -> web.StreamResponse:
        """Cut the connection, or keep it and say nothing until the caller gives up."""
        if kind.startswith("never_answer"):
            waited = 0.0
            while request.transport is not None and not request.transport.is_closing() and waited < SILENT_SECONDS:
                await asyncio.sleep(0.1)
                waited += 0.1
        elif request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            if kind.startswith("reset") and connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.transport.abort()
            else:
                request.transport.close()
        return web.Response(status=500)


def secret_key_of(request: web.Request) -> str:
    """Answer the secret key of a request (Bearer, or the user name of Basic), or refuse with 401."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    key = given.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError) as problem:
            raise KeyRefusedError("Invalid API Key provided.") from problem
    if not key:
        raise KeyRefusedError(
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer "
            "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if not key.startswith(TEST_KEY) or len(key) <= len(TEST_KEY) or len(key) > MAX_KEY_LENGTH or not key.isascii():
        raise KeyRefusedError(f"Invalid API Key provided: {key[:8]}****{key[-4:] if len(key) > 16 else ''}")
    return key


def _subjects(call: Call) -> list[Any]:
    """Answer what a fault may be matched with: the parameters, the object addressed, and those that are
    named.
    """
    found: list[Any] = [call.params.values]
    named = [call.params.values.get(name) for name in ("payment_intent", "charge")]
    for identifier in (*call.ids, *named):
        if isinstance(identifier, str):
            subject = call.store.get(call.scope, identifier)
            if subject is not None:
                found.append(shown(subject))
    return found


def _refused(refusal: RefusalError, identifier: str) -> Answer:
    return Answer(refusal.status, encode({"error": refusal.error}).encode(), identifier)


def _too_many() -> RefusalError:
    return RefusalError(
        "Request rate limit exceeded. You can learn more about rate limits here https://docs.stripe.com/rate-limits.",
        status=429,
        code="rate_limit",
    )


def _response(status: int, body: bytes, headers: dict[str, str]) -> web.Response:
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Stripe"'
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


def _gateway_page(headers: dict[str, str]) -> web.Response:
    kept = {name: value for name, value in headers.items() if name == "Cache-Control"}
    return web.Response(status=502, body=HTML_502, headers=kept, content_type="text/html")
