"""Checks of what sellers have and owe: floors, debts, conversions. Run by `invariants` with its own.

Each is SQL that returns what is wrong, with the names of `invariants` filled in. They only read.
"""

from __future__ import annotations

from typing import Final

CHECKS: Final[dict[str, str]] = {
    # No wallet is ever below zero: what a seller cannot cover is on its debt account, by name. Floors are not lowered.
    "wallet_is_never_below_zero": """
        SELECT 'account ' || a.code || ' is at ' || x.net || ', its floor is ' || coalesce(b.floor::text, 'none')
          FROM ledger_account a
          LEFT JOIN ledger_balance b ON b.account_id = a.id
         CROSS JOIN LATERAL (SELECT coalesce(CASE WHEN b.debit_normal THEN b.debits - b.credits
                                                  ELSE b.credits - b.debits END, 0) AS net) x
         WHERE (a.code LIKE 'seller:%' OR a.code LIKE 'buyer:%')
           AND (a.mode <> 'authorizing' OR b.floor IS DISTINCT FROM 0 OR x.net < 0)""",
    # Each debt of a refund or a dispute is the one that its row names, and only what gives to sellers takes it off.
    "debt_is_explained": """
        SELECT coalesce(e.reference, c.reference) || ' put ' || coalesce(e.amount, 0) || ' on '
               || coalesce(e.code, c.code) || ', its row says ' || coalesce(c.amount, 0)
          FROM (SELECT t.book_id, t.reference, a.code, e.amount
                  FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id AND e.side = 'D'
                  JOIN ledger_transaction t ON t.id = e.transaction_id
                 WHERE a.code LIKE 'seller:%:debt:%' AND t.kind IN ('request_refund', 'open_dispute')) e
          FULL JOIN (
                SELECT r.book_id, 'request_refund:' || $REFUND AS reference,
                       'seller:' || $SELLER || ':debt:' || r.currency AS code, r.from_debt_minor AS amount
                  FROM payments_refund r JOIN payments_paymentorder o ON o.id = r.order_id
                  JOIN payments_seller s ON s.id = o.seller_id WHERE r.from_debt_minor > 0
                 UNION ALL
                SELECT d.book_id, 'open_dispute:' || $DISPUTE || ':' || p.position,
                       'seller:' || $SELLER || ':debt:' || d.currency, p.debt_minor
                  FROM payments_disputepart p JOIN payments_dispute d ON d.id = p.dispute_id
                  JOIN payments_paymentorder o ON o.id = p.order_id JOIN payments_seller s ON s.id = o.seller_id
                 WHERE p.debt_minor > 0) c USING (book_id, reference, code)
         WHERE e.amount IS DISTINCT FROM c.amount
         UNION ALL
        SELECT 'transaction ' || t.id || ' ' || t.reference || ' of kind ' || t.kind || ' took ' || e.amount
               || ' off ' || a.code
          FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id AND e.side = 'C'
          JOIN ledger_transaction t ON t.id = e.transaction_id
         WHERE a.code LIKE 'seller:%:debt:%'
           AND t.kind NOT IN ('release', 'free_reserve', 'cancel_refund', 'win_dispute', 'regain_dispute', 'convert',
                              'reconvert', 'adjust', 'write_off', 'reversal', 'partial_reversal')""",
    # The figures of a quote follow from its rate, each rounded to the nearest by itself.
    "quote_follows_its_rate": """
        SELECT 'quote ' || q.id || ' makes of ' || q.amount_minor || ' ' || q.currency || ' ' || q.mid_minor || ' '
               || q.to_currency || ' at the rate, ' || q.received_minor || ' received and ' || q.margin_minor
               || ' margin; exactly it is ' || round(x.above / x.below, 4)
          FROM wallet_quote q JOIN ledger_currency f ON f.code = q.currency
          JOIN ledger_currency t ON t.code = q.to_currency
         CROSS JOIN LATERAL (SELECT q.amount_minor * q.rate_numerator * 10::numeric ^ t.exponent AS above,
                                    q.rate_denominator * 10::numeric ^ f.exponent AS below) x
         WHERE 2 * abs(q.mid_minor * x.below - x.above) > x.below
            OR 2 * abs(10000 * q.received_minor * x.below - x.above * (10000 - q.margin_basis_points))
               > 10000 * x.below
            OR 2 * abs(10000 * q.margin_minor * x.below - x.above * q.margin_basis_points) > 10000 * x.below""",
    # An executed quote was booked once, to the minor unit, and no other was.
    "conversion_is_its_quote": """
        SELECT 'quote ' || q.id || ' changes ' || q.amount_minor || ' ' || q.currency || ' into ' || q.received_minor
               || ' ' || q.to_currency || ', margin ' || q.margin_minor || ', rounding ' || q.rounding_minor
               || '; the books have ' || coalesce(x.sold || ', ' || x.bought || ', ' || x.margin || ' and '
               || x.rounding || ' of ' || x.mid, 'nothing')
          FROM wallet_quote q
          LEFT JOIN ledger_transaction t ON t.book_id = q.book_id AND t.reference = 'convert:' || $QUOTE
          LEFT JOIN LATERAL (
               SELECT coalesce(sum(e.amount) FILTER (WHERE e.side = 'D' AND b.code =
                          'seller:' || $QUOTED || ':available:' || q.currency), 0) AS sold,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C' AND b.code =
                          'fx:clearing:' || q.currency), 0) AS through,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'D' AND b.code =
                          'fx:clearing:' || q.to_currency), 0) AS mid,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C' AND b.code IN (
                          'seller:' || $QUOTED || ':available:' || q.to_currency,
                          'seller:' || $QUOTED || ':debt:' || q.to_currency)), 0) AS bought,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C' AND b.code =
                          'fees:fx:' || q.to_currency), 0) AS margin,
                      coalesce(sum(CASE e.side WHEN 'C' THEN e.amount ELSE -e.amount END) FILTER (
                          WHERE b.code = 'rounding:' || q.to_currency), 0) AS rounding
                 FROM ledger_entry e JOIN ledger_account b ON b.id = e.account_id
                WHERE e.transaction_id = t.id) x ON t.id IS NOT NULL
         WHERE (q.executed_at IS NOT NULL) <> (t.id IS NOT NULL)
            OR t.id IS NOT NULL AND (x.sold, x.through, x.mid, x.bought, x.margin, x.rounding) IS DISTINCT FROM
               (q.amount_minor, q.amount_minor, q.mid_minor, q.received_minor, q.margin_minor, q.rounding_minor)""",
    # What was changed back of a quote is what refunds and disputes took of it, booked at its own rate.
    "conversion_is_undone_as_booked": """
        SELECT 'quote ' || q.id || ' says ' || q.undone_minor || ' ' || q.currency || ' changed back for '
               || q.undone_received_minor || ' ' || q.to_currency || ' and ' || q.undone_margin_minor
               || ' margin; refunds and disputes say ' || coalesce(c.changed, 0) || ', the books ' || x.back || ' for '
               || x.given
          FROM wallet_quote q
          LEFT JOIN payments_orderconversion v ON v.quote_id = q.id
          LEFT JOIN LATERAL (
               SELECT sum(y.amount) AS changed, array_agg(y.reference) AS names
                 FROM (SELECT r.changed_back_minor AS amount, 'unconvert:' || $REFUND AS reference
                         FROM payments_refund r WHERE r.order_id = v.order_id
                       UNION ALL
                       SELECT 0, 'reconvert:' || $REFUND FROM payments_refund r WHERE r.order_id = v.order_id
                       UNION ALL
                       SELECT p.changed_back_minor, 'unconvert:' || $DISPUTE || ':' || p.position
                         FROM payments_disputepart p JOIN payments_dispute d ON d.id = p.dispute_id
                        WHERE p.order_id = v.order_id
                       UNION ALL
                       SELECT 0, 'reconvert:' || $DISPUTE || ':' || p.position || w.ending
                         FROM payments_disputepart p JOIN payments_dispute d ON d.id = p.dispute_id
                        CROSS JOIN (VALUES (''), (':regained')) AS w (ending)
                        WHERE p.order_id = v.order_id) y) c ON true
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(s.signed) FILTER (WHERE b.code =
                          'seller:' || $QUOTED || ':available:' || q.currency), 0) AS back,
                      -coalesce(sum(s.signed) FILTER (WHERE b.code IN (
                          'seller:' || $QUOTED || ':available:' || q.to_currency,
                          'seller:' || $QUOTED || ':debt:' || q.to_currency,
                          'fees:fx:' || q.to_currency)), 0) AS given,
                      -coalesce(sum(s.signed) FILTER (WHERE b.code = 'fees:fx:' || q.to_currency), 0) AS margin,
                      -coalesce(sum(s.signed) FILTER (WHERE b.code = 'rounding:' || q.to_currency), 0) AS rounding
                 FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
                 JOIN ledger_account b ON b.id = e.account_id
                CROSS JOIN LATERAL (SELECT CASE e.side WHEN 'C' THEN e.amount ELSE -e.amount END AS signed) s
                WHERE t.book_id = q.book_id AND t.reference = ANY (c.names)) x
         WHERE (q.undone_minor, q.undone_minor, q.undone_received_minor + q.undone_margin_minor,
                q.undone_margin_minor - q.undone_kept_minor, q.undone_rounding_minor)
               IS DISTINCT FROM (coalesce(c.changed, 0), x.back, x.given, x.margin, x.rounding)""",
}
