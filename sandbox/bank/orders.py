"""Files of credit transfers (pain.001) as they are handed in: read, and checked as a bank checks them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from lxml import etree

from .money import read
from .numbers import is_iban

MAX_BYTES: Final = 6 * 1024 * 1024
MAX_TRANSFERS: Final = 50_000


class OrderError(ValueError):
    """A file that cannot be read at all; the message says why."""


@dataclass(slots=True)
class Transfer:
    """One credit transfer as it was ordered."""

    end_to_end: str
    instruction: str
    amount: int
    currency: str
    name: str
    iban: str
    text: str
    reason: str = ""  # why it cannot be executed


@dataclass(slots=True)
class Payment:
    """One block of a file: transfers of one account on one day."""

    identity: str
    iban: str
    execute_on: date | None
    as_batch: bool
    transfers: list[Transfer] = field(default_factory=list)
    count: str = ""
    total: str = ""


@dataclass(slots=True)
class Order:
    """One file."""

    message: str
    schema: str
    count: str
    total: str
    payments: list[Payment]

    def transfers(self) -> Iterator[Transfer]:
        """Give all transfers of the file."""
        for payment in self.payments:
            yield from payment.transfers

    def fault(self) -> str:
        """Answer the reason to refuse the whole file: its control totals (AM10), or none."""
        everything = list(self.transfers())
        if not everything or self.count != str(len(everything)) or not _sums_to(self.total, everything):
            return "AM10"
        for payment in self.payments:
            if payment.count not in ("", str(len(payment.transfers))) or not _sums_to(payment.total, payment.transfers):
                return "AM10"
        return ""


def parse(data: bytes) -> Order:
    """Read a file. Raises `OrderError` when it is not one."""
    if len(data) > MAX_BYTES:
        raise OrderError(f"a file has at most {MAX_BYTES} bytes")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as problem:
        raise OrderError(f"not XML: {problem}") from problem
    if root.getroottree().docinfo.doctype:
        raise OrderError("a document type is not taken")
    body = _child(root, "CstmrCdtTrfInitn")
    if body is None:
        raise OrderError("the document is no pain.001 (CstmrCdtTrfInitn)")
    header = _child(body, "GrpHdr")
    message = _say(header, "MsgId")
    if not message:
        raise OrderError("the file has no MsgId")
    payments = [_payment(one) for one in _children(body, "PmtInf")]
    order = Order(
        message, etree.QName(root).namespace or "", _say(header, "NbOfTxs"), _say(header, "CtrlSum"), payments
    )
    if sum(len(one.transfers) for one in payments) > MAX_TRANSFERS:
        raise OrderError(f"a file has at most {MAX_TRANSFERS} transfers")
    return order


def _payment(node: Any) -> Payment:
    wanted = _say(node, "ReqdExctnDt") or _say(node, "ReqdExctnDt/Dt")
    try:
        day = date.fromisoformat(wanted[:10]) if wanted else None
    except ValueError as problem:
        raise OrderError(f"{wanted[:20]!r} is no day") from problem
    payment = Payment(
        identity=_say(node, "PmtInfId"), iban=_say(node, "DbtrAcct/Id/IBAN"), execute_on=day,
        as_batch=_say(node, "BtchBookg") == "true", count=_say(node, "NbOfTxs"), total=_say(node, "CtrlSum"),
    )  # fmt: skip
    payment.transfers = [_transfer(one) for one in _children(node, "CdtTrfTxInf")]
    return payment


def _transfer(node: Any) -> Transfer:
    amount = _at(node, "Amt/InstdAmt")
    currency = "" if amount is None else amount.get("Ccy", "")
    reason = ""
    try:
        minor = read("" if amount is None else (amount.text or "").strip(), currency)
    except ValueError:
        minor, reason = 0, "AM12"
    iban = _say(node, "CdtrAcct/Id/IBAN")
    if not reason and minor == 0:
        reason = "AM01"
    if not reason and not is_iban(iban):
        reason = "AC01"
    return Transfer(
        end_to_end=_say(node, "PmtId/EndToEndId"), instruction=_say(node, "PmtId/InstrId"), amount=minor,
        currency=currency, name=_say(node, "Cdtr/Nm"), iban=iban, text=_say(node, "RmtInf/Ustrd"), reason=reason,
    )  # fmt: skip


def _sums_to(declared: str, transfers: list[Transfer]) -> bool:
    """Say whether a control sum is that of the transfers; it has no currency, so they must share one."""
    currencies = {one.currency for one in transfers}
    if not declared:
        return True
    try:
        return len(currencies) == 1 and read(declared, currencies.pop()) == sum(one.amount for one in transfers)
    except ValueError:
        return False


def _children(node: Any, name: str) -> Iterator[Any]:
    for child in () if node is None else node:
        if isinstance(child.tag, str) and etree.QName(child).localname == name:
            yield child


def _child(node: Any, name: str) -> Any:
    return next(_children(node, name), None)


def _at(node: Any, path: str) -> Any:
    for name in path.split("/"):
        node = _child(node, name)
    return node


def _say(node: Any, path: str) -> str:
    found = _at(node, path)
    return "" if found is None else (found.text or "").strip()
