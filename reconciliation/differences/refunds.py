"""Differences of refunds: what went back to buyers."""

from __future__ import annotations

from typing import Final

# A refund, or the failure of one, at the PSP without an open item here.
_ONLY_OUTSIDE: Final = """
WITH l AS (SELECT flow, coalesce(nullif(match_key, ''), key) AS of, currency, sum(gross_minor) AS amount,
                  array_agg(id ORDER BY id) AS ids, max(own_reference) AS own, max(charge_reference) AS charge_reference
             FROM reconciliation_open_line l
            WHERE flow IN ('refund', 'refund_failure')
              AND NOT EXISTS (SELECT 1 FROM reconciliation_open_item i
                               WHERE i.flow = l.flow AND i.reference = l.match_key)
            GROUP BY 1, 2, 3),
     known AS (
        SELECT l.*, c.id AS charge_id, c.captured_minor, r.id AS refund_id, r.status, r.settled_at
          FROM l
          JOIN reconciliation_source s ON s.id = %(source)s
          LEFT JOIN payments_charge c ON c.psp_account_id = s.psp_account_id AND c.psp_id = l.charge_reference
          LEFT JOIN LATERAL (
                SELECT r.id, r.status, r.settled_at FROM payments_refund r
                 WHERE r.charge_id = c.id AND r.psp_id = l.of
                 UNION ALL
                SELECT r.id, r.status, r.settled_at FROM payments_pspoperation o JOIN payments_refund r
                  ON r.id = o.refund_id
                 WHERE l.own <> '' AND o.public_id::text = l.own AND o.psp_account_id = s.psp_account_id
                 LIMIT 1) r ON true)
SELECT CASE WHEN k.flow = 'refund_failure' THEN 'A14'
            WHEN k.charge_id IS NOT NULL AND (
                 SELECT -sum(x.gross_minor) FROM reconciliation_statementline x
                  WHERE x.source_id = %(source)s AND x.flow IN ('refund', 'refund_failure')
                    AND x.charge_reference = k.charge_reference) > k.captured_minor THEN 'A15'
            WHEN k.refund_id IS NOT NULL AND k.status <> 'succeeded' THEN 'A06'
            ELSE 'A12' END AS code,
       'psp' AS leg, k.of AS key, k.currency, k.amount, k.of AS reference,
       CASE WHEN k.refund_id IS NOT NULL THEN format('a %%s of %%s; our refund is %%s', k.flow, k.amount, k.status)
            ELSE format('a %%s of %%s that we did not make', k.flow, k.amount) END AS detail,
       k.ids AS line_ids, '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', k.flow, 'object', k.of, 'charge', k.charge_reference, 'charge_id', k.charge_id,
                          'refund_id', k.refund_id, 'status', k.status) AS evidence
  FROM known k
"""

QUESTIONS: Final = (_ONLY_OUTSIDE,)
