"""The sub-ledger proof: accounts that follow objects, computed anew from those objects and compared one by one.

What a seller has is what its orders earned, less refunds, lost disputes and what was paid out, with conversions and
the journals that people approved; it is read from those tables and never from the ledger that it proves. So are the
stored value of buyers, what refunds owe, what a PSP holds for disputes and on connected accounts, what is on its way
from a PSP to our bank, and what suspense holds.

Two errors must not cancel out: of every account the larger figure goes to one side of the proof and the smaller one to
the other, so that the residual is the sum of all differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any, Final

from django.db import connection

from payments.invariants import written
from reconciliation.models import Source

EXAMPLES: Final = 5

_NAMES: Final = {
    "SELLER": written("sel", "w.seller"),
    "PAYER": written("buy", "o.top_up_of"),
    "KEEPER": written("buy", "r.stored_value_of"),
    "BUYER": written("buy", "c.stored_value_of"),
    # What people moved, by account, as the proposals say that were approved; above zero is a credit.
    "MANUAL": """manual AS MATERIALIZED (
        SELECT g.leg ->> 'account' AS code, g.leg ->> 'currency' AS currency,
               sum(CASE g.leg ->> 'side' WHEN 'C' THEN 1 ELSE -1 END * (g.leg ->> 'amount')::bigint) AS amount
          FROM wallet_proposal p CROSS JOIN jsonb_array_elements(p.legs) AS g (leg)
         WHERE p.book_id = %(book)s AND p.state = 'approved' GROUP BY 1, 2)""",
    # Of a part of a dispute: what of its first x units is the seller's (dispute_shares.between, in SQL).
    "GIVEN_BACK": "CASE WHEN p.seller_minor + p.fee_minor = 0 THEN 0 ELSE"
    " (2 * greatest(p.returned_minor - p.excess_minor, 0) * p.seller_minor + p.seller_minor + p.fee_minor)"
    " / (2 * (p.seller_minor + p.fee_minor)) END",
    "GIVEN_BACK_LATER": "CASE WHEN p.seller_minor + p.fee_minor = 0 THEN 0 ELSE"
    " (2 * greatest(p.returned_minor + p.regained_minor - p.excess_minor, 0) * p.seller_minor + p.seller_minor"
    " + p.fee_minor) / (2 * (p.seller_minor + p.fee_minor)) END",
}

# Everything that ever moved a wallet, by the part of it that it belongs to; `rest` is what is available less debt.
_SELLERS = """
WITH $MANUAL,
parts AS (
    SELECT d.book_id, o.seller_id, o.currency, p.*, p.pending_minor + p.available_minor + p.debt_minor AS seller_minor
      FROM payments_disputepart p JOIN payments_dispute d ON d.id = p.dispute_id
      JOIN payments_paymentorder o ON o.id = p.order_id WHERE d.book_id = %(book)s),
by_seller AS (
    SELECT o.seller_id, o.currency, 'pending' AS part, o.pending_minor AS amount
      FROM payments_paymentorder o WHERE o.book_id = %(book)s AND o.pending_minor <> 0
     UNION ALL
    SELECT o.seller_id, o.currency, 'rest', -o.pending_minor
      FROM payments_paymentorder o WHERE o.book_id = %(book)s AND o.pending_minor <> 0
     UNION ALL
    SELECT o.seller_id, o.currency, 'rest', o.captured_minor - o.fee_minor
      FROM payments_paymentorder o WHERE o.book_id = %(book)s AND o.status = 'SUCCESS' AND o.top_up_of IS NULL
     UNION ALL
    SELECT o.seller_id, r.currency, 'rest', r.fee_minor - r.amount_minor
      FROM payments_refund r JOIN payments_paymentorder o ON o.id = r.order_id
     WHERE r.book_id = %(book)s AND (r.status <> 'failed' OR r.settled_at IS NOT NULL)
     UNION ALL
    SELECT h.seller_id, h.currency, v.part, v.sign * h.amount_minor
      FROM payments_reservehold h CROSS JOIN (VALUES ('reserved', 1), ('rest', -1)) AS v (part, sign)
     WHERE h.book_id = %(book)s AND h.freed_at IS NULL
     UNION ALL
    SELECT p.seller_id, p.currency, v.part, v.sign * (p.seller_minor - $GIVEN_BACK)
      FROM parts p CROSS JOIN (VALUES ('reserved', 1), ('rest', -1)) AS v (part, sign) WHERE p.lost_minor = 0
     UNION ALL
    SELECT p.seller_id, p.currency, 'rest', $GIVEN_BACK_LATER - p.seller_minor FROM parts p WHERE p.lost_minor > 0
     UNION ALL
    SELECT y.seller_id, y.currency, v.part, v.sign * y.amount_minor
      FROM payments_payout y CROSS JOIN (VALUES ('in_transit', 1), ('rest', -1)) AS v (part, sign)
     WHERE y.book_id = %(book)s AND y.status IN ('requires_approval', 'pending', 'sent', 'failed')
     UNION ALL
    SELECT y.seller_id, y.currency, 'rest', -y.amount_minor
      FROM payments_payout y WHERE y.book_id = %(book)s AND y.status = 'paid'),
objects AS (
    SELECT s.public_id AS seller, b.currency, b.part, b.amount
      FROM by_seller b JOIN payments_seller s ON s.id = b.seller_id
     UNION ALL
    SELECT q.seller, q.currency, 'rest', q.undone_minor - q.amount_minor
      FROM wallet_quote q WHERE q.book_id = %(book)s AND q.executed_at IS NOT NULL
     UNION ALL
    -- What was changed back cost the seller, with our margin where a refund let us keep it.
    SELECT q.seller, q.to_currency, 'rest', q.received_minor - q.undone_received_minor - q.undone_kept_minor
      FROM wallet_quote q
     WHERE q.book_id = %(book)s AND q.executed_at IS NOT NULL),
wallets AS MATERIALIZED (
    SELECT w.seller, w.currency, part, 'seller:' || n.name || ':' || part || ':' || w.currency AS code
      FROM wallet_wallet w CROSS JOIN LATERAL (SELECT $SELLER AS name OFFSET 0) n
     CROSS JOIN unnest(ARRAY['pending', 'available', 'reserved', 'in_transit', 'debt']) AS part
     WHERE w.book_id = %(book)s),
sides AS (
    SELECT o.seller, o.currency, o.part, 0 AS in_books, o.amount AS by_objects FROM objects o
     UNION ALL
    SELECT w.seller, w.currency, CASE WHEN w.part IN ('available', 'debt') THEN 'rest' ELSE w.part END, 0, m.amount
      FROM wallets w JOIN manual m ON m.code = w.code AND m.currency = w.currency
     UNION ALL
    SELECT w.seller, w.currency, CASE WHEN w.part IN ('available', 'debt') THEN 'rest' ELSE w.part END,
           b.credits - b.debits, 0
      FROM wallets w JOIN ledger_account a ON a.book_id = %(book)s AND a.code = w.code
      JOIN ledger_balance b ON b.account_id = a.id)
SELECT 'sellers, ' || part, seller::text, currency, sum(in_books), sum(by_objects)
  FROM sides GROUP BY part, seller, currency
"""

_BUYERS = """
WITH $MANUAL, sides AS (
    SELECT 'buyer:' || $KEEPER || ':stored:' || r.currency AS code, r.currency, 0 AS in_books,
           r.amount_minor AS by_objects
      FROM payments_refund r WHERE r.book_id = %(book)s AND r.stored_value_of IS NOT NULL AND r.status = 'succeeded'
     UNION ALL
    SELECT 'buyer:' || $PAYER || ':stored:' || o.currency, o.currency, 0, o.captured_minor
      FROM payments_paymentorder o WHERE o.book_id = %(book)s AND o.top_up_of IS NOT NULL
     UNION ALL
    SELECT 'buyer:' || $BUYER || ':stored:' || c.currency, c.currency, 0, -c.captured_minor
      FROM payments_charge c WHERE c.book_id = %(book)s AND c.stored_value_of IS NOT NULL
     UNION ALL
    SELECT m.code, m.currency, 0, m.amount FROM manual m WHERE m.code LIKE 'buyer:%%:stored:%%'
     UNION ALL
    SELECT a.code, a.currency, b.credits - b.debits, 0
      FROM ledger_account a JOIN ledger_balance b ON b.account_id = a.id
     WHERE a.book_id = %(book)s AND a.code LIKE 'buyer:%%:stored:%%')
SELECT 'stored value of buyers', code, currency, sum(in_books), sum(by_objects) FROM sides GROUP BY code, currency
"""

# Entries of the few accounts that all objects share, by code.
_HELD = """
held AS MATERIALIZED (
    SELECT a.code, a.currency, sum(CASE e.side WHEN 'C' THEN e.amount ELSE -e.amount END) AS amount
      FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id
     WHERE a.book_id = %(book)s AND a.code LIKE ANY (%(like)s) GROUP BY a.code, a.currency)"""

_REFUNDS = """
WITH $MANUAL, $HELD, sides AS (
    SELECT r.currency, 0 AS in_books, r.amount_minor AS by_objects FROM payments_refund r
     WHERE r.book_id = %(book)s AND r.order_id IS NOT NULL
       AND (r.status = 'pending' OR r.status = 'failed' AND r.settled_at IS NOT NULL)
     UNION ALL
    SELECT c.currency, 0, c.captured_minor FROM payments_charge c
     WHERE c.book_id = %(book)s AND c.status = 'LATE_SUCCESS'
     UNION ALL
    SELECT r.currency, 0, -r.amount_minor FROM payments_refund r
     WHERE r.book_id = %(book)s AND r.order_id IS NULL AND r.status = 'succeeded'
     UNION ALL
    SELECT m.currency, 0, m.amount FROM manual m WHERE m.code LIKE 'refund:payable:%%'
     UNION ALL
    SELECT h.currency, h.amount, 0 FROM held h)
SELECT 'refunds that are owed', 'refund:payable:' || currency, currency, sum(in_books), sum(by_objects)
  FROM sides GROUP BY currency
"""

# A break whose money is in suspense says how much: its lines, less what our books have of them already.
_SUSPENSE = """
WITH $MANUAL, $HELD, sides AS (
    SELECT b.currency, 0 AS in_books, l.gross_minor AS by_objects FROM reconciliation_break b
      JOIN ledger_transaction t ON t.id = b.transaction_id
      JOIN reconciliation_statementline l ON l.id = ANY (b.line_ids)
     WHERE b.book_id = %(book)s AND b.state <> 'resolved' AND t.kind = 'suspend'
     UNION ALL
    SELECT b.currency, 0, -i.amount_minor FROM reconciliation_break b
      JOIN ledger_transaction t ON t.id = b.transaction_id
      JOIN reconciliation_item i ON i.id = ANY (b.item_ids)
     WHERE b.book_id = %(book)s AND b.state <> 'resolved' AND t.kind = 'suspend'
     UNION ALL
    SELECT m.currency, 0, m.amount FROM manual m WHERE m.code LIKE 'suspense:%%'
     UNION ALL
    SELECT h.currency, h.amount, 0 FROM held h)
SELECT 'suspense', 'suspense:' || currency, currency, sum(in_books), sum(by_objects) FROM sides GROUP BY currency
"""

_AT_A_PSP = """
WITH $MANUAL, $HELD, account AS (SELECT id, code FROM payments_pspaccount WHERE id = %(psp_account)s),
sides AS (
    SELECT 'dispute_held' AS part, d.currency, 0 AS in_books,
           -(d.taken_minor - d.returned_minor - d.lost_minor) AS by_objects
      FROM payments_dispute d WHERE d.psp_account_id = %(psp_account)s AND d.taken_minor > 0
     UNION ALL
    SELECT 'connected', y.currency, 0, -y.amount_minor
      FROM payments_payout y WHERE y.psp_account_id = %(psp_account)s AND y.status IN ('sent', 'failed')
     UNION ALL
    SELECT split_part(m.code, ':', 3), m.currency, 0, m.amount
      FROM manual m JOIN account a ON split_part(m.code, ':', 2) = a.code AND split_part(m.code, ':', 1) = 'psp'
     WHERE split_part(m.code, ':', 3) IN ('dispute_held', 'connected')
     UNION ALL
    SELECT split_part(h.code, ':', 3), h.currency, h.amount, 0 FROM held h)
SELECT CASE part WHEN 'connected' THEN 'on connected accounts' ELSE 'held by the PSP for disputes' END,
       'psp:' || (SELECT code FROM account) || ':' || part, currency, sum(in_books), sum(by_objects)
  FROM sides GROUP BY part, currency
"""

# What PSPs paid out to our bank, by the lines that were booked on both sides.
_IN_TRANSIT = """
WITH $MANUAL, $HELD, lines AS (
    SELECT l.currency, l.gross_minor
      FROM (SELECT substring(t.reference FROM ':(?:line|brk_[0-9a-z]{26}):([0-9]{1,18})')::bigint AS line_id
              FROM ledger_transaction t
             WHERE t.book_id = %(book)s AND t.kind IN ('psp_payout', 'bank_credit')) t
      JOIN reconciliation_statementline l ON l.id = t.line_id),
sides AS (
    SELECT l.currency, 0 AS in_books, l.gross_minor AS by_objects FROM lines l
     UNION ALL
    SELECT m.currency, 0, m.amount FROM manual m WHERE m.code LIKE 'bank:in\\_transit:%%'
     UNION ALL
    SELECT h.currency, h.amount, 0 FROM held h)
SELECT 'on the way from PSPs to our bank', 'bank:in_transit:' || currency, currency, sum(in_books), sum(by_objects)
  FROM sides GROUP BY currency
"""


@dataclass(slots=True)
class Proof:
    """The proof in one currency: the larger figures of all accounts, the smaller ones, and what they are made of."""

    in_books: int = 0
    by_objects: int = 0
    terms: list[dict[str, Any]] = field(default_factory=list)


def of_book(book_id: int) -> dict[str, Proof]:
    """Prove sellers, buyers, refunds and suspense of a book, by currency. In the caller's snapshot; writes nothing."""
    refunds = {"like": ["refund:payable:%"]}
    suspense = {"like": ["suspense:%"]}
    found: dict[str, Proof] = {}
    for query, more in ((_SELLERS, {}), (_BUYERS, {}), (_REFUNDS, refunds), (_SUSPENSE, suspense)):
        _prove(found, query, {"book": book_id, **more})
    return found


def of_source(source: Source) -> dict[str, Proof]:
    """Prove the accounts of a source that follow objects, by currency. In the caller's snapshot; writes nothing."""
    found: dict[str, Proof] = {}
    if source.side == Source.Side.BANK:
        _prove(found, _IN_TRANSIT, {"book": source.book_id, "like": ["bank:in\\_transit:%"]})
        return found
    assert source.psp_account is not None
    code = source.psp_account.code.replace("\\", "\\\\").replace("_", "\\_")
    like = [f"psp:{code}:dispute\\_held:%", f"psp:{code}:connected:%"]
    parameters = {"book": source.book_id, "psp_account": source.psp_account_id, "like": like}
    _prove(found, _AT_A_PSP, parameters)
    return found


def _prove(found: dict[str, Proof], query: str, parameters: Mapping[str, Any]) -> None:
    filled = Template(Template(query).safe_substitute(_NAMES | {"HELD": _HELD})).safe_substitute(_NAMES)
    with connection.cursor() as cursor:
        cursor.execute(filled, parameters)
        rows = cursor.fetchall()
    terms: dict[tuple[str, str], dict[str, Any]] = {}
    for what, key, currency, in_books, by_objects in sorted(rows):
        proof = found.setdefault(currency, Proof())
        proof.in_books += max(int(in_books), int(by_objects))
        proof.by_objects += min(int(in_books), int(by_objects))
        term = terms.get((what, currency))
        if term is None:
            term = terms[what, currency] = {"what": what, "count": 0, "amount": 0}
            proof.terms.append(term)
        term["count"] += 1
        term["amount"] += int(by_objects)
        if in_books != by_objects:
            term["differs"] = term.get("differs", 0) + 1
            examples = term.setdefault("examples", [])
            if len(examples) < EXAMPLES:
                examples.append({"of": key, "in_books": int(in_books), "by_objects": int(by_objects)})
