"""A day of an account as MT940, with the sub-fields that German banks write."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from .money import decimals, written
from .statements import Day

TYPES: Final = {
    "credit": ("NTRF", 166), "debit": ("NDDT", 105), "transfer": ("NTRF", 116), "return": ("NRTI", 159),
    "charge": ("NCHG", 808), "interest": ("NINT", 814),
}  # fmt: skip
WORDS: Final = {
    "credit": "GUTSCHRIFT", "debit": "LASTSCHRIFT", "transfer": "UEBERWEISUNG", "return": "RUECKUEBERWEISUNG",
    "charge": "ENTGELT", "interest": "ZINSEN",
}  # fmt: skip
SUB_FIELDS: Final = tuple(range(20, 30))
SUB_FIELD_LENGTH: Final = 27
LINE_LENGTH: Final = 65
REFERENCE_LENGTH: Final = 16
_LETTERS: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "AE", "Ö": "OE", "Ü": "UE", "ß": "ss", "?": ".", "+": "."}
)


def write(day: Day) -> bytes:
    """Write the statement of a day."""
    fields = [
        f":20:{day.day:%y%m%d}{day.iban[-6:]}",
        f":25:{day.iban}",
        f":28C:{day.number:05}/001",
        f":60F:{_balance(day.opening, day, day.day - timedelta(days=1))}",
    ]
    for line in day.lines:
        fields += [_entry(line), _text(line)]
    fields += [f":62F:{_balance(day.closing, day, day.day)}", "-"]
    return ("\r\n".join(fields) + "\r\n").encode("ascii")


def _amount(minor: int, currency: str) -> str:
    return written(minor, currency, ",") if decimals(currency) else f"{written(minor, currency)},"


def _balance(minor: int, day: Day, of: date) -> str:
    return f"{'C' if minor >= 0 else 'D'}{of:%y%m%d}{day.currency}{_amount(minor, day.currency)}"


def _entry(line: dict[str, Any]) -> str:
    mark = "C" if line["amount"] >= 0 else "D"
    if line["reversal"]:  # what moves money out reverses a credit
        mark = "RD" if line["amount"] >= 0 else "RC"
    value, booked = date.fromisoformat(line["value_on"]), date.fromisoformat(line["booked_on"])
    own = _plain(line["end_to_end"] or line["batch"])[:REFERENCE_LENGTH] or "NONREF"
    amount = _amount(line["amount"], line["currency"])
    return f":61:{value:%y%m%d}{booked:%m%d}{mark}{amount}{TYPES[line['kind']][0]}{own}//{line['reference']}"


def _text(line: dict[str, Any]) -> str:
    """Write the sub-fields: keywords in ?20 to ?29, cut wherever 27 characters are full."""
    told = f"EREF+{_plain(line['end_to_end'])}" if line["end_to_end"] else ""
    told += f"KREF+{_plain(line['batch'])}" if line["batch"] else ""
    reason = f" {line['reason']}" if line["reason"] else ""
    charges = f" ENTGELT {_amount(line['charges'], line['currency'])}" if line["charges"] else ""
    told += f"SVWZ+{_plain(line['text'])}{reason}{charges}"
    pieces = [told[start : start + SUB_FIELD_LENGTH] for start in range(0, len(told), SUB_FIELD_LENGTH)]
    text = f"{TYPES[line['kind']][1]}?00{WORDS[line['kind']]}"
    text += "".join(f"?{number}{piece}" for number, piece in zip(SUB_FIELDS, pieces, strict=False))
    text += f"?31{line['other_iban']}" if line["other_iban"] else ""
    text += f"?32{_plain(line['name'])[:SUB_FIELD_LENGTH]}" if line["name"] else ""
    lines = [text[start : start + LINE_LENGTH] for start in range(0, len(text), LINE_LENGTH)]
    return ":86:" + "\r\n".join(lines)


def _plain(text: str) -> str:
    """Answer a text in the letters that SWIFT carries."""
    return text.translate(_LETTERS).encode("ascii", "replace").decode().replace("?", ".")
