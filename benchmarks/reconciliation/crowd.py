"""A million payments at once: rows of a merchant's charges and the PSP's report about them, made by SQL in bulk.

Nothing of it goes through Florin's flows: what is measured is reading, matching and classifying, and not how the rows
came to be. The report differs from the rows in fixed shares, so that there is something to classify.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from ledger.models import Book
from payments.models import PspAccount

DAY: Final = datetime(2026, 11, 2, tzinfo=UTC)
# Of ten thousand payments: missing in the report (pending or lost), another amount, and unknown to us.
MISSING, DIFFERENT, UNKNOWN = 100, 10, 10
_WHOLE: Final = 10_000

_EVENTS: Final = """
INSERT INTO payments_paymentevent (public_id, book_id, checkout_id, fingerprint, status, currency, amount_minor,
       charge_mode, capture, buyer, payment_method_types, return_url, metadata, created_at, updated_at)
SELECT gen_random_uuid(), %(book)s, 'bulk-' || n, ''::bytea, 'succeeded', 'EUR', 1000 + n %% 9000, 'single',
       'automatic', '{}', '{}', '', '{}', %(at)s, %(at)s
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
"""
_CHARGES: Final = """
INSERT INTO payments_charge (public_id, book_id, event_id, psp_account_id, status, currency, amount_minor,
       captured_minor, psp_id, created_at)
SELECT gen_random_uuid(), e.book_id, e.id, %(account)s, 'SUCCEEDED', 'EUR', e.amount_minor, e.amount_minor,
       'pi_' || md5(e.checkout_id), %(at)s
  FROM payments_paymentevent e WHERE e.book_id = %(book)s AND e.id > %(events)s
"""
_ORDERS: Final = """
INSERT INTO payments_paymentorder (public_id, book_id, event_id, charge_id, seller_id, position, reference, status,
       currency, amount_minor, fee_minor, captured_minor, description, metadata, ledger_updated, wallet_updated,
       succeeded_at, created_at, updated_at)
SELECT gen_random_uuid(), c.book_id, c.event_id, c.id, %(seller)s, 0, '', 'SUCCESS', 'EUR', c.amount_minor, 0,
       c.captured_minor, '', '{}', true, true, %(at)s, %(at)s, %(at)s
  FROM payments_charge c WHERE c.book_id = %(book)s AND c.id > %(charges)s
"""
_HISTORY: Final = """
INSERT INTO payments_transition (machine, object_id, source, target, at)
SELECT 'payments_charge', c.id, 'PROCESSING', 'SUCCEEDED', %(at)s
  FROM payments_charge c WHERE c.book_id = %(book)s AND c.id > %(charges)s ORDER BY c.id
"""
_REPORT: Final = """
COPY (
    SELECT 'txn_' || c.id AS balance_transaction_id, '2026-11-02 10:00:00' AS created_utc,
           '2026-11-02 11:00:00' AS created, '2026-11-04 00:00:00' AS available_on_utc, 'eur' AS currency,
           ((c.captured_minor + CASE WHEN c.id %% $whole < $different THEN 100 ELSE 0 END) / 100.0)::numeric(12, 2)
               AS gross,
           0.25::numeric(12, 2) AS fee,
           ((c.captured_minor + CASE WHEN c.id %% $whole < $different THEN 100 ELSE 0 END - 25) / 100.0)::numeric(12, 2)
               AS net,
           'charge' AS reporting_category, 'ch_' || md5(c.id::text) AS source_id, 'Order ' || c.id AS description,
           'ch_' || md5(c.id::text) AS charge_id, CASE WHEN c.id %% $whole >= $whole - $unknown THEN 'pi_nobody' || c.id
           ELSE c.psp_id END AS payment_intent_id, '' AS automatic_payout_id
      FROM payments_charge c
     WHERE c.book_id = $book AND c.id %% $whole NOT BETWEEN 5000 AND 5000 + $missing - 1 ORDER BY md5(c.id::text)
) TO '$file' (FORMAT csv, HEADER)
"""


def fill(superuser: psycopg.Connection, book: Book, account: PspAccount, seller_id: int, count: int) -> None:
    """Add payments to a book that was empty of them, all captured on one day."""
    superuser.execute("SET session_replication_role = replica")
    about: dict[str, object] = {"book": book.pk, "account": account.pk, "seller": seller_id, "at": DAY}
    about |= {"events": _last(superuser, "payments_paymentevent"), "charges": _last(superuser, "payments_charge")}
    superuser.execute(_EVENTS, about | {"first": 1, "last": count})
    for statement in (_CHARGES, _ORDERS, _HISTORY):
        superuser.execute(statement, about)
    superuser.execute("ANALYZE")


def write_report(superuser: psycopg.Connection, book: Book, file: Path) -> int:
    """Let the database write the PSP's report about the payments of a book; return its lines."""
    words = {"whole": _WHOLE, "missing": MISSING, "different": DIFFERENT, "unknown": UNKNOWN}
    statement = _REPORT.replace("%%", "%").replace("$book", str(book.pk)).replace("$file", str(file))
    for name, value in words.items():
        statement = statement.replace(f"${name}", str(value))
    return superuser.execute(statement).rowcount


def _last(superuser: psycopg.Connection, table: str) -> int:
    row = superuser.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])
