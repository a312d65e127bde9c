"""The chart of accounts of a book, to walk down: one page of the children of a node."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ledger import tree
from ledger.admin.reading import AFTER, Table, key_of
from ledger.admin.showing import NOTHING, code, link_to, money, right
from ledger.models import Account, Book
from ledger.tree import Node, Sum

PREFIX: Final = "prefix"
NODES: Final = 50


def context_of(request: HttpRequest, book: Book) -> dict[str, Any]:
    """Return what the page shows: the way up, the children of the node, the way to more of them."""
    prefix = request.GET.get(PREFIX, "")[:128].replace("\0", "") or None
    last = Account.objects.filter(book=book, pk=key_of(request, AFTER) or 0).first()
    after = tree.key_of(prefix, last.code) if last is not None else None
    nodes, more = tree.children(book.pk, prefix, after=after, limit=NODES)
    shown = Table(
        "Below the whole book" if prefix is None else f"Below {prefix}",
        ("Code", right("Accounts"), "Type", right("Debits"), right("Credits"), right("Balance")),
        [_row(node) for node in nodes],
    )
    up = [("Whole book", "?")] if prefix is not None else []
    segments = (prefix or "").split(":")
    for count in range(1, len(segments)):
        part = ":".join(segments[:count])
        up.append((part, f"?{urlencode({PREFIX: part})}"))
    return {
        "title": f"Chart of accounts of {book.code}",
        "tables": [shown],
        "ways": [*up, *([_more(prefix, nodes[-1])] if more else [])],
        "hint": "Sums of all accounts below a code, now. A balance is positive on the normal side of the accounts;"
        " where they are of several types there is none.",
    }


def _more(prefix: str | None, last: Node) -> tuple[str, str]:
    key = Account.objects.values_list("pk", flat=True).get(public_id=last.first)
    return "More", "?" + urlencode({**({PREFIX: prefix} if prefix is not None else {}), AFTER: key})


def _row(node: Node) -> tuple[SafeString, ...]:
    if node.account_id is not None:
        name = link_to("ledger_account", node.account_id, code(node.code))
    else:
        address = f"?{urlencode({PREFIX: node.code})}"
        name = format_html(
            '<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', address, code(node.code)
        )
    return (
        name,
        _lines(format_html('<span class="amount">{}</span>', one.accounts) for one in node.sums),
        _lines(format_html("{}", one.type or "several") for one in node.sums),
        _lines(money(one.debits, one.currency) for one in node.sums),
        _lines(money(one.credits, one.currency) for one in node.sums),
        _lines(_balance(one) for one in node.sums),
    )


def _balance(one: Sum) -> SafeString:
    return money(one.balance, one.currency) if one.balance is not None else format_html("{}", NOTHING)


def _lines(shown: Any) -> SafeString:
    return format_html_join("", "<div>{}</div>", ((one,) for one in shown))
