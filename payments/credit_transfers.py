"""The file that tells a bank to make SEPA credit transfers (ISO 20022 pain.001).

Pure: nothing is read or written but the schemas that come with `sepaxml`. A file is valid by its schema, its ids are
ours, its sums are computed twice, and names have the characters that SEPA carries (EPC217-08). Imported by those who
make files only: its libraries are heavy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Final

from lxml import etree
from sepaxml import SepaTransfer
from text_unidecode import unidecode

from ledger.money import format_minor
from payments.sepa import CURRENCY

MAX_NAME, MAX_TEXT, MAX_ID = 70, 140, 35
_NOT_CARRIED: Final = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]+")


class NotAFile(ValueError):
    """What was to be told to the bank makes no valid file. Never shows an account."""


@dataclass(frozen=True, slots=True)
class Debtor:
    """Our account, which pays."""

    holder: str
    iban: str = field(repr=False)
    bic: str = ""


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """One payment of the file. `end_to_end_id` comes back on statements."""

    end_to_end_id: str
    amount_minor: int
    name: str
    iban: str = field(repr=False)
    text: str


def carried(text: str, length: int) -> str:
    """Write a text with the characters that SEPA carries; what has no likeness becomes a space."""
    plain = re.sub(r"\s+", " ", _NOT_CARRIED.sub(" ", unidecode(text))).strip()
    return plain.lstrip("/")[:length].strip()


def build(
    transfers: Sequence[CreditTransfer],
    *,
    debtor: Debtor,
    message_id: str,
    schema: str,
    execution_on: date,
    now: datetime,
) -> bytes:
    """Return the file for a bank: one payment block, booked transfer by transfer. Raises `NotAFile`."""
    if not transfers or len(message_id) > MAX_ID:
        raise NotAFile("nothing to pay, or an id that is too long")
    config = {"name": carried(debtor.holder, MAX_NAME), "IBAN": debtor.iban, "currency": CURRENCY, "batch": True}
    if debtor.bic:
        config["BIC"] = debtor.bic
    made = SepaTransfer(config, schema=schema, clean=False)
    for one in transfers:
        made.add_payment(
            {
                "name": carried(one.name, MAX_NAME) or one.end_to_end_id,
                "IBAN": one.iban,
                "amount": one.amount_minor,
                "execution_date": execution_on,
                "description": carried(one.text, MAX_TEXT) or one.end_to_end_id,
                "endtoend_id": one.end_to_end_id,
            }
        )
    root = etree.fromstring(made.export(validate=False), _parser())
    space = {"p": f"urn:iso:std:iso:20022:tech:xsd:{schema}"}
    _ours(root, space, message_id=message_id, now=now)
    _check(root, space, transfers, schema=schema)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _ours(root: etree._Element, space: dict[str, str], *, message_id: str, now: datetime) -> None:
    """Put our ids and our time where the library has its own, and ask for a booking of each transfer."""
    texts = {
        "p:CstmrCdtTrfInitn/p:GrpHdr/p:MsgId": message_id,
        "p:CstmrCdtTrfInitn/p:GrpHdr/p:CreDtTm": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "p:CstmrCdtTrfInitn/p:PmtInf/p:PmtInfId": message_id,
        "p:CstmrCdtTrfInitn/p:PmtInf/p:BtchBookg": "false",
    }
    for path, text in texts.items():
        (found,) = root.findall(path, space)
        found.text = text
    for agent in root.iterfind("p:CstmrCdtTrfInitn/p:PmtInf/p:DbtrAgt/p:FinInstnId", space):
        if len(agent) == 0:  # without a BIC the bank is known by the IBAN
            other = etree.SubElement(agent, f"{{{space['p']}}}Othr")
            etree.SubElement(other, f"{{{space['p']}}}Id").text = "NOTPROVIDED"


def _check(root: etree._Element, space: dict[str, str], transfers: Sequence[CreditTransfer], *, schema: str) -> None:
    """Raise `NotAFile` unless the file is valid and says what was given: each id, each amount, count and sum."""
    rules = _schema(schema)
    if not rules.validate(root):
        # The values are accounts and names: only what kind of fault it is may be told.
        kinds = sorted({error.type_name for error in rules.error_log})
        raise NotAFile(f"not valid by {schema}: {', '.join(kinds)[:300]}")
    said = [
        (
            one.findtext("p:PmtId/p:EndToEndId", namespaces=space),
            one.findtext("p:Amt/p:InstdAmt", namespaces=space),
            one.findtext("p:CdtrAcct/p:Id/p:IBAN", namespaces=space),
        )
        for one in root.iterfind("p:CstmrCdtTrfInitn/p:PmtInf/p:CdtTrfTxInf", space)
    ]
    meant = [(one.end_to_end_id, format_minor(one.amount_minor, CURRENCY), one.iban) for one in transfers]
    total = format_minor(sum(one.amount_minor for one in transfers), CURRENCY)
    sums = [
        (part.findtext("p:NbOfTxs", namespaces=space), part.findtext("p:CtrlSum", namespaces=space))
        for path in ("p:GrpHdr", "p:PmtInf")
        for part in root.iterfind(f"p:CstmrCdtTrfInitn/{path}", space)
    ]
    if said != meant or sums != [(str(len(transfers)), total)] * 2 or len({one[0] for one in meant}) != len(meant):
        raise NotAFile("the file does not say what was given")


@cache
def _schema(name: str) -> etree.XMLSchema:
    text = (resources.files("sepaxml") / "schemas" / f"{name}.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text, _parser()))


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
