"""Every operation of the API: its name (which faults use), its method and path, and who does it; and the due
jobs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import (
    accounting,
    attempts,
    automatic_payouts,
    charges,
    connect,
    customers,
    disputes,
    files,
    intents,
    methods,
    payouts,
    refunds,
    sessions,
    setups,
    transfers,
)
from .call import Call
from .errors import Json, RefusalError
from .jobs import Work
from .lists import INCLUSIONS

type Handler = Callable[[Call], Json]


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint. `*` in the path stands for an id."""

    name: str
    method: str
    path: str
    handler: Handler


_ALL: Final = (
    Operation("payment_intents.create", "POST", "payment_intents", intents.create),
    Operation("payment_intents.list", "GET", "payment_intents", intents.list_intents),
    Operation("payment_intents.retrieve", "GET", "payment_intents/*", intents.retrieve),
    Operation("payment_intents.update", "POST", "payment_intents/*", intents.update),
    Operation("payment_intents.confirm", "POST", "payment_intents/*/confirm", intents.confirm),
    Operation("payment_intents.capture", "POST", "payment_intents/*/capture", intents.capture),
    Operation("payment_intents.cancel", "POST", "payment_intents/*/cancel", intents.cancel),
    Operation("setup_intents.create", "POST", "setup_intents", setups.create),
    Operation("setup_intents.list", "GET", "setup_intents", setups.list_setups),
    Operation("setup_intents.retrieve", "GET", "setup_intents/*", setups.retrieve),
    Operation("setup_intents.update", "POST", "setup_intents/*", setups.update),
    Operation("setup_intents.confirm", "POST", "setup_intents/*/confirm", setups.confirm),
    Operation("setup_intents.cancel", "POST", "setup_intents/*/cancel", setups.cancel),
    Operation("payment_methods.create", "POST", "payment_methods", methods.create_method),
    Operation("payment_methods.list", "GET", "payment_methods", methods.list_methods),
    Operation("payment_methods.retrieve", "GET", "payment_methods/*", methods.retrieve_method),
    Operation("payment_methods.attach", "POST", "payment_methods/*/attach", methods.attach_method),
    Operation("payment_methods.detach", "POST", "payment_methods/*/detach", methods.detach_method),
    Operation("customers.create", "POST", "customers", customers.create),
    Operation("customers.list", "GET", "customers", customers.list_customers),
    Operation("customers.retrieve", "GET", "customers/*", customers.retrieve),
    Operation("customers.update", "POST", "customers/*", customers.update),
    Operation("customers.delete", "DELETE", "customers/*", customers.delete),
    Operation("charges.list", "GET", "charges", charges.list_charges),
    Operation("charges.retrieve", "GET", "charges/*", charges.retrieve_charge),
    Operation("charges.update", "POST", "charges/*", charges.update_charge),
    Operation("refunds.create", "POST", "refunds", refunds.create),
    Operation("refunds.list", "GET", "refunds", refunds.list_refunds),
    Operation("refunds.retrieve", "GET", "refunds/*", refunds.retrieve),
    Operation("refunds.update", "POST", "refunds/*", refunds.update),
    Operation("checkout.sessions.create", "POST", "checkout/sessions", sessions.create),
    Operation("checkout.sessions.list", "GET", "checkout/sessions", sessions.list_sessions),
    Operation("checkout.sessions.retrieve", "GET", "checkout/sessions/*", sessions.retrieve),
    Operation("checkout.sessions.expire", "POST", "checkout/sessions/*/expire", sessions.expire),
    Operation("checkout.sessions.line_items", "GET", "checkout/sessions/*/line_items", sessions.list_line_items),
    Operation("files.create", "POST", "files", files.create),
    Operation("files.retrieve", "GET", "files/*", files.retrieve),
    Operation("balance.retrieve", "GET", "balance", accounting.retrieve_balance),
    Operation("balance_transactions.list", "GET", "balance_transactions", accounting.list_transactions),
    Operation("balance_transactions.retrieve", "GET", "balance_transactions/*", accounting.retrieve_transaction),
    Operation("events.list", "GET", "events", accounting.list_events),
    Operation("events.retrieve", "GET", "events/*", accounting.retrieve_event),
    Operation("webhook_endpoints.create", "POST", "webhook_endpoints", accounting.create_endpoint),
    Operation("webhook_endpoints.list", "GET", "webhook_endpoints", accounting.list_endpoints),
    Operation("webhook_endpoints.retrieve", "GET", "webhook_endpoints/*", accounting.retrieve_endpoint),
    Operation("webhook_endpoints.update", "POST", "webhook_endpoints/*", accounting.update_endpoint),
    Operation("webhook_endpoints.delete", "DELETE", "webhook_endpoints/*", accounting.delete_endpoint),
    Operation("disputes.list", "GET", "disputes", disputes.list_disputes),
    Operation("disputes.retrieve", "GET", "disputes/*", disputes.retrieve),
    Operation("disputes.update", "POST", "disputes/*", disputes.update),
    Operation("disputes.close", "POST", "disputes/*/close", disputes.close),
    Operation("accounts.create", "POST", "accounts", connect.create_account),
    Operation("accounts.list", "GET", "accounts", connect.list_accounts),
    Operation("accounts.retrieve", "GET", "accounts/*", connect.retrieve_account),
    Operation("transfers.create", "POST", "transfers", transfers.create),
    Operation("transfers.list", "GET", "transfers", transfers.list_transfers),
    Operation("transfers.retrieve", "GET", "transfers/*", transfers.retrieve),
    Operation("transfers.reversals.create", "POST", "transfers/*/reversals", transfers.create_reversal),
    Operation("transfers.reversals.list", "GET", "transfers/*/reversals", transfers.list_reversals),
    Operation("transfers.reversals.retrieve", "GET", "transfers/*/reversals/*", transfers.retrieve_reversal),
    Operation("payouts.create", "POST", "payouts", payouts.create),
    Operation("payouts.list", "GET", "payouts", payouts.list_payouts),
    Operation("payouts.retrieve", "GET", "payouts/*", payouts.retrieve),
    Operation("payouts.cancel", "POST", "payouts/*/cancel", payouts.cancel),
)
OPERATIONS: Final = {operation.name: operation for operation in _ALL}
_BY_SHAPE: Final = {(one.method, tuple(one.path.split("/"))): one for one in _ALL}
_NAMESPACES: Final = ("checkout",)

JOBS: Final[dict[str, Work]] = {
    "intent.finish": attempts.finish_job,
    "intent.late_success": attempts.late_success_job,
    "intent.authorization_expires": attempts.authorization_expires_job,
    "session.follow": sessions.follow_job,
    "session.expire": sessions.expire_job,
    "refund.decide": refunds.decide_job,
    "dispute.open": disputes.open_job,
    "payout.arrive": payouts.arrive_job,
    "payout.batch": automatic_payouts.batch_job,
}


INCLUSIONS.update(
    {
        ("charge", "refunds"): charges.refunds_of,
        ("checkout.session", "line_items"): sessions.line_items,
    }
)


def find(method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    """Answer the operation of a path below /v1/ and the ids in it, or refuse as Stripe does."""
    parts = path.strip("/").split("/")
    first_id = 2 if parts[0] in _NAMESPACES else 1
    if len(parts) <= 6:
        places = range(first_id, len(parts), 2)
        shape = tuple("*" if index in places else part for index, part in enumerate(parts))
        found = _BY_SHAPE.get((method, shape))
        if found is not None:
            return found, tuple(parts[index] for index in places)
    refusal = RefusalError(
        f"Unrecognized request URL ({method}: /v1/{path[:200]}). Please see https://docs.stripe.com/ or we "
        "can help at "
        "https://support.stripe.com/.",
        status=404,
    )
    refusal.begun = False
    raise refusal
