"""Status reports of a bank (ISO 20022 pain.002): which transfers of our files it refuses.

A report comes from outside: it is read without entities, without the network and within limits, and by local names, so
that every version of the message is understood. Only refusals have an effect. That something was accepted is no
payment: what was paid is on the statement.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from lxml import etree

from ledger.ids import parse_public_id
from payments import bank_payouts, sepa
from payments.bank_payouts import Answer, BankFact
from payments.errors import Invalid
from payments.models import BankInstruction

MAX_BYTES: Final = 20_000_000
MAX_STATUSES: Final = 20_000
MAX_DEPTH: Final = 40
REFUSED: Final = "RJCT"


@dataclass(frozen=True, slots=True)
class Status:
    """What a report says of one transfer, or of a whole file (`end_to_end_id` is empty)."""

    message_id: str
    end_to_end_id: str
    status: str
    reason: str


@dataclass(slots=True)
class ReadIn:
    """What came of a report: answers for what it refuses, and how many statuses had no effect."""

    answers: list[Answer] = field(default_factory=list)
    without_effect: int = 0


def read_in(book_id: int, content: bytes, *, actor: str, now: datetime) -> ReadIn:
    """Give back what a report refuses: single transfers, or all of a file. Idempotent.

    Raises `Invalid` for what is no such report; nothing is written then. Locks as `bank_payouts.rejected`.
    """
    statuses = parse(content)
    refused = [one for one in statuses if one.status == REFUSED]
    facts = _facts(book_id, refused, on=now)
    answers = bank_payouts.rejected(book_id, facts, actor=actor, now=now)
    return ReadIn(answers, len(statuses) - len(refused))


def _facts(book_id: int, refused: list[Status], *, on: datetime) -> list[BankFact]:
    """Return a fact for each refused transfer. The report names no amount that it must: the instruction's is ours."""
    reasons: dict[str, str] = {}
    for one in refused:
        names = (
            [one.end_to_end_id]
            if one.end_to_end_id
            else [fact.end_to_end_id for fact in bank_payouts.of_file(book_id, one.message_id, on=on.date())]
        )
        for name in names or [one.message_id]:
            reasons[sepa.from_id(name)] = reasons.get(sepa.from_id(name)) or one.reason
    ids = {name: own for name in reasons if (own := parse_public_id("pyo", name)) is not None}
    told = BankInstruction.objects.filter(
        book_id=book_id, payout__public_id__in=list(ids.values()), withdrawn_at__isnull=True
    )
    amounts = dict(told.values_list("payout__public_id", "amount_minor"))
    return [
        BankFact(name, amounts.get(ids[name], 0) if name in ids else 0, sepa.CURRENCY, on.date(), reason=reason)
        for name, reason in reasons.items()
    ]


def parse(content: bytes) -> list[Status]:
    """Read the statuses of a report. Raises `Invalid` for what is none, is too large, or hides anything."""
    if len(content) > MAX_BYTES:
        raise _wrong(f"a report has at most {MAX_BYTES} bytes")
    try:
        return list(_statuses(content))
    except etree.XMLSyntaxError:
        raise _wrong("this is no XML that can be read") from None


def _statuses(content: bytes) -> Iterator[Status]:
    # Nothing is expanded, loaded or fetched; a document that declares entities is refused below, at its first element.
    events = etree.iterparse(
        io.BytesIO(content),
        events=("start", "end"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    depth = found = 0
    seen: set[str] = set()
    message = ""
    for event, element in events:
        name = _local(element)
        if event == "start":
            depth += 1
            if depth > MAX_DEPTH:
                raise _wrong("the report is nested too deeply")
            if depth == 1 and (name != "Document" or element.getroottree().docinfo.internalDTD is not None):
                raise _wrong("this is no report of a bank")
            seen.add(name)
            continue
        depth -= 1
        status = None
        if name == "OrgnlGrpInfAndSts":
            message = _text(element, "OrgnlMsgId")
            status = Status(message, "", _text(element, "GrpSts"), _reason(element))
        elif name == "TxInfAndSts":
            status = Status(message, _text(element, "OrgnlEndToEndId"), _text(element, "TxSts"), _reason(element))
            element.clear()
        elif name == "OrgnlPmtInfAndSts":
            block = _text(element, "OrgnlPmtInfId") or message
            status = Status(block, "", _text(element, "PmtInfSts"), _reason(element))
            element.clear()
        if status is not None and status.status:
            found += 1
            if found > MAX_STATUSES:
                raise _wrong(f"a report has at most {MAX_STATUSES} statuses")
            if name == "TxInfAndSts" and not status.end_to_end_id:
                raise _wrong("a status names no transfer (OrgnlEndToEndId)")
            yield status
    if "CstmrPmtStsRpt" not in seen:
        raise _wrong("this is no report of a bank (pain.002)")


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _child(element: Any, name: str) -> Any:
    return next((one for one in element if _local(one) == name), None)


def _text(element: Any, name: str) -> str:
    child = _child(element, name)
    return (child.text or "").strip()[:140] if child is not None else ""


def _reason(element: Any) -> str:
    """Return the code of the first reason: ISO's own, or the bank's."""
    for name in ("StsRsnInf", "Rsn"):
        element = _child(element, name)
        if element is None:
            return ""
    return (_text(element, "Cd") or _text(element, "Prtry"))[:35]


def _wrong(detail: str) -> Invalid:
    return Invalid("invalid_bank_report", detail)
