"""Rows as the API shows them: pure functions from model instances to dictionaries.

The same functions make the answer of a POST, of a GET, the body of a webhook and the stored answer of a
replay, so a payment never looks different in two places. They work on drafts that are not written yet, and
run no query: whoever calls them has loaded what is needed (`order.charge`, the sellers' public ids). Key
order is part of the contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import Value
from django.db.models.expressions import DatabaseDefault

from ledger.ids import public_id
from ledger.money import format_minor
from payments import checkout_links
from payments.drafts import DraftOrder, DraftPayment
from payments.models import (
    Charge,
    Dispute,
    DisputePart,
    FeePlan,
    Merchant,
    MerchantBook,
    OwnBankAccount,
    PaymentEvent,
    PaymentOrder,
    Payout,
    PayoutDestination,
    PspAccount,
    PspOperation,
    Refund,
    Seller,
)
from wallet.balances import WalletBalance

Object = dict[str, Any]


class ReleasedParts(NamedTuple):
    """Where a released share went, in minor units: `amount` is the sum of the others."""

    amount: int
    available: int
    debt: int
    reserved: int


RESULT: Final[dict[str, str]] = {
    "requires_payment_method": "in_progress",
    "processing": "in_progress",
    "requires_action": "in_progress",
    "requires_capture": "in_progress",
    "succeeded": "success",
    "partially_succeeded": "success",
    "failed": "failed",
    "cancelled": "failed",
    "expired": "failed",
}


def timestamp(at: datetime) -> str:
    """Write a time as RFC 3339 in UTC, to the millisecond."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def payment(
    event: PaymentEvent | DraftPayment,
    orders: Sequence[PaymentOrder] | Sequence[DraftOrder],
    *,
    sellers: Mapping[int, UUID],
) -> Object:
    """Show a payment with its orders; `sellers` maps the orders' seller ids to public ids."""
    currency, token = event.currency_id, checkout_links.token_for(event.public_id)
    own_id = public_id("pay", event.public_id)
    parts = [payment_order(order, event, seller_public_id=sellers[order.seller_id], own=own_id) for order in orders]
    return {
        "id": own_id,
        "object": "payment",
        "checkout_id": event.checkout_id,
        "status": str(event.status),
        "amount": format_minor(event.amount_minor, currency),
        "currency": currency,
        "amount_captured": format_minor(sum(_stored(order.captured_minor) for order in orders), currency),
        "amount_refunded": format_minor(sum(_stored(order.refunded_minor) for order in orders), currency),
        "is_payment_done": all(part["status"] == "SUCCESS" for part in parts),
        "charge_mode": str(event.charge_mode),
        "capture": str(event.capture),
        "checkout_url": checkout_links.checkout_url(event.public_id, token),
        "client_token": token,
        "next_action": _next_action(event, orders),
        "payment_orders": parts,
        "result": RESULT[event.status],
        "ledger_updated": all(part["ledger_updated"] for part in parts),
        "wallet_updated": all(part["wallet_updated"] for part in parts),
        "buyer": event.buyer,
        "metadata": event.metadata,
        "created_at": timestamp(event.created_at),
        "version": _stored(event.version),
    }


def _next_action(
    event: PaymentEvent | DraftPayment, orders: Sequence[PaymentOrder] | Sequence[DraftOrder]
) -> Object | None:
    """Return what the buyer must do: for the method that is being saved, else for the first charge that waits."""
    waiting = [order.charge.next_action for order in orders if order.charge.next_action]
    found: Object | None = event.next_action or (waiting[0] if waiting else None)
    return found


def payment_order(
    order: PaymentOrder | DraftOrder, event: PaymentEvent | DraftPayment, *, seller_public_id: UUID, own: str = ""
) -> Object:
    """Show one order; `order.charge` must be loaded. `own`: the payment's id where it is written already."""
    currency = order.currency_id
    return {
        "id": public_id("ord", order.public_id),
        "object": "payment_order",
        "reference": order.reference,
        "seller": public_id("sel", seller_public_id),
        "amount": format_minor(order.amount_minor, currency),
        "currency": currency,
        "platform_fee": format_minor(order.fee_minor, currency),
        "status": str(order.status),
        "failure": order.failure and _failure(order.failure),
        "ledger_updated": _stored(order.ledger_updated),
        "wallet_updated": _stored(order.wallet_updated),
        "amount_captured": format_minor(_stored(order.captured_minor), currency),
        "amount_refunded": format_minor(_stored(order.refunded_minor), currency),
        "delivered_at": order.delivered_at and timestamp(order.delivered_at),
        "charge": public_id("chg", order.charge.public_id),
        "payment": own or public_id("pay", event.public_id),
        "checkout_id": event.checkout_id,
        "payment_method_details": order.method_details,
        "description": order.description,
        "metadata": order.metadata,
    }


def receipt(order: PaymentOrder, event: PaymentEvent, *, payee: Seller) -> Object:
    """Show what a buyer paid to whom with one order; `order.succeeded_at` is set."""
    assert order.succeeded_at is not None
    return {
        "id": public_id("ord", order.public_id),
        "object": "receipt",
        "payment": public_id("pay", event.public_id),
        "checkout_id": event.checkout_id,
        "reference": order.reference,
        "description": order.description,
        "amount": format_minor(order.captured_minor, order.currency_id),
        "amount_refunded": format_minor(order.refunded_minor, order.currency_id),
        "currency": order.currency_id,
        "payee": {"id": public_id("sel", payee.public_id), "name": payee.name, "country": payee.country},
        "payment_method_details": order.method_details,
        "paid_at": timestamp(order.succeeded_at),
    }


def charge(row: Charge, event: PaymentEvent, orders: Iterable[PaymentOrder], account: PspAccount) -> Object:
    """Show a charge: one object at the PSP and the orders that it pays."""
    return {
        "id": public_id("chg", row.public_id),
        "object": "charge",
        "payment": public_id("pay", event.public_id),
        "payment_orders": [public_id("ord", order.public_id) for order in orders],
        "status": str(row.status),
        "amount": format_minor(row.amount_minor, row.currency_id),
        "amount_captured": format_minor(row.captured_minor, row.currency_id),
        "currency": row.currency_id,
        "psp": account.adapter,
        "psp_account": account.code,
        "psp_id": row.psp_id,
        "payment_method_details": row.method_details,
        "next_action": row.next_action,
        "failure": row.failure and _failure(row.failure),
        "created_at": timestamp(row.created_at),
    }


def dispute(
    row: Dispute,
    charge: Charge,
    event: PaymentEvent,
    parts: Sequence[DisputePart],
    orders: Mapping[int, PaymentOrder],
    *,
    sellers: Mapping[int, UUID],
) -> Object:
    """Show a dispute with what of it falls on which order; `sellers` maps the orders' seller ids to public ids."""
    currency = row.currency_id
    return {
        "id": public_id("dsp", row.public_id),
        "object": "dispute",
        "payment": public_id("pay", event.public_id),
        "checkout_id": event.checkout_id,
        "charge": public_id("chg", charge.public_id),
        "psp_id": row.psp_id,
        "status": str(row.status),
        "reason": row.reason,
        "network_reason": row.network_reason or None,
        "amount": format_minor(row.amount_minor, currency),
        "amount_taken": format_minor(row.taken_minor, currency),
        "amount_returned": format_minor(row.returned_minor + row.regained_minor, currency),
        "fee": format_minor(row.cost_minor - row.cost_returned_minor, currency),
        "currency": currency,
        "payment_orders": [_dispute_part(part, orders[part.order_id], currency, sellers) for part in parts],
        "evidence_due_by": row.evidence_due_at and timestamp(row.evidence_due_at),
        "evidence": {
            "status": str(row.evidence_status),
            "submitted_at": row.evidence_at and timestamp(row.evidence_at),
            "message": row.evidence_message or None,
        },
        "needs_attention": row.quarantined_at is not None,
        "opened_at": timestamp(row.opened_at),
        "closed_at": row.closed_at and timestamp(row.closed_at),
        "version": row.version,
    }


def _dispute_part(part: DisputePart, order: PaymentOrder, currency: str, sellers: Mapping[int, UUID]) -> Object:
    return {
        "id": public_id("ord", order.public_id),
        "seller": public_id("sel", sellers[order.seller_id]),
        "amount": format_minor(part.amount_minor, currency),
        "amount_returned": format_minor(part.returned_minor + part.regained_minor, currency),
        "seller_share": format_minor(part.seller_minor, currency),
        "platform_share": format_minor(part.fee_minor + part.excess_minor, currency),
    }


def refund(row: Refund, event: PaymentEvent, charge: Charge, order: PaymentOrder | None) -> Object:
    """Show a refund and whose money it is; a late success has no order. `version` is the payment's."""
    currency = row.currency_id
    return {
        "id": public_id("rfd", row.public_id),
        "object": "refund",
        "payment_order": order and public_id("ord", order.public_id),
        "payment": public_id("pay", event.public_id),
        "checkout_id": event.checkout_id,
        "charge": public_id("chg", charge.public_id),
        "reference": row.reference,
        "reason": str(row.reason),
        "to": "original" if row.stored_value_of_id is None else "stored_value",
        "amount": format_minor(row.amount_minor, currency),
        "currency": currency,
        "status": str(row.status),
        "failure": row.failure and {key: row.failure.get(key) for key in ("code", "message")},
        "fee_policy": str(row.fee_policy) or None,
        "platform_fee": format_minor(row.fee_minor, currency),
        "from_seller": {
            "pending": format_minor(row.from_pending_minor, currency),
            "available": format_minor(row.from_available_minor, currency),
            "debt": format_minor(row.from_debt_minor, currency),
        },
        "created_at": timestamp(row.created_at),
        "settled_at": row.settled_at and timestamp(row.settled_at),
        "version": event.version,
    }


def stored_value(name: str, balances: Iterable[tuple[str, int]], *, enabled: bool) -> Object:
    """Show what a buyer (by the merchant's id) keeps with the merchant, per currency."""
    return {
        "object": "stored_value",
        "buyer": name,
        "enabled": enabled,
        "balances": [{"currency": currency, "amount": format_minor(amount, currency)} for currency, amount in balances],
    }


def released(order: PaymentOrder, event: PaymentEvent, seller_public_id: UUID, parts: ReleasedParts) -> Object:
    """Show what a release did with a seller's share of an order."""
    currency = order.currency_id
    return {
        "object": "release",
        "payment_order": public_id("ord", order.public_id),
        "payment": public_id("pay", event.public_id),
        "checkout_id": event.checkout_id,
        "seller": public_id("sel", seller_public_id),
        "currency": currency,
        **{name: format_minor(minor, currency) for name, minor in parts._asdict().items()},
        "released_at": order.released_at and timestamp(order.released_at),
    }


def psp_operation(row: PspOperation, event: PaymentEvent, account: PspAccount) -> Object:
    """Show one call to the PSP; `row.charge` must be loaded when there is one."""
    return {
        "id": public_id("opr", row.public_id),
        "object": "psp_operation",
        "type": row.kind,
        "payment": public_id("pay", event.public_id),
        "charge": row.charge and public_id("chg", row.charge.public_id),
        "amount": format_minor(row.amount_minor, event.currency_id),
        "currency": event.currency_id,
        "psp": account.adapter,
        "psp_account": account.code,
        "psp_id": row.charge and row.charge.psp_id,
        "state": row.state,
        "outcome": row.outcome or None,
        "error": {"code": row.error_code, "message": row.error_message} if row.error_code else None,
        "psp_request_id": row.psp_request_id or None,
        "tries": row.tries,
        "created_at": timestamp(row.created_at),
        "sent_at": row.first_sent_at and timestamp(row.first_sent_at),
        "closed_at": row.closed_at and timestamp(row.closed_at),
    }


def payout(row: Payout) -> Object:
    """Show a payout; its seller and destination must be loaded."""
    return {
        "id": public_id("pyo", row.public_id),
        "object": "payout",
        "seller": public_id("sel", row.seller.public_id),
        "amount": format_minor(row.amount_minor, row.currency_id),
        "currency": row.currency_id,
        "status": str(row.status),
        "waiting_for": _stored(row.waiting_for) or None,
        "reference": row.reference,
        "destination": payout_destination(row.destination),
        "failure": row.failure and {key: row.failure.get(key) for key in ("code", "message")},
        "requested_by": row.requested_by,
        "approved_by": row.approved_by,
        "created_at": timestamp(row.created_at),
        "paid_at": row.paid_at and timestamp(row.paid_at),
        "version": _stored(row.version),
    }


def payout_destination(row: PayoutDestination) -> Object:
    """Show a bank account, masked. What was sealed is never shown again."""
    return {
        "id": public_id("pds", row.public_id),
        "object": "payout_destination",
        "type": row.type,
        "country": row.country,
        "currency": row.currency_id,
        "account": row.masked,
        "usable_at": timestamp(row.usable_at),
        "created_at": timestamp(row.created_at),
    }


def seller(row: Seller) -> Object:
    """Show a seller; `row.fee_plan` and its fixed fees must be loaded when there is one."""
    return {
        "id": public_id("sel", row.public_id),
        "object": "seller",
        "external_id": row.external_id,
        "name": row.name,
        "country": row.country,
        "email": row.email,
        "default_currency": row.default_currency_id,
        "settlement_currency": row.settlement_currency_id,
        "fee_plan": fee_plan(row.fee_plan) if row.fee_plan else None,
        "payout_schedule": row.payout_schedule,
        "reserve": {"basis_points": row.reserve_basis_points, "days": row.reserve_days},
        "kyc_status": str(row.kyc_status),
        "status": "closed" if row.closed_at else "active",
        "metadata": row.metadata,
        "created_at": timestamp(row.created_at),
    }


def fee_plan(row: FeePlan) -> Object:
    """Show what the platform keeps of a sale; the fixed fees must be loaded."""
    return {
        "name": row.name,
        "basis_points": row.basis_points,
        "fixed": {
            fee.currency_id: format_minor(fee.amount_minor, fee.currency_id)
            for fee in sorted(row.fixed_fees.all(), key=lambda fee: fee.currency_id)
        },
    }


def wallet(row: WalletBalance) -> Object:
    """Show what a seller has in one currency."""
    currency = row.wallet.currency_id
    return {
        "id": public_id("wal", row.wallet.public_id),
        "object": "wallet",
        "seller": public_id("sel", row.wallet.seller),
        "currency": currency,
        "pending": format_minor(row.pending, currency),
        "available": format_minor(row.available, currency),
        "reserved": format_minor(row.reserved, currency),
        "in_transit": format_minor(row.in_transit, currency),
        "debt": format_minor(row.debt, currency),
        "balance": format_minor(row.balance, currency),
    }


def merchant(row: Merchant, books: Iterable[tuple[MerchantBook, Sequence[PspAccount]]]) -> Object:
    """Show a merchant and, for each of its books, the house seller, the terms and the PSP accounts."""
    return {
        "id": public_id("mer", row.public_id),
        "object": "merchant",
        "name": row.name,
        "status": str(row.status),
        "books": [
            {
                "mode": str(one.book.mode),
                "house_seller": one.house_seller and public_id("sel", one.house_seller.public_id),
                "terms": {
                    "release_days_after_delivery": one.release_days_after_delivery,
                    "release_days_after_capture": one.release_days_after_capture,
                    "capture_days_are_business_days": one.capture_days_are_business_days,
                    "business_calendar": one.business_calendar,
                    "time_zone": one.time_zone,
                    "refund_fee_policy": str(one.refund_fee_policy),
                    "stored_value": one.stored_value,
                    "payout_approval_above": {
                        currency: format_minor(int(minor), currency)
                        for currency, minor in sorted(one.payout_approval_above.items())
                    },
                },
                "psp_accounts": [psp_account(account) for account in accounts],
            }
            for one, accounts in books
        ],
        "created_at": timestamp(row.created_at),
    }


def psp_account(row: PspAccount) -> Object:
    """Show a PSP account. Its secrets are never shown again, only whether they are there."""
    return {
        "id": public_id("psp", row.public_id),
        "object": "psp_account",
        "psp": row.adapter,
        "code": row.code,
        "base_url": row.base_url or None,
        "api_key": "********",
        "webhook_secret": "********" if row.webhook_secret else None,
        "webhook_url": checkout_links.notification_address(row.adapter, row.public_id),
        "payout_mode": str(row.payout_mode),
        "created_at": timestamp(row.created_at),
    }


def own_bank_account(row: OwnBankAccount) -> Object:
    """Show a bank account of the merchant's own, masked."""
    return {
        "id": public_id("bac", row.public_id),
        "object": "bank_account",
        "name": row.name,
        "currency": row.currency_id,
        "account": row.masked,
        "account_holder": row.holder,
        "bic": row.bic or None,
        "file_format": str(row.schema),
        "status": "closed" if row.closed_at else "paying",
        "created_at": timestamp(row.created_at),
    }


def _failure(stored: Mapping[str, Any]) -> Object:
    # The PSP's own code is kept in the row for staff; a buyer's screen gets ours.
    return {key: stored.get(key) for key in ("code", "message", "retryable_by_buyer")}


def _stored(value: Any) -> Any:
    """Return a column's value; a row that is not saved yet has the default that the database will fill in."""
    if isinstance(value, DatabaseDefault):
        (default,) = value.get_source_expressions()
        assert isinstance(default, Value)
        return default.value
    return value
