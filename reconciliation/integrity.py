"""Integrity: the books, the payments and the wallets against themselves, as breaks of the classes D01 to D10.

Most of it is what `verify_books` checks (`ledger.invariants`, `payments.invariants`), each check under the code of its
class. Beside these: journals that one cause has twice, holds that nobody frees, money that waits in suspense, and
whether what is owed to customers is covered by what is at banks and PSPs. Needs no statement; repairs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from string import Template
from typing import Any, Final

from django.db import connection

from ledger import balances
from ledger.invariants import Violation
from ledger.models import Account, CheckRun, PostingMode
from ledger.money import format_minor
from payments import verification
from reconciliation import findings
from reconciliation.codes import CODES
from reconciliation.findings import Finding
from reconciliation.models import ReconciliationRun

OWN: Final = tuple(code for code in CODES if code.startswith("D"))
AUTHORIZED_DAYS: Final = 7  # a card's authorization has lapsed by then
APPROVAL_DAYS: Final = 14
RESERVE_DAYS: Final = 1  # after its end
SUSPENSE_DAYS: Final = 30

# The class of each check of the books. A check that is not named is of the class of control accounts.
CLASS_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "transaction_balances",
            "transaction_has_all_legs",
            "book_sums_to_zero",
            "closed_period_is_as_it_was",
            "runtime_role_cannot_write_the_books",
            "seals_cover_history",
        ),
        "D01",
    ),
    **dict.fromkeys(
        (
            "success_is_posted_once",
            "flags_follow_status",
            "late_success_is_refunded",
            "refund_is_posted_once",
            "refund_is_split_as_booked",
            "refund_is_taken_back_once",
            "reserve_is_posted_once",
            "payout_is_posted_once",
            "dispute_is_posted_once",
            "done_left_its_effect",
            "terminal_status_is_published_once",
        ),
        "D02",
    ),
    **dict.fromkeys(
        (
            "entry_has_its_transaction",
            "no_transaction_from_another_cluster",
            "posting_has_its_cause",
            "manual_journal_was_approved",
            "debt_has_its_cause",
            "history_is_legal",
            "history_ends_in_the_present",
        ),
        "D03",
    ),
    **dict.fromkeys(("payout_has_one_transfer", "one_open_operation_per_charge_and_kind"), "D04"),
    **dict.fromkeys(
        (
            "balance_equals_entries",
            "versions_have_no_gap",
            "running_balance_follows",
            "fold_equals_entries",
            "anchors_equal_fold",
            "redated_anchors_equal_entries",
            "wallet_holds_what_was_earned",
            "stored_value_is_of_buyers",
        ),
        "D05",
    ),
    **dict.fromkeys(
        (
            "balance_above_floor",
            "reversals_stay_within_the_original",
            "reversal_negates",
            "refunds_stay_within_capture",
        ),
        "D06",
    ),
    **dict.fromkeys(("payout_goes_on", "open_dispute_is_watched", "nothing_is_stuck", "unknown_is_resolved"), "D07"),
}
_OTHERS: Final = "D08"

# What a violation is about, by the first word and number of its words, when it does not name its book.
_SUBJECTS: Final = {
    "transaction": "ledger_transaction",
    "entry": "ledger_entry",
    "account": "ledger_account",
    "order": "payments_paymentorder",
    "charge": "payments_charge",
    "payment": "payments_paymentevent",
    "refund": "payments_refund",
    "dispute": "payments_dispute",
    "payout": "payments_payout",
    "operation": "payments_pspoperation",
    "PSP account": "payments_pspaccount",
    "reserve": "payments_reservehold",
    "wallet": "wallet_wallet",
    "seller": "payments_seller",
    "payments_paymentorder": "payments_paymentorder",
    "payments_charge": "payments_charge",
    "payments_refund": "payments_refund",
    "payments_dispute": "payments_dispute",
    "payments_payout": "payments_payout",
}
_ABOUT: Final = re.compile(rf"\b({'|'.join(sorted(_SUBJECTS, key=len, reverse=True))}) ([0-9a-z_:A-Z-]+)")


def look(*, now: datetime, within: timedelta = timedelta(0)) -> list[Violation]:
    """Check all books, or return what was found when that was done `within` so long; in a snapshot of its own.

    Call it outside a transaction: what is found is written down, and a wrong sum stops payouts.
    """
    last = CheckRun.objects.filter(kind=CheckRun.Kind.FULL, started_at__gt=now - within).order_by("-pk").first()
    if last is not None:
        return [Violation(one["check"], one["detail"], one["book"]) for one in last.findings]
    return verification.verify_everything(now=now, actor="check:reconciliation").violations


def check(run: ReconciliationRun, violations: Sequence[Violation], *, now: datetime) -> None:
    """Write the breaks of a book's integrity, and resolve those that are gone. In the caller's transaction."""
    found = [*_of_checks(run.book_id, violations), *_asked(run.book_id, now=now), *_safeguarding(run.book_id)]
    findings.record(run, found, codes=OWN, now=now)


def _of_checks(book_id: int, violations: Iterable[Violation]) -> Iterator[Finding]:
    for one in violations:
        if (_book_of(one) or book_id) == book_id:
            about = _ABOUT.search(one.detail)
            key = f"{one.check} {about[0] if about else one.detail}"[:200]
            yield Finding(
                CLASS_OF.get(one.check, _OTHERS),
                "integrity",
                key,
                f"{one.check.replace('_', ' ')}: {one.detail}",
                reference=about[0] if about else "",
                evidence={"check": one.check},
            )


def _book_of(violation: Violation) -> int | None:
    """Return the book of a violation; none when nothing tells, which every book then hears of."""
    if violation.book_id is not None:
        return violation.book_id
    about = _ABOUT.search(violation.detail)
    if about is None:
        return None
    table, name = _SUBJECTS[about[1]], about[2]
    column = "id" if name.isdigit() else "code" if table == "ledger_account" else "public_id"
    with connection.cursor() as cursor:
        query = Template("SELECT min(book_id) FROM $table WHERE $column::text = %s HAVING count(DISTINCT book_id) = 1")
        cursor.execute(query.substitute(table=table, column=column), [name])
        row = cursor.fetchone()
    return None if row is None else row[0]


# Each answers code, key, currency, amount, reference and words.
_QUESTIONS: Final = (
    # One cause, one journal of a kind: references are unique, so a second one has a longer name.
    """SELECT 'D04', t.kind || ':' || split_part(t.reference, ':', 2), NULL, 0, max(t.reference),
              'has ' || count(*) || ' journals ' || t.kind || ': ' || string_agg(t.reference, ', ' ORDER BY t.id)
         FROM ledger_transaction t
        WHERE t.book_id = %(book)s
          AND t.kind IN ('settle_charge', 'late_success', 'release', 'request_refund', 'cancel_refund', 'settle_refund',
                         'refund_returned', 'reserve_payout', 'cancel_payout', 'fund_payout', 'pay_out',
                         'return_payout', 'bank_payout', 'return_bank_payout', 'stored_top_up', 'stored_pay',
                         'stored_refund')
        GROUP BY t.kind, split_part(t.reference, ':', 2) HAVING count(*) > 1""",
    """SELECT 'D07', 'reserve ' || h.order_id, h.currency, h.amount_minor, 'order ' || h.order_id,
              'a reserve was due on ' || h.due_at::date
         FROM payments_reservehold h
        WHERE h.book_id = %(book)s AND h.due_at < %(now)s - make_interval(days => %(reserve_days)s)""",
    """SELECT 'D07', 'charge ' || c.id, c.currency, c.amount_minor, coalesce(c.psp_id, 'charge ' || c.id),
              'authorized on ' || c.created_at::date || ' and neither captured nor cancelled'
         FROM payments_charge c
        WHERE c.book_id = %(book)s AND c.status = 'AUTHORIZED'
          AND c.created_at < %(now)s - make_interval(days => %(authorized_days)s)""",
    """SELECT 'D07', 'payout ' || y.id, y.currency, y.amount_minor, 'payout ' || y.id,
              'set aside on ' || y.created_at::date || ' and waits for somebody who approves it'
         FROM payments_payout y
        WHERE y.book_id = %(book)s AND y.status = 'requires_approval'
          AND y.created_at < %(now)s - make_interval(days => %(approval_days)s)""",
    """SELECT 'D09', 'break ' || b.id, b.currency, b.amount_minor, coalesce(nullif(b.reference, ''), b.code),
              b.code || ' is in suspense since ' || t.posted_at::date || ': ' || b.detail
         FROM reconciliation_break b JOIN ledger_transaction t ON t.id = b.transaction_id AND t.kind = 'suspend'
        WHERE b.book_id = %(book)s AND b.state <> 'resolved'
          AND t.posted_at < %(now)s - make_interval(days => %(suspense_days)s)""",
)


def _asked(book_id: int, *, now: datetime) -> Iterator[Finding]:
    parameters: dict[str, Any] = {
        "book": book_id,
        "now": now,
        "reserve_days": RESERVE_DAYS,
        "authorized_days": AUTHORIZED_DAYS,
        "approval_days": APPROVAL_DAYS,
        "suspense_days": SUSPENSE_DAYS,
    }
    with connection.cursor() as cursor:
        for question in _QUESTIONS:
            cursor.execute(question, parameters)
            for code, key, currency, amount, reference, detail in cursor.fetchall():
                yield Finding(code, "integrity", key, detail, currency, int(amount), reference)


# What is owed to sellers and buyers, in balance rows; what they owe us is no cover.
_OWED: Final = """
SELECT a.currency, sum(b.credits - b.debits) FROM ledger_account a JOIN ledger_balance b ON b.account_id = a.id
 WHERE a.book_id = %(book)s AND a.type = 'liability' GROUP BY a.currency
"""
_COVER: Final = ("bank", "psp")


def _safeguarding(book_id: int) -> Iterator[Finding]:
    """Compare what is owed to customers with what is at banks, at PSPs and provably on its way between them."""
    with connection.cursor() as cursor:
        cursor.execute(_OWED, {"book": book_id})
        owed = {currency: int(amount) for currency, amount in cursor.fetchall()}
    cover: dict[str, int] = {}
    # Uses index: account_code_is_unique_in_its_book.
    shared = Account.objects.filter(book_id=book_id, mode=PostingMode.RECORDING, type__in=("asset", "liability"))
    for row in balances.of_accounts(shared.values_list("pk", flat=True)).values():
        if row.type == "liability":
            owed[row.currency] = owed.get(row.currency, 0) + row.balance
        elif row.code.split(":")[0] in _COVER:
            cover[row.currency] = cover.get(row.currency, 0) + row.balance
    for currency, amount in sorted(owed.items()):
        missing = amount - cover.get(currency, 0)
        if missing > 0:
            yield Finding(
                "D10",
                "safeguarding",
                currency,
                f"customers are owed {format_minor(amount, currency)}, at banks and PSPs are"
                f" {format_minor(amount - missing, currency)}",
                currency=currency,
                amount=-missing,
                evidence={"owed": amount, "cover": amount - missing},
            )
