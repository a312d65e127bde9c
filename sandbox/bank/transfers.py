"""Executing what was ordered: accepted and booked, refused, or booked and given back by the other bank later."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from . import books
from .booking import DAY_SECONDS, Movement, book, day_of, postpone, write
from .numbers import REFUSED, RETURNED
from .orders import Order, Payment, Transfer
from .store import Store

RETURNS_AFTER_SECONDS: Final = float(DAY_SECONDS)
BOOKED, REJECTED, WAITING, RETURNED_STATE = "booked", "rejected", "waiting", "returned"


def execute(store: Store, order: Order, *, now: float) -> None:
    """Execute the payments of a file that as a whole is right; what becomes of each transfer stands in its row.

    A payment for a later day is checked now and booked then.
    """
    seen = set[str]()
    for payment in order.payments:
        account = store.row("SELECT * FROM accounts WHERE iban = ?", payment.iban)
        good: list[Transfer] = []
        for transfer in payment.transfers:
            transfer.reason = transfer.reason or _refusal(account, transfer)
            if not transfer.reason and transfer.end_to_end in seen:
                transfer.reason = "AM05"
            seen.add(transfer.end_to_end)
            _note(store, order, payment, transfer)
            if not transfer.reason:
                good.append(transfer)
        later = payment.execute_on is not None and payment.execute_on.isoformat() > day_of(now)
        given = {
            "message": order.message, "batch": payment.identity, "iban": payment.iban, "as_batch": payment.as_batch,
            "transfers": [asdict(one) for one in good],
        }  # fmt: skip
        if later and payment.execute_on is not None:
            days = (payment.execute_on.toordinal() - 719_163) * DAY_SECONDS  # since the beginning of 1970
            postpone(store, "payment", float(days), given)
        else:
            carry_out(store, given, now=now)


def carry_out(store: Store, given: dict[str, Any], *, now: float) -> None:
    """Book the transfers of a payment as far as there is money."""
    iban, booked = given["iban"], list[dict[str, Any]]()
    for transfer in given["transfers"]:
        left = books.balance(store, books.customer(iban)) - sum(one["amount"] for one in booked)
        if transfer["amount"] > left:
            _set(store, given["message"], transfer["end_to_end"], REJECTED, "AM04")
            continue
        if not given["as_batch"]:
            book(store, _movement(given, transfer), now=now)
        else:
            booked.append(transfer)
        _set(store, given["message"], transfer["end_to_end"], BOOKED)
        reason = RETURNED.get(transfer["iban"][-4:])
        if reason:
            later = {"end_to_end": transfer["end_to_end"], "message": given["message"], "reason": reason}
            postpone(store, "return", now + RETURNS_AFTER_SECONDS, later)
    if booked:
        total = sum(one["amount"] for one in booked)
        movement = Movement(
            iban=iban, kind="transfer", amount=-total, currency=booked[0]["currency"], source=given["message"],
            batch=given["batch"], text=f"{len(booked)} TRANSFERS",
        )  # fmt: skip
        write(store, movement, now=now)


def give_back(store: Store, message: str, end_to_end: str, reason: str, *, now: float) -> bool:
    """Book a transfer's money back, once; say whether it was there to be given back."""
    row = store.row(
        "SELECT * FROM transfers WHERE end_to_end = ? AND (message = ? OR ? = '') AND state = ?"
        " ORDER BY id DESC LIMIT 1",
        end_to_end, message, message, BOOKED,
    )  # fmt: skip
    if row is None:
        return False
    movement = Movement(
        iban=row["iban"], kind="return", amount=row["amount"], currency=row["currency"],
        source=f"return of {end_to_end}", end_to_end=end_to_end, batch=row["batch"], name=row["name"],
        other_iban=row["other_iban"], text=f"RETURN {row['text']}".strip(), reason=reason,
    )  # fmt: skip
    write(store, movement, now=now)
    store.db.execute("UPDATE transfers SET state = ?, reason = ? WHERE id = ?", (RETURNED_STATE, reason, row["id"]))
    return True


def _refusal(account: dict[str, Any] | None, transfer: Transfer) -> str:
    if account is None:
        return "AC01"
    if account["currency"] != transfer.currency:
        return "AM03"
    return REFUSED.get(transfer.iban[-4:], "")


def _note(store: Store, order: Order, payment: Payment, transfer: Transfer) -> None:
    store.insert(
        "transfers", iban=payment.iban, message=order.message, batch=payment.identity, end_to_end=transfer.end_to_end,
        amount=transfer.amount, currency=transfer.currency, name=transfer.name, other_iban=transfer.iban,
        text=transfer.text, state=REJECTED if transfer.reason else WAITING, reason=transfer.reason,
    )  # fmt: skip


def _set(store: Store, message: str, end_to_end: str, state: str, reason: str = "") -> None:
    store.db.execute(
        "UPDATE transfers SET state = ?, reason = ? WHERE message = ? AND end_to_end = ? AND state = ?",
        (state, reason, message, end_to_end, WAITING),
    )


def _movement(given: dict[str, Any], transfer: dict[str, Any]) -> Movement:
    return Movement(
        iban=given["iban"], kind="transfer", amount=-transfer["amount"], currency=transfer["currency"],
        source=f"{given['message']} {transfer['end_to_end']}", end_to_end=transfer["end_to_end"], batch=given["batch"],
        name=transfer["name"], other_iban=transfer["iban"], text=transfer["text"],
    )  # fmt: skip
