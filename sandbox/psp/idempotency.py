"""Stripe's idempotency rules (docs.stripe.com/api/idempotent_requests).

The first answer to a key is kept, declines and 500s included, and given again byte for byte for 24 hours
of the sandbox's clock; afterwards the key is new. Other parameters or another endpoint under the same
key: 400. Still being worked on: 409. Refused before it began (validation, 401, 429, a key in use):
nothing is kept.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from .errors import ParameterError, RefusalError
from .store import Store

KEPT_SECONDS: Final = 24 * 3600
MAX_KEY_LENGTH: Final = 255
PRUNE_EVERY: Final = 2000


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered first."""

    status: int
    body: bytes
    request_id: str


def fingerprint(flat: list[tuple[str, str]]) -> str:
    """Answer what stays the same when a request is sent again."""
    return hashlib.sha256(repr(sorted(flat)).encode()).hexdigest()


def key_in_use(key: str) -> RefusalError:
    """Another request with the key is being worked on."""
    refusal = RefusalError(
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        "submitted "
        f"twice, and the other request is still going through): {key}. Please try again in a bit.",
        status=409,
        kind="idempotency_error",
        code="idempotency_key_in_use",
    )
    refusal.begun = False
    return refusal


class Answers:
    """Keep first answers by account and key."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.in_flight: set[tuple[str, str]] = set()
        self.kept = 0

    def begin(self, scope: str, key: str, path: str, print_: str, *, now: float) -> Answer | None:
        """Answer the first answer if there is one; otherwise take the key until `end`."""
        if len(key) > MAX_KEY_LENGTH:
            raise ParameterError(f"Idempotency keys can be at most {MAX_KEY_LENGTH} characters long.")
        if (scope, key) in self.in_flight:
            raise key_in_use(key)
        row = self.store.db.execute(
            "SELECT path, fingerprint, status, body, request_id, created FROM answers WHERE scope = ? AND key = ?",
            (scope, key),
        ).fetchone()
        if row is None or row[5] <= now - KEPT_SECONDS:
            self.in_flight.add((scope, key))
            return None
        if row[0] != path:
            raise _misused(
                "Keys for idempotent requests can only be used for the same endpoint they were first used "
                f"for ('{path}'"
                f" vs '{row[0]}'). Try using a key other than '{key}' if you meant to execute a different "
                "request."
            )
        if row[1] != print_:
            raise _misused(
                "Keys for idempotent requests can only be used with the same parameters they were first "
                "used with. Try "
                f"using a key other than '{key}' if you meant to execute a different request."
            )
        return Answer(row[2], row[3], row[4])

    def end(self, scope: str, key: str) -> None:
        """Let go of the key."""
        self.in_flight.discard((scope, key))

    def keep(self, scope: str, key: str, path: str, print_: str, answer: Answer, *, now: float) -> None:
        """Keep the first answer, in the transaction of its effects."""
        self.store.db.execute(
            "INSERT OR REPLACE INTO answers (scope, key, path, fingerprint, status, body, request_id, "
            "created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (scope, key, path, print_, answer.status, answer.body, answer.request_id, now),
        )
        self.kept += 1
        if self.kept % PRUNE_EVERY == 0:
            self.store.db.execute("DELETE FROM answers WHERE created <= ?", (now - KEPT_SECONDS,))


def _misused(message: str) -> RefusalError:
    refusal = RefusalError(message, kind="idempotency_error")
    refusal.begun = False
    return refusal
