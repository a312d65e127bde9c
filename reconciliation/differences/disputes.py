"""Differences of disputes: what banks took back from us, and gave us again."""

from __future__ import annotations

from typing import Final

_ONLY_OUTSIDE: Final = """
WITH l AS (SELECT flow, coalesce(nullif(match_key, ''), key) AS of, currency, sum(gross_minor) AS amount,
                  array_agg(id ORDER BY id) AS ids, max(charge_reference) AS charge_reference
             FROM reconciliation_open_line l
            WHERE flow IN ('dispute', 'dispute_reversal')
              AND NOT EXISTS (SELECT 1 FROM reconciliation_open_item i
                               WHERE i.flow = l.flow AND i.reference = l.match_key)
            GROUP BY 1, 2, 3)
SELECT CASE l.flow WHEN 'dispute' THEN 'A16' ELSE 'A17' END AS code,
       'psp' AS leg, l.of || ':' || l.flow AS key, l.currency, l.amount, l.of AS reference,
       CASE WHEN d.id IS NULL THEN format('a %%s of %%s that we do not know', l.flow, l.amount)
            ELSE format('a %%s of %%s; our dispute is %%s', l.flow, l.amount, d.status) END AS detail,
       l.ids AS line_ids, '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', l.flow, 'object', l.of, 'charge', l.charge_reference, 'dispute_id', d.id,
                          'status', d.status) AS evidence
  FROM l
  JOIN reconciliation_source s ON s.id = %(source)s
  LEFT JOIN payments_dispute d ON d.psp_account_id = s.psp_account_id AND d.psp_id = l.of
"""

QUESTIONS: Final = (_ONLY_OUTSIDE,)
