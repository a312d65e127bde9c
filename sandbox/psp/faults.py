"""Faults on demand: which request or webhook goes wrong next, and how.

A fault is a rule (operation pattern, kind, how often, for whom, for which object) that is used up as it
fires. Rules are tried in the order given; one request meets at most one. What a fault does is carried out
by `server` and `webhooks`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from .errors import Json
from .identifiers import new_id

REQUEST_KINDS: Final = {
    "drop_before": "closes the connection without an answer; nothing happened",
    "drop_after": "does the work, keeps the answer under the key, closes the connection without an answer",
    "reset_before": "resets the connection (RST); nothing happened",
    "reset_after": "does the work, then resets the connection",
    "delay": "does the work at once and answers after `seconds`",
    "delay_before": "begins after `seconds` (the idempotency key is in use meanwhile), then answers",
    "never_answer": "does the work and never answers; the connection stays open",
    "never_answer_before": "does nothing and never answers; the connection stays open",
    "500_before": "answers 500 without an effect; the 500 is kept under the key",
    "500_after": "does the work and answers 500; the 500 is kept under the key",
    "429": "answers 429 before the idempotency layer; nothing happened, nothing kept",
    "409": "answers 409 idempotency_key_in_use; nothing happened, nothing kept",
    "html_502": "answers a gateway's HTML page with status 502; nothing happened, nothing kept",
    "html_502_after": "does the work, keeps the answer under the key, answers the HTML page with status 502",
}
WEBHOOK_KINDS: Final = {
    "lose": "the event is never delivered (it can be resent)",
    "duplicate": "the event is delivered twice",
    "reorder": "the event is held back for `seconds` (1 if not given), so that later ones overtake it",
    "delay": "the event is delivered after `seconds`",
    "forge": "a forged copy (another status, a wrong signature) is delivered before the true event",
}
WEBHOOKS: Final = "webhooks"
MAX_RULES: Final = 1000
FIELDS: Final = frozenset(("operation", "kind", "seconds", "times", "after", "match", "account"))


class FaultError(ValueError):
    """A rule that cannot be understood; the message says why."""


@dataclass(slots=True)
class Fault:
    """One rule. `times` None means always; `after` requests that match are let through first."""

    operation: str
    kind: str
    seconds: float
    times: int | None
    after: int
    match: dict[str, str]
    scope: str | None
    id: str = field(default_factory=lambda: new_id("fault"))
    seen: int = 0
    fired: int = 0

    def as_json(self) -> Json:
        """Show the rule and how often it fired."""
        return {
            "id": self.id, "operation": self.operation, "kind": self.kind, "seconds": self.seconds,
            "times": self.times, "after": self.after, "match": self.match, "account": self.scope,
            "fired": self.fired,
        }  # fmt: skip


def parse(rule: Any, account_of: Callable[[str], str]) -> Fault:
    """Read one rule from JSON."""
    if not isinstance(rule, dict):
        raise FaultError("a fault is a JSON object")
    if unknown := set(rule) - FIELDS:
        raise FaultError(f"unknown fields: {', '.join(sorted(unknown))}; known are {', '.join(sorted(FIELDS))}")
    operation, kind = rule.get("operation"), str(rule.get("kind"))
    if not isinstance(operation, str) or not operation:
        raise FaultError("operation is missing: for example payment_intents.confirm, payment_intents.*, * or webhooks")
    known = WEBHOOK_KINDS if operation == WEBHOOKS else REQUEST_KINDS
    if kind not in known:
        raise FaultError(f"kind {kind!r} is not one of {', '.join(known)}")
    times, after, seconds = rule.get("times", 1), rule.get("after", 0), rule.get("seconds")
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise FaultError("times is a whole number from 1, or null for always")
    if not isinstance(after, int) or after < 0:
        raise FaultError("after is a whole number from 0")
    if seconds is not None and (not isinstance(seconds, int | float) or seconds < 0):
        raise FaultError("seconds is a number from 0")
    match = rule.get("match", {})
    if not isinstance(match, dict):
        raise FaultError('match is an object of paths and values, such as {"metadata.order": "7"}')
    account = rule.get("account")
    return Fault(
        operation=operation,
        kind=kind,
        seconds=float(seconds) if seconds is not None else (1.0 if kind == "reorder" else 30.0),
        times=times,
        after=after,
        match={str(path): str(value) for path, value in match.items()},
        scope=None if account is None else (account if account.startswith("acct_") else account_of(account)),
    )


class Faults:
    """The rules that are switched on."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def add(self, rules: list[Fault]) -> None:
        """Switch rules on."""
        if len(self.rules) + len(rules) > MAX_RULES:
            raise FaultError(f"at most {MAX_RULES} faults at a time")
        self.rules += rules

    def clear(self, scopes: list[str] | None = None) -> None:
        """Switch off everything, or what is limited to some accounts."""
        self.rules = [] if scopes is None else [rule for rule in self.rules if rule.scope not in scopes]

    def take(self, operation: str, scopes: tuple[str, str], subjects: Callable[[], list[Any]]) -> Fault | None:
        """Answer the rule that this request (or event) meets and use it up once."""
        for rule in self.rules:
            if rule.times is not None and rule.fired >= rule.times:
                continue
            if (rule.operation == WEBHOOKS) != (operation == WEBHOOKS) or not fnmatchcase(operation, rule.operation):
                continue
            if rule.scope is not None and rule.scope not in scopes:
                continue
            if rule.match and not _matches(rule.match, subjects()):
                continue
            rule.seen += 1
            if rule.seen <= rule.after:
                continue
            rule.fired += 1
            return rule
        return None


def _matches(wanted: dict[str, str], subjects: list[Any]) -> bool:
    return all(any(_at(subject, path) == value for subject in subjects) for path, value in wanted.items())


def _at(subject: Any, path: str) -> str | None:
    for part in path.split("."):
        if not isinstance(subject, dict) or part not in subject:
            return None
        subject = subject[part]
    return str(subject)
