"""A PSP's balance lines as its API gave them: one JSON object a line, written by `reconciliation/fetching.py`.

The first line says which account and which time were asked for; the list is complete for that time, so the same time
fetched again is a revision of the same document. The categories and references are those of Stripe's reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final

from payments.psp.base import BalanceLine
from reconciliation.formats.base import (
    MAX_ERRORS,
    MAX_LINE_BYTES,
    MAX_PARSED_LINES,
    BadFile,
    FileError,
    ParsedLine,
    Side,
    SourceFacts,
    Statement,
    refuse,
)
from reconciliation.formats.stripe import FLOWS

_ABOUT_A_CHARGE: Final = ("refund", "refund_failure", "dispute", "dispute_reversal")
_TIMES: Final = ("created_at", "available_at")
_WORDS: Final = (
    "psp_id", "category", "currency", "moved_psp_id", "charge_psp_id", "payment_psp_id", "payout_psp_id", "description",
    "trace_id", "paid_currency",
)  # fmt: skip
_OPERATION: Final = "florin_operation"
_A_MOMENT: Final = timedelta(microseconds=1)


class FetchedLines:
    """Reads what was fetched from a PSP."""

    name = "stripe_api"
    side = Side.PSP

    def parse(self, stream: BinaryIO, source: SourceFacts) -> list[Statement]:
        """Return the one statement of a fetch. Raises `BadFile` with all errors."""
        head = _object(stream.readline(MAX_LINE_BYTES + 1), 1)
        try:
            account, since, until = str(head["account"]), _moment(head["since"]), _moment(head["until"])
        except (KeyError, TypeError, ValueError):
            raise refuse("invalid_header", "the first line says account, since and until", line=1) from None
        if account != source.code:
            raise refuse("other_account", f"fetched from the account {account[:40]}", line=1)
        if since >= until:
            raise refuse("invalid_header", "it begins when it ends, or later", line=1)
        zone = source.time_zone
        identity = f"{account} {since.isoformat()} to {until.isoformat()}"
        last_day = min((until.astimezone(zone) - _A_MOMENT).date(), source.today)
        return [Statement(identity, since.astimezone(zone).date(), last_day, {}, _lines(stream, source))]


FETCHED_LINES: Final = FetchedLines()


def as_json(line: BalanceLine) -> str:
    """Write a balance line as it is read here."""
    found = {one.name: getattr(line, one.name) for one in fields(line)}
    found |= {name: found[name].isoformat() for name in _TIMES} | {"metadata": dict(line.metadata)}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def head(account: str, since: datetime, until: datetime) -> str:
    """Write the first line of a fetch."""
    return json.dumps({"account": account, "since": since.isoformat(), "until": until.isoformat()})


def _lines(stream: BinaryIO, source: SourceFacts) -> Iterator[ParsedLine]:
    errors: list[FileError] = []
    for number in range(1, MAX_PARSED_LINES + 2):
        raw = stream.readline(MAX_LINE_BYTES + 1)
        if not raw:
            break
        if number > MAX_PARSED_LINES:
            raise refuse("too_large", f"more than {MAX_PARSED_LINES} lines")
        try:
            line = _read(raw, number)
        except BadFile as bad:
            errors += bad.errors
            if len(errors) >= MAX_ERRORS:
                break
            continue
        if line.amount_minor - line.fee_minor != line.net_minor:
            errors.append(FileError(number + 1, "net_minor", "wrong_total", "amount - fee is not net"))
        elif not errors:
            yield _ours(line, number, source)
    if errors:
        raise BadFile(errors)


def _read(raw: bytes, number: int) -> BalanceLine:
    found = _object(raw, number + 1)
    try:
        line = BalanceLine(**{**found, **{name: _moment(found[name]) for name in _TIMES}})
        line.metadata.values()
    except (AttributeError, KeyError, TypeError, ValueError):
        raise refuse("unreadable_row", "no balance line", line=number + 1) from None
    amounts = (line.amount_minor, line.fee_minor, line.net_minor, 0 if line.paid_minor is None else line.paid_minor)
    if any(type(amount) is not int or abs(amount) >= 10**16 for amount in amounts):
        raise refuse("invalid_amount", "an amount is an integer of minor units", line=number + 1)
    words = [getattr(line, name) for name in _WORDS]
    if not all(isinstance(word, str) and "\0" not in word for word in [*words, *line.metadata.values()]):
        raise refuse("unreadable_row", "no balance line", line=number + 1)
    return line


def _ours(line: BalanceLine, number: int, source: SourceFacts) -> ParsedLine:
    flow = FLOWS.get(line.category, "other")
    operation = line.metadata.get(_OPERATION, "")
    match flow:
        case "charge":
            reference = line.charge_psp_id or line.payment_psp_id or line.moved_psp_id
            charge_reference = line.payment_psp_id or line.moved_psp_id
            own = line.metadata.get("florin_charge") or operation or line.metadata.get("order_id", "")
        case "fee":
            reference, charge_reference, own = line.moved_psp_id or line.psp_id, "", operation
        case "payout" | "payout_reversal":
            reference, charge_reference, own = line.moved_psp_id, "", line.trace_id or operation
        case _:
            reference, own = line.moved_psp_id, operation
            charge_reference = (line.charge_psp_id or line.payment_psp_id) if flow in _ABOUT_A_CHARGE else ""
    return ParsedLine(
        number=number,
        key=line.psp_id,
        flow=flow,
        category=line.category,
        currency=line.currency,
        gross_minor=line.amount_minor,
        fee_minor=line.fee_minor,
        booked_on=line.created_at.astimezone(source.time_zone).date(),
        occurred_at=line.created_at,
        available_on=line.available_at.astimezone(UTC).date(),
        reference=reference,
        charge_reference=charge_reference,
        batch=line.payout_psp_id,
        own_reference=own,
        paid_currency=line.paid_currency,
        paid_minor=line.paid_minor,
        text=line.description,
    )


def _object(raw: bytes, number: int) -> Mapping[str, Any]:
    if len(raw) > MAX_LINE_BYTES:
        raise refuse("line_too_long", f"longer than {MAX_LINE_BYTES} bytes", line=number)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise refuse("unreadable_row", "no JSON", line=number) from None
    if not isinstance(found, dict):
        raise refuse("unreadable_row", "no JSON object", line=number)
    return found


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found
