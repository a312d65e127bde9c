"""How values look in the back office: money in major units, ids as the API writes them, states in colour.

Everything here returns text that is safe to put into a page; values from outside are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ledger.ids import public_id
from ledger.models import Side
from ledger.money import format_minor

NOTHING = "-"
MAX_JSON_CHARACTERS = 20_000

_TONES = {
    "success": "bg-green-100 text-green-700 dark:bg-green-500/20 dark:text-green-400",
    "danger": "bg-red-100 text-red-700 dark:bg-red-500/20 dark:text-red-400",
    "warning": "bg-orange-100 text-orange-700 dark:bg-orange-500/20 dark:text-orange-400",
    "info": "bg-blue-100 text-blue-700 dark:bg-blue-500/20 dark:text-blue-400",
    "": "bg-base-500/8 text-base-700 dark:bg-base-500/20 dark:text-base-200",
}
_SECRET_NAMES = re.compile(r"secret|token|password|api_key|signature|authorization|iban", re.IGNORECASE)
_SECRET_VALUES = re.compile(r"token=[A-Za-z0-9_-]+|\b\w+_secret_\w+|\b[srp]k_(?:test|live)_\w+|\bwhsec_\S+")
_HIDDEN = "••••"


def grouped(minor: int, currency: str) -> str:
    """Write minor units in major ones with thousands grouped: 1234567 EUR is "12,345.67"."""
    whole, point, fraction = format_minor(abs(minor), currency).partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{point}{fraction}"


def money(minor: int | None, currency: str) -> SafeString:
    """Show an amount in major units with its currency, aligned to the right of a column."""
    if minor is None:
        return format_html('<span class="amount">{}</span>', NOTHING)
    return format_html(
        '<span class="amount">{} <span class="currency">{}</span></span>', grouped(minor, currency), currency
    )


def right(title: str) -> dict[str, str]:
    """Return a table heading that stands above amounts."""
    return {"content": title, "class": "amount-heading"}


def sided(side: str, amount: int, currency: str) -> tuple[SafeString, SafeString]:
    """Show the amount of an entry in the debit or in the credit column; the other one stays empty."""
    empty = format_html("{}", "")
    shown = money(amount, currency)
    return (shown, empty) if side == Side.DEBIT else (empty, shown)


def code(text: str) -> SafeString:
    """Show an id or a reference in letters of one width."""
    return format_html('<span class="code">{}</span>', text) if text else format_html("{}", NOTHING)


def api_id(prefix: str, value: UUID) -> SafeString:
    """Show a public id as the API does."""
    return code(public_id(prefix, value))


def link(obj: Model | None, text: object) -> SafeString:
    """Link to the page of an object; plain text when there is no object or no page of its kind."""
    if obj is None:
        return format_html("{}", text or NOTHING)
    return link_to(f"{obj._meta.app_label}_{obj._meta.model_name}", obj.pk, text)


def link_to(page: str, key: object, text: object) -> SafeString:
    """Link to the page of an object by the name of its model (`payments_charge`) and its key."""
    try:
        address = reverse(f"admin:{page}_change", args=[key])
    except NoReverseMatch:
        return format_html("{}", text)
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', address, text)


def badge(text: str, tone: str = "") -> SafeString:
    """Show a state as a coloured label. Tones: success, danger, warning, info, and none."""
    return format_html(
        '<span class="inline-block font-semibold h-6 leading-6 px-2 rounded-default text-[11px] uppercase '
        'whitespace-nowrap {}">{}</span>',
        _TONES[tone],
        text.replace("_", " "),
    )


def pretty(value: Any) -> SafeString:
    """Show JSON with its secrets hidden, cut at `MAX_JSON_CHARACTERS`."""
    if value in (None, {}, [], ""):
        return format_html("{}", NOTHING)
    text = json.dumps(hidden(value), indent=2, ensure_ascii=False, sort_keys=False, default=str)
    if len(text) > MAX_JSON_CHARACTERS:
        text = text[:MAX_JSON_CHARACTERS] + "\n… (cut)"
    return format_html('<pre class="json">{}</pre>', text)


def hidden(value: Any) -> Any:
    """Return JSON with everything hidden that opens something: tokens, secrets, keys, links with them."""
    if isinstance(value, Mapping):
        return {
            name: _HIDDEN if item and _SECRET_NAMES.search(str(name)) else hidden(item) for name, item in value.items()
        }
    if isinstance(value, list):
        return [hidden(item) for item in value]
    return _SECRET_VALUES.sub(_HIDDEN, value) if isinstance(value, str) else value


def facts(pairs: Mapping[str, object]) -> SafeString:
    """Show a few named values on one line, without those that are empty."""
    shown = [(name.replace("_", " "), value) for name, value in pairs.items() if value not in (None, "", [], {})]
    return format_html_join(
        " · ", '<span class="text-font-subtle-light dark:text-font-subtle-dark">{}</span> {}', shown
    )
