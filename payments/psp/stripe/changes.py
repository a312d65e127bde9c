"""What has happened at Stripe, by its list of events: for notifications that never arrived.

Stripe keeps events for 30 days, delivered or not; its documentation recommends this list for what was not delivered
(docs.stripe.com/webhooks/process-undelivered-events). An event of a form that we do not know is left out, as its
notification would be refused: it must not hide the others.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from payments.psp.base import CallError, Change, ErrorCode, Outcome, Result
from payments.psp.stripe.fields import Json, UnexpectedFormError, objects, text
from payments.psp.stripe.notifications import event_reference
from payments.psp.stripe.results import result_of_refusal
from payments.psp.stripe.wire import Refusal, Wire

if TYPE_CHECKING:
    from stripe.params import EventListParams

log = structlog.get_logger(__name__)
PAGE_SIZE: Final = 100
# At most 20 types may be named. Everything else that ends by itself is polled while it is open.
TYPES: Final = (
    "payment_intent.succeeded",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
)


def list_changes(wire: Wire, since: datetime, cursor: str) -> Result:
    """Return one page of events since a moment, newest first; `cursor` is where an earlier page ended."""
    params: EventListParams = {
        "limit": PAGE_SIZE, "created": {"gte": int(since.timestamp())}, "types": list(TYPES),
    }  # fmt: skip
    if cursor:
        params["starting_after"] = cursor
    answer = wire.call("events.list", lambda: wire.raw("get", "/v1/events", params))
    if isinstance(answer, Refusal):
        return result_of_refusal(answer)
    try:
        listed = objects(answer.body, "data")
        is_last = answer.body.get("has_more") is False
        last = "" if is_last or not listed else text(listed[-1], "id")
    except UnexpectedFormError as problem:
        error = CallError(ErrorCode.UNEXPECTED_ANSWER, str(problem))
        return Result(Outcome.UNKNOWN, error=error, request_id=answer.request_id)
    changes = tuple(_changes(listed))
    return Result(Outcome.SUCCEEDED, request_id=answer.request_id, changes=changes, cursor=last)


def _changes(events: list[Json]) -> Iterator[Change]:
    for event in events:
        try:
            yield Change(event_reference(event), event)
        except UnexpectedFormError as problem:
            log.warning("event_of_a_strange_form", psp="stripe", error=str(problem))
