"""What banks write in field 86 of an MT940 entry: the German sub-fields, the Dutch codes between slashes, or free text.

The German sub-fields are read by the library `mt940`. Names of people are left out; what nothing structures stays the
text that it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import mt940

from reconciliation.formats.bank import NO_REFERENCE, reference, words

_GERMAN: Final = re.compile(r"([0-9]{3})\?[0-9]{2}")
# Only these begin a new part; a slash inside a text begins nothing.
_SLASHED: Final = re.compile(
    r"/(ABWA|ADDR|BENM|BIC|CNTP|CSID|EREF|IBAN|INIT|ISDT|KREF|MARF|NAME|NRTX|OCMT|ORDP|PREF|PURP|REMI|RTRN|SVCL|TRCD"
    r"|TRTP|ULTB|ULTC|ULTD)/"
)
_REASON: Final = re.compile(r"\b((?:AC|AG|AM|BE|CN|DT|FF|MD|MS|RC|RR|SL|TM)[0-9]{2}|CNOR|DNOR|FOCR|DUPL|CUST)\b")
_TAG: Final = mt940.tags.TAG_BY_ID[86]
_OPTIONS: Final = mt940.Options.all()


@dataclass(frozen=True, slots=True)
class Told:
    """What the text of an entry tells."""

    text: str = ""
    end_to_end: str = ""
    batch: str = ""
    counterparty: str = ""
    german_code: str = ""
    # Why a transfer came back: a code of ISO 20022.
    reason: str = ""


def read_text(field: str) -> Told:
    """Return what a field 86 tells; an unknown structure is free text."""
    joined = "".join(line.strip("\r\n") for line in field.split("\n"))
    german = _GERMAN.match(joined)
    if german is not None:
        return _german(joined, german[1])
    if _SLASHED.match(joined):
        return _slashed(joined)
    return Told(text=words(field))


def _german(joined: str, code: str) -> Told:
    """Read the sub-fields ?20 and so on, and the keywords EREF+, KREF+, SVWZ+ within them."""
    details = {"transaction_details": joined}
    collection = mt940.models.Transactions(options=_OPTIONS)
    read = mt940.processors.transaction_details_post_processor(collection, _TAG, details, dict(details))
    said = {name: value.strip() for name, value in read.items() if isinstance(value, str)}
    purpose = said.get("purpose", "")
    reason = _REASON.search(purpose) if code in ("159", "109") else None
    return Told(
        text=words(said.get("posting_text"), purpose, said.get("additional_purpose")),
        end_to_end=reference(said.get("end_to_end_reference")),
        batch=reference(said.get("customer_reference")),
        counterparty=said.get("applicant_iban", "")[:64],
        german_code=code,
        reason=reason[1] if reason else "",
    )


def _slashed(joined: str) -> Told:
    """Read `/EREF/.../IBAN/.../REMI/...`."""
    pieces = _SLASHED.split(joined)
    said: dict[str, str] = {}
    for name, value in zip(pieces[1::2], pieces[2::2], strict=True):
        said.setdefault(name, value.strip("/ "))
    remittance = re.sub(r"^(USTD|STRD)/+", "", said.get("REMI", ""))
    reason = _REASON.search(said.get("RTRN", ""))
    return Told(
        text=words(said.get("TRTP"), remittance),
        end_to_end=reference(said.get("EREF")),
        batch=reference(said.get("PREF") or said.get("KREF")),
        counterparty=(said.get("IBAN") or said.get("CNTP", "").split("/")[0])[:64],
        reason=reason[1] if reason else said.get("RTRN", "")[:12],
    )


def completed(cut: str, field: str) -> str:
    """Return a reference that the format cut off, as the text has it; itself, when the text has no more of it."""
    if not cut or cut.upper() in NO_REFERENCE:
        return ""
    joined = "".join(line.strip("\r\n") for line in field.split("\n"))
    longer = re.search(rf"(?<![A-Za-z0-9]){re.escape(cut)}[A-Za-z0-9_-]*", joined)
    return longer[0] if longer else cut
