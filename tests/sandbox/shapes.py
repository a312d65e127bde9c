"""Compare answers with Stripe's published samples and the SDK's own types, key by key and type by type."""

import inspect
from collections.abc import Iterator
from decimal import Decimal
from types import UnionType
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from stripe._stripe_object import StripeObject

NOT_FIELDS = ("OBJECT_NAME", "deleted")
FREE_KEYS = ("metadata", "payment_method_options", "fraud_details")


def differences_from_sample(ours: Any, sample: Any, path: str) -> Iterator[str]:
    """Tell every key that the sample has and we lack, and every value of another type.

    Null on either side says nothing about the type; whether null is allowed is decided by the SDK's types.
    """
    if ours is None or sample is None:
        return
    if type(ours) is not type(sample):
        yield f"{path}: {type(ours).__name__} instead of {type(sample).__name__}"
    elif isinstance(sample, dict):
        if path.rpartition(".")[2] in FREE_KEYS:
            return
        for name in sorted(sample):
            if name not in ours:
                yield f"{path}.{name}: missing"
            else:
                yield from differences_from_sample(ours[name], sample[name], f"{path}.{name}")
    elif isinstance(sample, list) and sample:
        for one in ours:
            yield from differences_from_sample(one, sample[0], f"{path}[]")


def differences_from_sdk(value: Any, expected: Any, path: str) -> Iterator[str]:
    """Tell what contradicts the SDK's annotations: unknown keys, wrong types, nulls, words not in an enum."""
    origin = get_origin(expected)
    if expected is Any or isinstance(expected, ForwardRef | str):
        if not isinstance(value, str | dict):
            yield f"{path}: neither an id nor an object"
    elif origin is Union or origin is UnionType:
        findings = [list(differences_from_sdk(value, option, path)) for option in get_args(expected)]
        if all(findings):
            yield min(findings, key=len)[0]
    elif origin is Literal:
        if value not in get_args(expected):
            yield f"{path}: {value!r} is not one of {', '.join(map(str, get_args(expected)[:12]))}"
    elif origin is list:
        yield from _of_list(value, get_args(expected)[0], path)
    else:
        yield from _of_class(value, origin or expected, path)


def _of_list(value: Any, member: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: not a list"
        return
    for one in value:
        yield from differences_from_sdk(one, member, f"{path}[]")


def _of_class(value: Any, expected: type, path: str) -> Iterator[str]:
    if issubclass(expected, StripeObject):
        yield from _of_object(value, expected, path)
        return
    wanted: type = str if expected is Decimal else expected  # the SDK reads decimals from strings
    if type(value) is not wanted and not (wanted is float and type(value) is int):
        yield f"{path}: {type(value).__name__} instead of {wanted.__name__}"


def _of_object(value: Any, expected: type[StripeObject], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {type(value).__name__} instead of an object"
        return
    fields = {
        name: annotation
        for name, annotation in inspect.get_annotations(expected).items()
        if not name.startswith("_") and name not in NOT_FIELDS
    }
    if not fields or path.rpartition(".")[2] in FREE_KEYS:
        return
    if issubclass(expected, stripe.ListObject):
        return  # its members are compared where they are made
    for name, part in value.items():
        if name not in fields:
            yield f"{path}.{name}: unknown to the SDK"
        else:
            yield from differences_from_sdk(part, fields[name], f"{path}.{name}")
    for name, annotation in fields.items():
        if name not in value and type(None) not in get_args(annotation):
            yield f"{path}.{name}: the SDK expects it"


SDK_CLASSES: dict[str, type[StripeObject]] = {
    "account": stripe.Account,
    "balance": stripe.Balance,
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "item": stripe.LineItem,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "payout": stripe.Payout,
    "refund": stripe.Refund,
    "setup_intent": stripe.SetupIntent,
    "transfer": stripe.Transfer,
    "transfer_reversal": stripe.TransferReversal,
    "webhook_endpoint": stripe.WebhookEndpoint,
}
