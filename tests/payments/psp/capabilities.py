"""What each operation answers in each situation, by server: the expectations of the conformance suite.

Every cell is asserted by a test, and docs/reference/psp-capabilities.md is rendered from these cells, so the
document cannot say what was not seen. Write it again with `python -m tests.payments.psp.capabilities`.
"""

from pathlib import Path

from payments.psp.base import Outcome, Result

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "reference" / "psp-capabilities.md"

CUT = "unknown: psp_connection_broken"
LATE = "unknown: psp_timeout"
BROKEN = "unknown: psp_server_error"
GATEWAY = "unknown: psp_gateway"
LIMITED = "not_executed: psp_rate_limited"
IN_USE = "unknown: psp_key_in_use"
DONE = "succeeded"

# The sandbox's fault, what the adapter says, how often the effect was there, what the same key gives
# afterwards.
FAULTS: dict[str, tuple[str, str, int, str]] = {
    "connection closed before": ("drop_before", CUT, 0, DONE),
    "connection closed after": ("drop_after", CUT, 1, DONE),
    "reset before": ("reset_before", CUT, 0, DONE),
    "reset after": ("reset_after", CUT, 1, DONE),
    "no answer, not done": ("never_answer_before", LATE, 0, DONE),
    "no answer, done": ("never_answer", LATE, 1, DONE),
    "500 before": ("500_before", BROKEN, 0, BROKEN),
    "500 after": ("500_after", BROKEN, 1, BROKEN),
    "429": ("429", LIMITED, 0, DONE),
    "409 key in use": ("409", IN_USE, 0, DONE),
    "HTML 502 before": ("html_502", GATEWAY, 0, DONE),
    "HTML 502 after": ("html_502_after", GATEWAY, 1, DONE),
}
READ_FAULTS: dict[str, tuple[str, str]] = {
    "connection closed before": ("drop_before", CUT),
    "reset before": ("reset_before", CUT),
    "no answer, not done": ("never_answer_before", LATE),
    "500 before": ("500_before", BROKEN),
    "429": ("429", LIMITED),
    "HTML 502 before": ("html_502", GATEWAY),
}

MONEY = (
    "register", "create_hosted_session", "save_method", "confirm", "capture", "cancel", "refund", "submit_evidence",
    "accept_dispute", "create_payee", "transfer", "reverse_transfer", "payout", "cancel_payout",
)  # fmt: skip
REFUSED = "not_executed: psp_unreachable"
UNAUTHORIZED = "not_executed: psp_authentication"
MISMATCH = "unknown: psp_key_mismatch"
ABSENT = "declined: not_found"

ANSWERS: dict[str, dict[str, str]] = {
    "done": {
        **dict.fromkeys((*MONEY, "fetch", "find", "get_payee"), DONE),
        "payout": "pending",
        "ensure_webhook": "a secret",
    },
    "declined": {
        "save_method": "declined: card_declined",
        "confirm": "declined: card_declined",
        "capture": "declined: not_capturable",
        "refund": "declined: not_refundable",
        "transfer": "declined: insufficient_balance",
        "payout": "declined: insufficient_balance",
        "cancel_payout": "declined: payout_not_cancellable",
    },
    "3-D Secure": {"save_method": "requires_action", "confirm": "requires_action"},
    "decided later": {"confirm": "pending", "refund": "pending"},
    "refused (4xx)": {
        "register": "declined: refused",
        "create_hosted_session": "declined: refused",
        "save_method": "declined: payment_method_unusable",
        "confirm": "declined: payment_method_unusable",
        "capture": "declined: amount_not_accepted",
        "refund": "declined: not_refundable",
        "submit_evidence": "declined: refused",
        "create_payee": "declined: payout_not_possible",
        "transfer": "declined: payout_not_possible",
        "reverse_transfer": "declined: payout_not_possible",
        "payout": "declined: payout_not_possible",
        "ensure_webhook": "ConnectionError",
    },
    "already done": {
        "confirm": DONE,
        "capture": DONE,
        "cancel": DONE,
        "refund": "declined: not_refundable",
        "submit_evidence": "declined: refused",
        "accept_dispute": "declined: refused",
        "reverse_transfer": "declined: payout_not_possible",
        "cancel_payout": DONE,
    },
    "paid before the cancel": {"cancel": DONE},
    "unknown object": {
        "confirm": ABSENT,
        "capture": ABSENT,
        "cancel": ABSENT,
        "refund": "declined: payment_method_unusable",
        "submit_evidence": ABSENT,
        "accept_dispute": ABSENT,
        "transfer": "declined: payout_not_possible",
        "reverse_transfer": ABSENT,
        "payout": UNAUTHORIZED,
        "cancel_payout": ABSENT,
        "fetch": ABSENT,
        "find": "not_executed",
        "get_payee": UNAUTHORIZED,
    },
    "same key, same request": {**dict.fromkeys(MONEY, DONE), "payout": "pending"},
    "same key, other request": {
        name: MISMATCH for name in MONEY if name not in ("cancel", "accept_dispute", "cancel_payout")
    },
    "bad key": {
        **dict.fromkeys((*MONEY, "fetch", "get_payee"), UNAUTHORIZED),
        "find": "unknown: psp_authentication",
        "ensure_webhook": "ConnectionError",
    },
    "nobody there": {
        **dict.fromkeys((*MONEY, "fetch", "get_payee"), REFUSED),
        "find": "unknown: psp_unreachable",
        "ensure_webhook": "ConnectionError",
    },
}

# localstripe, for what it supports; the rest says how its lack looks from here.
OTHER_SERVER: dict[str, dict[str, str]] = {
    "done": {
        "register": DONE,
        "save_method": DONE,
        "capture": DONE,
        "cancel": DONE,
        "refund": DONE,
        "fetch": DONE,
    },
    "declined": {"save_method": "declined: card_declined"},
    "3-D Secure": {"save_method": "requires_action"},
    "refused (4xx)": {"register": "declined: refused", "refund": "declined: not_refundable"},
    "already done": {"cancel": DONE},
    "paid before the cancel": {"cancel": DONE},
    "unknown object": {"cancel": ABSENT, "capture": ABSENT, "fetch": ABSENT},
    "bad key": {"register": UNAUTHORIZED, "fetch": UNAUTHORIZED},
    "not supported by it": {
        "create_hosted_session": "unknown: psp_unexpected_answer",
        "confirm": "unknown: psp_server_error",
        "find": "unknown: psp_refused",
        "ensure_webhook": "ConnectionError",
    },
}


def cell(result: Result) -> str:
    """Say in a few words what a result says."""
    if result.outcome is Outcome.DECLINED:
        assert result.failure is not None, "every DECLINED says why"
        return f"{result.outcome}: {result.failure.code}"
    return f"{result.outcome}: {result.error.code}" if result.error and not result.snapshot else str(result.outcome)


TEXT = """\
# What the PSP adapters can do

<!-- Written by `python -m tests.payments.psp.capabilities`, and compared by the conformance suite. -->

Every cell is asserted by a test (`tests/payments/psp/`). An operation answers with an outcome: `succeeded`,
`pending`, `requires_action`, `declined` (with our failure code), `not_executed` (proven: nothing happened) or
`unknown` (ask before doing anything else), the last two with our error code.

## Adapter `stripe` and the sandbox: answers

{answers}

## Adapter `stripe` and the sandbox: faults

The same for all that moves money or makes an object. The effect is counted at the PSP, past the
adapter; then the same request is sent again with the same key. A 500 is kept under its key: only looking
at the object helps. `succeeded` stands for what the operation says when it is done: a payout is `pending`.

| fault | the adapter says | effect | same key again |
|---|---|---|---|
{faults}

A reading has no effect and no key. `find` says `unknown` whatever the trouble, a 429 too: that a
list could not be read proves nothing about the operation it looks for.

| fault | `fetch` says |
|---|---|
{read_faults}

## Adapter `stripe` and localstripe 1.15.10

A Stripe API that is not ours. It ignores idempotency keys and has no faults to order; `capture`, `cancel` and
`refund` are tried on an intent that was paid past the adapter, as it cannot confirm with a token. After a
partial capture it does not say what was captured: that is `unknown`, never a guess.

{other_server}
"""


def render() -> str:
    """Write the document."""
    faults = [
        f"| {name} | {says} | {('none', 'once')[times]} | {again} |" for name, (_, says, times, again) in FAULTS.items()
    ]
    return TEXT.format(
        answers=_table(ANSWERS),
        faults="\n".join(faults),
        read_faults="\n".join(f"| {name} | {says} |" for name, (_, says) in READ_FAULTS.items()),
        other_server=_table(OTHER_SERVER),
    )


def _table(cells: dict[str, dict[str, str]]) -> str:
    lines = ["| situation | operation | answer |", "|---|---|---|"]
    for situation, answers in cells.items():
        by_answer: dict[str, list[str]] = {}
        for name in (*MONEY, "fetch", "find", "get_payee", "ensure_webhook"):
            if name in answers:
                by_answer.setdefault(answers[name], []).append(f"`{name}`")
        lines += [f"| {situation} | {', '.join(names)} | {answer} |" for answer, names in by_answer.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text(render())
