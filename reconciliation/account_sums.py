"""The account of a source in the books: what it holds, and which of its entries reconciliation and people posted.

A posting of reconciliation is known by its reference (`reconciliation/references.py`): it books one line, the fees that
a run found, or a break. Read-only, set-based; meant for one snapshot with `closing_sums`. Debit is positive, as in
lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ledger import balances
from ledger.ids import parse_public_id
from ledger.models import Account
from payments.models import MerchantBook
from reconciliation.closing_sums import MAX_ID, Sum, rows
from reconciliation.models import Break, Source

_BEFORE: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class Posted:
    """What reconciliation and people posted on a source's account. `of_breaks`: by break, by its key."""

    fees: Sum = field(default_factory=Sum)
    of_lines: Sum = field(default_factory=Sum)
    of_breaks: dict[int, Sum] = field(default_factory=dict)
    of_people: Sum = field(default_factory=Sum)


# What reconciliation posts, and what people do; all other entries of a source's account come from objects of payments.
_OURS: Final = (
    "psp_fee",
    "psp_rounding",
    "psp_payout",
    "bank_credit",
    "bank_charge",
    "suspend",
    "identify",
    "psp_convert",
    "realise_fx",
)
_PEOPLES: Final = ("adjust", "write_off", "reversal", "partial_reversal", "withdraw_fees")

_POSTED = """
SELECT a.currency, t.id, t.kind, t.reference, b.id,
       sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END)
  FROM ledger_transaction t
  JOIN ledger_account a ON a.book_id = t.book_id AND a.code LIKE %(codes)s
  JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767 AND e.account_id = a.id
  LEFT JOIN reconciliation_break b ON b.transaction_id = t.id AND b.source_id = %(source)s
 WHERE t.book_id = %(book)s AND t.kind = ANY (%(kinds)s)
 GROUP BY a.currency, t.id, t.kind, t.reference, b.id ORDER BY t.id
"""


def posted(source: Source) -> dict[str, Posted]:
    """Return what reconciliation and people posted on the account of a source, by currency. (transaction_by_kind)"""
    found: dict[str, Posted] = {}
    parameters = {
        "book": source.book_id,
        "source": source.pk,
        "codes": _like(_account(source, "%")),
        "kinds": [*_OURS, *_PEOPLES],
    }
    for currency, _, kind, reference, break_id, amount in rows(_POSTED, parameters):
        _sort_in(found.setdefault(currency, Posted()), source, (kind, reference, break_id), int(amount))
    return found


def _sort_in(own: Posted, source: Source, posting: tuple[str, str, int | None], amount: int) -> None:
    kind, reference, break_id = posting
    words = reference.split(":")
    named = parse_public_id("brk", words[1]) if len(words) > 1 else None
    if break_id is None and named is not None:
        break_id = Break.objects.filter(source=source, public_id=named).values_list("pk", flat=True).first()
    if break_id is not None:
        before = own.of_breaks.get(break_id, Sum())
        own.of_breaks[break_id] = Sum(before.count + 1, before.amount + amount)
    elif kind == "psp_fee" and parse_public_id("rec", words[1]) is not None:
        own.fees = Sum(own.fees.count + 1, own.fees.amount + amount)
    elif kind in _OURS and words[1:2] == ["line"]:
        own.of_lines = Sum(own.of_lines.count + 1, own.of_lines.amount + amount)
    elif kind in _PEOPLES:
        own.of_people = Sum(own.of_people.count + 1, own.of_people.amount + amount)


_EXPLAINED = """
WITH mine AS (SELECT b.id AS break_id, b.line_ids, b.item_ids FROM reconciliation_break b WHERE b.id = ANY (%(breaks)s))
SELECT x.break_id, sum(x.amount) FROM (
    SELECT mine.break_id, $MOVED AS amount FROM mine JOIN reconciliation_statementline l ON l.id = ANY (mine.line_ids)
      LEFT JOIN reconciliation_match m ON m.line_id = l.id AND m.undone_at IS NULL
     WHERE m.id IS NULL OR m.rule IN ('break', 'person', 'posted', 'tolerance')
     UNION ALL
    SELECT mine.break_id, -i.amount_minor FROM mine JOIN reconciliation_item i ON i.id = ANY (mine.item_ids)
      LEFT JOIN reconciliation_match m ON m.item_id = i.id AND m.undone_at IS NULL
     WHERE m.id IS NULL OR m.rule IN ('break', 'person', 'posted', 'tolerance')) x
 GROUP BY x.break_id
"""


def explained_by(breaks: Sequence[int]) -> dict[int, int]:
    """Return what each break is about: what its lines moved, less its items, where nothing else is their match."""
    if not breaks:
        return {}
    return {key: int(amount) for key, amount in rows(_EXPLAINED, {"breaks": list(breaks)})}


# A line of a bank is in the books when a posting names it, or the payout that it executes or returns.
_UNBOOKED = """
WITH $REPLACED, $HELD,
of_lines AS MATERIALIZED (
    SELECT substring(t.reference FROM ':line:([0-9]{1,18})$$')::bigint AS line_id FROM ledger_transaction t
     WHERE t.book_id = %(book)s AND t.kind IN ('bank_credit', 'bank_charge')),
of_payouts AS MATERIALIZED (
    SELECT split_part(t.reference, ':', 1) AS verb, split_part(t.reference, ':', 2) AS payout FROM ledger_transaction t
     WHERE t.book_id = %(book)s AND t.kind IN ('bank_payout', 'return_bank_payout'))
SELECT l.currency, CASE WHEN m.id IS NOT NULL THEN 'matched' WHEN h.id IS NOT NULL THEN 'break' ELSE 'nowhere' END,
       count(*), sum($NET)
  FROM reconciliation_statementline l
  LEFT JOIN of_lines o ON o.line_id = l.id
  LEFT JOIN of_payouts p ON p.payout = lower(replace(l.own_reference, '-', '_'))
       AND p.verb = CASE WHEN l.flow = 'return' THEN 'return_bank_payout' ELSE 'bank_payout' END
  LEFT JOIN reconciliation_match m ON m.line_id = l.id AND m.undone_at IS NULL
  LEFT JOIN held h ON h.id = l.id
 WHERE o.line_id IS NULL AND p.payout IS NULL AND $COUNTS GROUP BY 1, 2
"""


def unbooked(source: Source, *, day: date, lines_to: int = MAX_ID) -> dict[str, dict[str, Sum]]:
    """Return the lines of a bank that no posting names, by currency: matched, in a break, or nowhere."""
    found: dict[str, dict[str, Sum]] = {}
    parameters = {"source": source.pk, "book": source.book_id, "day": day, "lines_to": lines_to}
    for currency, where, count, amount in rows(_UNBOOKED, parameters, IDS="line_ids"):
        found.setdefault(currency, {})[where] = Sum(count, int(amount))
    return found


@dataclass(frozen=True, slots=True)
class Balance:
    """The account of a source in the books: what it holds now, and what it held when reconciliation began."""

    now: int = 0
    at_start: int = 0


def books(source: Source) -> dict[str, Balance]:
    """Return the balance of a source's account in the books, by currency; debit is positive."""
    zone = MerchantBook.objects.values_list("time_zone", flat=True).get(pk=source.book_id)
    starts = datetime.combine(source.starts_on, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    # Uses index: account_code_is_unique_in_its_book.
    codes = Account.objects.filter(book_id=source.book_id, code__startswith=_account(source, ""))
    rows = balances.of_accounts(codes.values_list("pk", flat=True))
    return {
        row.currency: Balance(row.balance, balances.at(row.account_id, at=starts - _BEFORE)) for row in rows.values()
    }


_AFTER = """
WITH $REPLACED
SELECT coalesce(sum($NET), 0) FROM reconciliation_statementline l
 WHERE l.currency = %(currency)s AND l.booked_on > %(after)s AND $COUNTS
"""


def after(source: Source, currency: str, *, after: date, day: date) -> int:
    """Return the net of the lines of a source that are booked after one day and until another."""
    parameters = {"source": source.pk, "currency": currency, "after": after, "day": day, "lines_to": MAX_ID}
    return int(rows(_AFTER, parameters)[0][0])


def _account(source: Source, currency: str) -> str:
    if source.side == Source.Side.BANK:
        return f"bank:{source.bank_name}:{currency}"
    assert source.psp_account is not None
    return f"psp:{source.psp_account.code}:clearing:{currency}"


def _like(code: str) -> str:
    return code.replace("\\", "\\\\").replace("_", "\\_")
