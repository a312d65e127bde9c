"""Checks of refunds, releases and reserves, run by `invariants` with its own.

Each is SQL that returns what is wrong, with the names of `invariants` filled in. They only read.
"""

from __future__ import annotations

from typing import Final

CHECKS: Final[dict[str, str]] = {
    # What a refund says it took, and from whom, is what its request booked.
    "refund_is_split_as_booked": """
        SELECT 'refund ' || r.id || ' took ' || r.from_pending_minor || ' pending, ' || r.from_available_minor
               || ' available, ' || r.from_debt_minor || ' debt and ' || r.fee_minor || ' fee; the books have '
               || coalesce(p.pending || ', ' || p.available || ', ' || p.debt || ' and ' || p.fee, 'nothing')
          FROM payments_refund r
          JOIN payments_paymentorder o ON o.id = r.order_id
          JOIN payments_seller s ON s.id = o.seller_id
          LEFT JOIN ledger_transaction t ON t.book_id = r.book_id AND t.reference = 'request_refund:' || $REFUND
          LEFT JOIN LATERAL (
               SELECT coalesce(sum(e.amount) FILTER (WHERE e.side = 'D' AND b.code =
                          'seller:' || $SELLER || ':pending:' || r.currency), 0) AS pending,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'D' AND b.code =
                          'seller:' || $SELLER || ':available:' || r.currency), 0) AS available,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'D' AND b.code =
                          'seller:' || $SELLER || ':debt:' || r.currency), 0) AS debt,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'D' AND b.code =
                          'fees:platform:' || r.currency), 0) AS fee,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C' AND b.code =
                          'refund:payable:' || r.currency), 0) AS payable
                 FROM ledger_entry e JOIN ledger_account b ON b.id = e.account_id
                WHERE e.transaction_id = t.id) p ON t.id IS NOT NULL
         WHERE (p.pending, p.available, p.debt, p.fee, p.payable) IS DISTINCT FROM
               (r.from_pending_minor, r.from_available_minor, r.from_debt_minor, r.fee_minor, r.amount_minor)""",
    # A request is taken back exactly when the PSP never paid it out, and whole.
    "refund_is_taken_back_once": """
        SELECT 'refund ' || r.id || ' is ' || r.status || ', settled at ' || coalesce(r.settled_at::text, 'no time')
               || '; taken back ' || coalesce(x.payable, 0) || ', of it fee ' || coalesce(x.fee, 0)
          FROM payments_refund r
          LEFT JOIN LATERAL (
               SELECT sum(e.amount) FILTER (WHERE e.side = 'D') AS payable,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C' AND b.code =
                          'fees:platform:' || r.currency), 0) AS fee
                 FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
                 JOIN ledger_account b ON b.id = e.account_id
                WHERE t.book_id = r.book_id AND t.reference = 'cancel_refund:' || $REFUND) x ON true
         WHERE CASE WHEN r.status = 'failed' AND r.settled_at IS NULL AND r.order_id IS NOT NULL
                    THEN (x.payable, x.fee) IS DISTINCT FROM (r.amount_minor, r.fee_minor)
                    ELSE x.payable IS NOT NULL END""",
    # What came back after it was paid out is still owed to the buyer, so it still counts.
    "refunded_is_of_refunds": """
        SELECT 'order ' || o.id || ' says ' || o.refunded_minor || ' refunded, of it fee ' || o.fee_refunded_minor
               || '; its refunds ' || coalesce(x.amount, 0) || ' and ' || coalesce(x.fee, 0)
          FROM payments_paymentorder o
          LEFT JOIN (SELECT order_id, sum(amount_minor) AS amount, sum(fee_minor) AS fee FROM payments_refund
                      WHERE status <> 'failed' OR settled_at IS NOT NULL GROUP BY order_id) x ON x.order_id = o.id
         WHERE (o.refunded_minor, o.fee_refunded_minor) <> (coalesce(x.amount, 0), coalesce(x.fee, 0))""",
    "reserve_is_posted_once": """
        SELECT 'reserve ' || h.id || ' of ' || h.amount_minor || ', freed at ' || coalesce(h.freed_at::text, 'no time')
               || '; held ' || coalesce(x.held, 0) || ', freed ' || coalesce(x.freed, 0)
          FROM payments_reservehold h
          JOIN payments_paymentorder o ON o.id = h.order_id
          LEFT JOIN LATERAL (
               SELECT sum(e.amount) FILTER (WHERE t.kind = 'hold_reserve') AS held,
                      sum(e.amount) FILTER (WHERE t.kind = 'free_reserve') AS freed
                 FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id AND e.side = 'D'
                WHERE t.book_id = o.book_id
                  AND t.reference IN ('hold_reserve:' || $ORDER, 'free_reserve:' || $ORDER)) x ON true
         WHERE x.held IS DISTINCT FROM h.amount_minor
            OR x.freed IS DISTINCT FROM CASE WHEN h.freed_at IS NOT NULL THEN h.amount_minor END""",
    # A wallet is below zero by a debt that has a name: a refund, a dispute, or a journal that a person approved.
    "debt_has_its_cause": """
        SELECT 'transaction ' || t.id || ' ' || t.reference || ' of kind ' || t.kind || ' put ' || e.amount || ' on '
               || a.code
          FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id AND e.side = 'D'
          JOIN ledger_transaction t ON t.id = e.transaction_id
         WHERE a.code LIKE 'seller:%:debt:%'
           AND t.kind NOT IN ('request_refund', 'open_dispute', 'unconvert', 'adjust', 'reversal',
                              'partial_reversal')""",
}

# Where these verbs' transactions come from: rows of (book, reference).
CAUSES: Final = """
               SELECT r.book_id, 'request_refund:' || $REFUND FROM payments_refund r WHERE r.order_id IS NOT NULL
                UNION ALL
               SELECT r.book_id, 'cancel_refund:' || $REFUND FROM payments_refund r
                WHERE r.order_id IS NOT NULL AND r.status = 'failed' AND r.settled_at IS NULL
                UNION ALL
               SELECT o.book_id, 'release:' || $ORDER FROM payments_paymentorder o WHERE o.released_at IS NOT NULL
                UNION ALL
               SELECT o.book_id, v.verb || ':' || $ORDER
                 FROM payments_reservehold h JOIN payments_paymentorder o ON o.id = h.order_id
                CROSS JOIN unnest(ARRAY['hold_reserve', 'free_reserve']) AS v (verb)
                WHERE v.verb = 'hold_reserve' OR h.freed_at IS NOT NULL
                UNION ALL
               SELECT q.book_id, 'convert:' || $QUOTE FROM wallet_quote q WHERE q.executed_at IS NOT NULL
                UNION ALL
               SELECT r.book_id, v.verb || $REFUND
                 FROM payments_refund r JOIN payments_orderconversion x ON x.order_id = r.order_id
                CROSS JOIN unnest(ARRAY['unconvert:', 'reconvert:']) AS v (verb)
                WHERE x.quote_id IS NOT NULL AND (v.verb = 'unconvert:' OR r.status = 'failed')
                UNION ALL
               SELECT d.book_id, v.verb || $DISPUTE || ':' || p.position || v.ending
                 FROM payments_disputepart p JOIN payments_dispute d ON d.id = p.dispute_id
                 JOIN payments_orderconversion x ON x.order_id = p.order_id
                CROSS JOIN (VALUES ('unconvert:', ''), ('reconvert:', ''), ('reconvert:', ':regained'))
                   AS v (verb, ending)
                WHERE x.quote_id IS NOT NULL AND (v.verb = 'unconvert:' OR p.returned_minor + p.regained_minor > 0)"""
KINDS: Final = "'request_refund', 'cancel_refund', 'release', 'hold_reserve', 'free_reserve'"

WARNINGS: Final[dict[str, str]] = {
    "refund_needs_a_person": """
        SELECT 'refund ' || id || ' is ' || status || ': a person decides since ' || attention_at
          FROM payments_refund WHERE attention_at IS NOT NULL""",
}
