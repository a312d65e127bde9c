"""What can be wrong with a settlement file on its way: of one line, or of the file. The books stay right."""

from decimal import Decimal
from typing import Any, Final

DAMAGES: Final = {
    "missing": "the line is not in it",
    "twin": "the line stands there twice",
    "wrong_amount": "gross and net of the line are one unit of the currency too high",
    "wrong_net": "net of the line is one unit too high, and so not gross less fee",
    "wrong_fee": "fee of the line is one unit too high, and net accordingly too low",
    "other_currency": "the line says another currency",
    "unknown_category": "the line has a category that nobody knows",
    "formula": "the description of the line begins like a formula",
    "cut_off": "the second half of the file is missing",
    "marked": "it begins with a byte order mark and its lines end with CR and LF; it is right",
}


def damaged(rows: list[dict[str, Any]], damage: str, source: str) -> list[dict[str, Any]]:
    """Answer the rows with the damage done to the line of a source; without one, to the last line."""
    chosen = [at for at, row in enumerate(rows) if row["source_id"] == source] if source else [len(rows) - 1]
    if not damage or not rows or not chosen:
        return rows
    at = chosen[-1]
    before, row, after = rows[:at], dict(rows[at]), rows[at + 1 :]
    match damage:
        case "missing":
            return [*before, *after]
        case "twin":
            return [*before, row, row, *after]
        case "wrong_amount":
            row |= _more(row, gross=1, net=1)
        case "wrong_net":
            row |= _more(row, net=1)
        case "wrong_fee":
            row |= _more(row, fee=1, net=-1)
        case "other_currency":
            row["currency"] = "usd" if row["currency"] != "usd" else "eur"
        case "unknown_category":
            row["reporting_category"] = "lunar_adjustment"
        case "formula":
            row["description"] = '=HYPERLINK("http://example.com","pay")'
    return [*before, row, *after]


def spoiled(data: bytes, damage: str) -> bytes:
    """Answer the bytes of a file as they would arrive damaged."""
    if damage == "cut_off":
        return data[: len(data) // 2]
    return b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") if damage == "marked" else data


def _more(row: dict[str, Any], **units: int) -> dict[str, str]:
    return {name: str(Decimal(row[name]) + added) for name, added in units.items()}
