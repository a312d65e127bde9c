"""CSV of everybody else: the source declares which column is what (`Source.columns`), and this reads it so.

    {"delimiter": ";", "decimal": ",", "date": "DD.MM.YYYY", "encoding": "windows-1252", "currency": "EUR",
     "columns": {"booked_on": "Buchungstag", "amount": "Betrag", "text": "Verwendungszweck"},
     "flows": {"Entgelt": "fee"}}

Nothing is guessed from the file. A declaration that does not make sense refuses every file, with all its errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.money import EXPONENTS
from reconciliation.formats.base import BadFile, FileError, Side, SourceFacts, refuse
from reconciliation.formats.columns import Cell, Check, FileCheck, Keys, Layout, inexact

DELIMITERS: Final = {",": ",", ";": ";", "|": "|", "tab": "\t"}
ENCODINGS: Final = {"utf-8": "utf-8", "iso-8859-1": "latin-1", "windows-1252": "cp1252"}
# How a day is written, as what is found and how it is put in order.
DATES: Final = {
    "YYYY-MM-DD": ("^([0-9]{4})-([0-9]{2})-([0-9]{2})$", r"\1-\2-\3"),
    "YYYYMMDD": ("^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3"),
    "DD.MM.YYYY": ("^([0-9]{2})[.]([0-9]{2})[.]([0-9]{4})$", r"\3-\2-\1"),
    "DD/MM/YYYY": ("^([0-9]{2})/([0-9]{2})/([0-9]{4})$", r"\3-\2-\1"),
    "DD-MM-YYYY": ("^([0-9]{2})-([0-9]{2})-([0-9]{4})$", r"\3-\2-\1"),
    "MM/DD/YYYY": ("^([0-9]{2})/([0-9]{2})/([0-9]{4})$", r"\3-\1-\2"),
}
# A number with a point or a comma before its decimals, and with the other one between thousands or nowhere.
_NUMBERS: Final = {
    ".": r"^[-+]?([0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3})([.][0-9]{1,8})?$",
    ",": r"^[-+]?([0-9]{1,12}|[0-9]{1,3}([.][0-9]{3}){1,3})(,[0-9]{1,8})?$",
}
FLOWS: Final = frozenset((
    "charge", "refund", "refund_failure", "dispute", "dispute_reversal", "transfer", "transfer_reversal", "fee",
    "reserve", "payout", "payout_reversal", "top_up", "conversion", "credit", "debit", "return", "interest", "other",
))  # fmt: skip
_TEXTS: Final = ("key", "reference", "charge_reference", "batch", "own_reference", "text")
_DAYS: Final = ("booked_on", "available_on")
_AMOUNTS: Final = ("amount", "debit", "credit", "fee", "balance")
COLUMNS: Final = (*_DAYS, *_AMOUNTS, "currency", "category", "account", *_TEXTS)
_SETTINGS: Final = ("delimiter", "decimal", "date", "encoding", "currency", "columns", "flows")


@dataclass(frozen=True, slots=True)
class DeclaredCsv:
    """CSV whose columns the source declares."""

    name: str = "csv"
    side: Side | None = None

    def layout(self, source: SourceFacts) -> Layout:
        """Return how its columns are read. Raises `BadFile` for a declaration that makes no sense."""
        declaration = source.columns
        if not declaration:
            raise refuse("columns_not_declared", f"{source.code} does not say which column is what")
        problems = list(problems_of(declaration))
        if problems:
            raise BadFile([FileError(None, name, "invalid_declaration", detail) for name, detail in problems])
        return _layout(declaration, source.side)


DECLARED_CSV: Final = DeclaredCsv()


def problems_of(declaration: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with a declaration: the name and a sentence, for each."""
    found = [(name, "there is no such setting") for name in declaration if name not in _SETTINGS]
    for name, allowed in (("delimiter", DELIMITERS), ("decimal", _NUMBERS), ("date", DATES), ("encoding", ENCODINGS)):
        if name in declaration and declaration[name] not in tuple(allowed):
            found.append((name, f"is one of {', '.join(allowed)}"))
    columns = declaration.get("columns")
    if not isinstance(columns, dict) or not all(isinstance(one, str) and one.strip() for one in columns.values()):
        return [*found, ("columns", "is an object of names of columns")]
    found += [(name, "there is no such column of ours") for name in columns if name not in COLUMNS]
    if "booked_on" not in columns:
        found.append(("booked_on", "which column has the day?"))
    if ("amount" in columns) == ("debit" in columns and "credit" in columns):
        found.append(("amount", "either a column with a sign, or one of debits and one of credits"))
    if "currency" not in columns and declaration.get("currency") not in EXPONENTS:
        found.append(("currency", "a column, or one currency for all lines"))
    flows = declaration.get("flows", {})
    if not isinstance(flows, dict) or not set(map(str, flows.values())) <= FLOWS:
        found.append(("flows", f"is an object of words to one of {', '.join(sorted(FLOWS))}"))
    elif flows and "category" not in columns:
        found.append(("flows", "needs the column category"))
    return found


def _layout(declaration: Mapping[str, Any], side: Side) -> Layout:
    columns: Mapping[str, str] = declaration["columns"]
    decimal, dates = declaration.get("decimal", "."), DATES[declaration.get("date", "YYYY-MM-DD")]
    present = {name for name in COLUMNS if name in columns}
    currency = "upper(btrim(currency))" if "currency" in present else f"'{declaration['currency']}'"
    amounts = [name for name in _AMOUNTS if name in present]
    values = {
        **{f"{name}_day": _day(name, dates) for name in _DAYS},
        **{f"{name}_scaled": _scaled(name, decimal) for name in _AMOUNTS},
    }
    given = "amount_scaled" if "amount" in present else "(coalesce(credit_scaled, 0) - coalesce(abs(debit_scaled), 0))"
    sign = f"CASE WHEN {given} < 0 THEN 'debit' ELSE 'credit' END"
    needed = ("amount",) if "amount" in present else ()
    checks = [
        Check("currency", "invalid_currency", "factor IS NULL", "not an ISO 4217 currency"),
        Check("booked_on", "invalid_time", "booked_on_day IS NULL", "not a day in the declared form"),
        Check("available_on", "invalid_time", "available_on IS NOT NULL AND available_on_day IS NULL", "not a day"),
        *(
            Check(
                name,
                "invalid_amount",
                f"factor IS NOT NULL AND ({name} IS NOT NULL OR {name in needed}) AND {inexact(f'{name}_scaled')}",
                "not an amount in the declared form",
            )
            for name in amounts
        ),
    ]
    if "amount" not in present:
        either = "debit_scaled IS NULL AND credit_scaled IS NULL OR debit_scaled <> 0 AND credit_scaled <> 0"
        checks.append(Check("debit", "ambiguous_amount", either, "neither a debit nor a credit, or both"))
    texts: dict[str, str] = {name: f"coalesce(btrim({name}), '')" for name in _TEXTS if name in present}
    return Layout(
        cells={name: Cell((columns[name],) if name in present else (), required=name in present) for name in COLUMNS},
        currency=currency,
        values=values,
        line={
            "key": "''",
            "flow": f"coalesce(%(flows)s::jsonb ->> btrim(category), {sign if side == Side.BANK else "'other'"})",
            "category": "coalesce(btrim(category), '')" if "category" in present else "''",
            "currency": currency,
            "gross_minor": f"{given}::bigint",
            "fee_minor": "coalesce(fee_scaled, 0)::bigint",
            "booked_on": "booked_on_day",
            "available_on": "available_on_day",
            **texts,
        },
        checks=checks,
        keys=Keys.CONTENT,
        file_checks=[
            *([_other_account()] if "account" in present else []),
            *([_balances(given, currency)] if "balance" in present else []),
        ],
        delimiter=DELIMITERS[declaration.get("delimiter", ",")],
        encoding=ENCODINGS[declaration.get("encoding", "utf-8")],
        # Words that a person wrote are a parameter, never SQL.
        parameters={"flows": json.dumps(declaration.get("flows", {}))},
    )


def _day(name: str, form: tuple[str, str]) -> str:
    found, order = form
    ordered = f"regexp_replace(btrim({name}), '{found}', '{order}')"
    return f"CASE WHEN btrim({name}) ~ '{found}' AND @day({ordered}) THEN {ordered}::date END"


def _scaled(name: str, decimal: str) -> str:
    plain = (
        f"replace(btrim({name}), ',', '')" if decimal == "." else f"replace(replace(btrim({name}), '.', ''), ',', '.')"
    )
    return f"CASE WHEN btrim({name}) ~ '{_NUMBERS[decimal]}' THEN {plain}::numeric * factor END"


def _other_account() -> FileCheck:
    return FileCheck(
        "account",
        "other_account",
        "SELECT DISTINCT 'a line of an account that ends with ' || right(btrim(account), 4) FROM typed"
        " WHERE %(account)s <> '' AND upper(replace(account, ' ', '')) IS DISTINCT FROM %(account)s",
    )


def _balances(given: str, currency: str) -> FileCheck:
    """Check that each balance follows from the one before it, from the first line down or from the last line up."""
    amount = f"({given} - coalesce(fee_scaled, 0))"
    return FileCheck(
        "balance",
        "wrong_total",
        "SELECT 'the balances in ' || currency || ' do not follow from the amounts' FROM (SELECT currency,"
        " count(*) FILTER (WHERE balance - amount <> above) AS down, count(*) FILTER (WHERE balance - amount <> below)"
        f" AS up FROM (SELECT {currency} AS currency, balance_scaled AS balance, {amount} AS amount,"
        f" lag(balance_scaled) OVER lines AS above, lead(balance_scaled) OVER lines AS below FROM typed"
        f" WINDOW lines AS (PARTITION BY {currency} ORDER BY place)) chain GROUP BY 1) counted"
        " WHERE down > 0 AND up > 0",
    )
