"""A client of the public HTTP API, written as a shop would write its own.

Every request that creates or moves money carries an Idempotency-Key, so whatever ends without an answer (a lost
connection, a 503) is simply sent again under the same key. Demo and replay see Florin through this module only; it
must never look into the database. A request that must be signed is signed with the key's secret.
"""

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

type Json = dict[str, Any]

TIMEOUT_SECONDS: Final = 30.0
TRIES: Final = 6
LONGEST_PAUSE_SECONDS: Final = 2.0
FIRST_LOOK_SECONDS: Final = 0.05
SLOWEST_LOOK_SECONDS: Final = 0.5
_AGAIN: Final = frozenset((409, 429, 502, 503, 504))  # a 409 only while it says that it may be repeated


class ApiRefusal(Exception):
    """An answer that says no; `problem` is the problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(f"{status} {self.code}: {problem.get('detail', '')}")

    @property
    def code(self) -> str:
        """Return the machine-readable reason."""
        return str(self.problem.get("code", ""))


class TakesTooLong(Exception):
    """Something that was waited for did not happen in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: status, JSON, and whether it repeats an earlier one."""

    status: int
    body: Json
    replayed: bool


class Shopper:
    """The API for one key. Safe to use from several threads: each has a connection of its own, kept open."""

    def __init__(
        self, web: str, api_key: str, *, signing_secret: str = "", over: Callable[[], bool] = lambda: False
    ) -> None:
        self.base = f"{web}/api/v1"
        self._api_key = api_key
        self._signing_secret = signing_secret
        self._over = over
        self._of_thread = threading.local()

    def get(self, path: str, **query: str | int) -> Json:
        """Read an object or a page of a list."""
        return self.call("GET", path, query=query).body

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> Answer:
        """Create something or move money, once, however often it has to be sent."""
        return self.call("POST", path, body=body, headers={"Idempotency-Key": key or new_key()})

    def upload(self, path: str, name: str, content: bytes, **fields: str) -> Json:
        """Hand a file in, with the fields that say what it is. The same bytes again change nothing."""
        answer = self._session().post(
            self.base + path, data=fields, files={"file": (name, content)}, timeout=TIMEOUT_SECONDS
        )
        if not answer.ok:
            raise ApiRefusal(answer.status_code, _problem(answer))
        found: Json = answer.json()
        return found

    def put_signed(self, path: str, body: Mapping[str, Any]) -> Json:
        """Set something that takes the signing secret beside the key, such as bank details."""
        return self.call("PUT", path, body=body, signed=True).body

    def post_bulk(self, payments: list[Json]) -> list[Json]:
        """Send up to 500 payments, each with an `idempotency_key` of its own; return one answer for each."""
        answers: list[Json] = self.call("POST", "/payments/bulk", body={"payments": payments}).body["data"]
        return answers

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        signed: bool = False,
    ) -> Answer:
        """Send a request, again if it may be repeated. Raises `ApiRefusal` or what `requests` raises."""
        content = json.dumps(body).encode() if body is not None else None
        plain = {**(headers or {}), **({"Content-Type": "application/json"} if content is not None else {})}
        for attempt in range(1, TRIES + 1):
            last = attempt == TRIES or self._over()
            proof = self._signature(method, path, content or b"") if signed else {}
            try:
                response = self._session().request(
                    method,
                    self.base + path,
                    data=content,
                    params=query,
                    headers={**plain, **proof},
                    timeout=TIMEOUT_SECONDS,
                )
            except (requests.ConnectionError, requests.Timeout):
                if last:
                    raise
                time.sleep(_pause(attempt, None))
                continue
            if response.ok:
                replayed = response.headers.get("Idempotency-Replayed") == "true"
                return Answer(response.status_code, response.json(), replayed)
            refusal = ApiRefusal(response.status_code, _problem(response))
            if last or response.status_code not in _AGAIN or not refusal.problem.get("retryable"):
                raise refusal
            time.sleep(_pause(attempt, response.headers.get("Retry-After")))
        raise AssertionError("the last try returns or raises")

    def wait(self, payment: str, statuses: Collection[str], *, seconds: float) -> Json:
        """Look at a payment until it has one of the statuses. Raises `TakesTooLong`."""
        return self.wait_until(payment, lambda found: found["status"] in statuses, seconds=seconds)

    def wait_until(self, payment: str, is_there: Callable[[Json], bool], *, seconds: float, part: str = "") -> Json:
        """Look at a payment, or at a part of it such as `/timeline`, until it is as wanted."""
        return self.wait_for(f"/payments/{payment}{part}", is_there, seconds=seconds)

    def wait_for(self, path: str, is_there: Callable[[Json], bool], *, seconds: float) -> Json:
        """Look at an object until it is as wanted. Raises `TakesTooLong`."""
        until, pause = time.monotonic() + seconds, FIRST_LOOK_SECONDS
        while True:
            found = self.get(path)
            if is_there(found):
                return found
            if time.monotonic() > until or self._over():
                raise TakesTooLong(f"{path} is still {found.get('status', 'not as it should be')}")
            time.sleep(pause)
            pause = min(pause * 1.5, SLOWEST_LOOK_SECONDS)

    def pages(self, path: str, **query: str | int) -> Iterator[Json]:
        """Yield every object of a list."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, limit=100, **query, **cursor)
            yield from page["data"]
            if not page["next_cursor"]:
                return
            cursor = {"cursor": page["next_cursor"]}

    def _signature(self, method: str, path: str, content: bytes) -> dict[str, str]:
        """Return the headers that prove who sends a request, fresh and once: for requests without query and key."""
        at, nonce = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", new_key()
        address = urlsplit(self.base + path).path
        said = "\n".join((method, address, at, nonce, "", hashlib.sha256(content).hexdigest()))
        digest = hmac.digest(self._signing_secret.encode(), said.encode(), hashlib.sha256).hex()
        return {"X-Request-Timestamp": at, "X-Request-Nonce": nonce, "X-Signature": f"sha256={digest}"}

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no proxy between us and ourselves, and no .netrc
            session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1))
            session.headers["Authorization"] = f"Bearer {self._api_key}"
            self._of_thread.session = session
        return session


def new_key() -> str:
    """Return a fresh Idempotency-Key."""
    return str(uuid.uuid4())


def _pause(attempt: int, retry_after: str | None) -> float:
    asked = float(retry_after) if retry_after and retry_after.isdigit() else 0.1 * 2**attempt
    return min(asked, LONGEST_PAUSE_SECONDS)


def _problem(response: requests.Response) -> Json:
    try:
        found = response.json()
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return {"detail": f"an answer that is no problem document: {response.text[:200]!r}"}
