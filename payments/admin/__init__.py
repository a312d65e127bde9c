"""Payments in the back office, one module a noun. Read-only; repairs call `payments.repairs`."""

from payments.admin import (
    bank_files,
    charges,
    events,
    found_refunds,
    merchants,
    messages,
    notifications,
    operations,
    orders,
    payouts,
    people,
    refunds,
    runs,
    sellers,
    transitions,
)

__all__ = [
    "bank_files",
    "charges",
    "events",
    "found_refunds",
    "merchants",
    "messages",
    "notifications",
    "operations",
    "orders",
    "payouts",
    "people",
    "refunds",
    "runs",
    "sellers",
    "transitions",
]
