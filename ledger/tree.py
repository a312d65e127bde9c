"""The chart of accounts as a tree: codes cut at their colons, balances rolled up per currency.

`seller:sel_...:available:EUR` is below `seller:sel_...:available`, which is below `seller:sel_...`, which is below
`seller`. One call answers the children of one node, a page of them, so a million sellers are read page by page. It must
never write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection

from ledger.models import DEBIT_NORMAL

MAX_CHILDREN: Final = 100
_SEPARATOR, _AFTER_SEPARATOR = ":", ";"  # codes compare byte by byte, and these two follow each other

# Codes are walked as steps over account_code_is_unique_in_its_book: the first code at or after `place`, the child that
# it belongs to, the place behind all codes of that child. So accounts below a child are read for its sums only. A child
# is an account (its code ends here) or a node (more follows): the accounts of a node are one range of the index.
# Balances are those of ledger/balances.py: balance rows, what was folded, and the tail, in one snapshot.
_CHILDREN: Final = """
WITH RECURSIVE child AS (
    SELECT 0 AS number, NULL::uuid AS first, NULL::bigint AS account_id, NULL::text COLLATE "C" AS low,
           %(start)s::text COLLATE "C" AS place
    UNION ALL
    SELECT c.number + 1, a.public_id, CASE WHEN a.ends THEN a.id END,
           CASE WHEN a.ends THEN a.code ELSE a.head || ':' END COLLATE "C",
           CASE WHEN a.ends THEN a.code || chr(1) ELSE a.head || ';' END COLLATE "C"
      FROM child c CROSS JOIN LATERAL (
           SELECT k.id, k.public_id, k.code::text AS code,
                  strpos(substr(k.code, %(from)s), ':') = 0 AS ends,
                  substr(k.code, 1, %(from)s - 1) || split_part(substr(k.code, %(from)s), ':', 1) AS head
            FROM ledger_account k
           WHERE k.book_id = %(book)s AND k.code >= c.place AND (%(end)s::text IS NULL OR k.code < %(end)s)
           ORDER BY k.code LIMIT 1) a
     WHERE c.number < %(limit)s
), tail AS MATERIALIZED (
    SELECT e.account_id, sum(e.amount) FILTER (WHERE e.side = 'D') AS debits,
           sum(e.amount) FILTER (WHERE e.side = 'C') AS credits
      FROM ledger_fold_mark m
      JOIN ledger_transaction t ON (t.cluster_epoch, t.created_xid, t.id) > (m.cluster_epoch, m.xid, m.transaction_id)
      JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767
     WHERE e.account_version IS NULL GROUP BY e.account_id
)
SELECT c.low, c.first, c.account_id, s.*
  FROM child c CROSS JOIN LATERAL (
       SELECT a.currency, min(a.type), max(a.type), count(*),
              sum(coalesce(b.debits, coalesce(f.debits, 0) + coalesce(e.debits, 0))),
              sum(coalesce(b.credits, coalesce(f.credits, 0) + coalesce(e.credits, 0)))
         FROM ledger_account a
         LEFT JOIN ledger_balance b ON b.account_id = a.id
         LEFT JOIN ledger_folded f ON f.account_id = a.id
         LEFT JOIN tail e ON e.account_id = a.id
        WHERE a.book_id = %(book)s AND a.code >= c.low AND a.code < c.place
        GROUP BY a.currency) s
 WHERE c.number > 0 ORDER BY c.number, s.currency
"""


@dataclass(frozen=True, slots=True)
class Sum:
    """All accounts of a node in one currency, in minor units."""

    currency: str
    accounts: int
    debits: int
    credits: int
    type: str | None  # of the accounts; None when they are of several

    @property
    def net(self) -> int:
        """Return debits minus credits."""
        return self.debits - self.credits

    @property
    def balance(self) -> int | None:
        """Return the balance, positive on the normal side of the accounts; `None` when they are of several types."""
        if self.type is None:
            return None
        return self.net if self.type in DEBIT_NORMAL else -self.net


@dataclass(frozen=True, slots=True)
class Node:
    """A child: an account, or a node with accounts below it. An account `a` and a node `a` are two children."""

    code: str
    account_id: int | None  # of an account; None: a node that can be walked down
    first: UUID  # the public id of its first account, which a cursor can name
    sums: tuple[Sum, ...]  # by currency

    @property
    def key(self) -> str:
        """Return what the children of a node are ordered by, and what `after` takes."""
        return self.code if self.account_id is not None else self.code + _SEPARATOR


def children(book_id: int, prefix: str | None, *, after: str | None = None, limit: int) -> tuple[list[Node], bool]:
    """Return a page of the children of a node (`None`: of the whole book), and whether there are more.

    `after` is the key of the last child of the page before. One statement, one snapshot; it takes no lock, and its cost
    grows with the number of accounts below the children of this page, and with nothing else.
    """
    limit = max(1, min(limit, MAX_CHILDREN))
    above = "" if prefix is None else prefix + _SEPARATOR
    parameters: dict[str, Any] = {
        "book": book_id,
        "from": len(above) + 1,
        "start": above if after is None else _behind(above, after),
        "end": None if prefix is None else prefix + _AFTER_SEPARATOR,
        "limit": limit + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHILDREN, parameters)
        rows = cursor.fetchall()
    found: dict[str, Node] = {}
    for low, first, account_id, currency, kind, last_kind, count, debits, credited in rows:
        one = Sum(currency, count, int(debits), int(credited), kind if kind == last_kind else None)
        before = found[low].sums if low in found else ()
        found[low] = Node(low if account_id is not None else low[:-1], account_id, first, (*before, one))
    nodes = list(found.values())
    return nodes[:limit], len(nodes) > limit


def key_of(prefix: str | None, code: str) -> str | None:
    """Return the key of the child of a node that an account's code belongs to; `None` when it is not below the node."""
    above = "" if prefix is None else prefix + _SEPARATOR
    if not code.startswith(above):
        return None
    head, separator, _ = code[len(above) :].partition(_SEPARATOR)
    return above + head + separator


def _behind(above: str, key: str) -> str:
    is_node = key[len(above) :].endswith(_SEPARATOR)
    return key[:-1] + _AFTER_SEPARATOR if is_node else key + "\x01"
