"""Differences of charges: what buyers paid, at the PSP and with us."""

from __future__ import annotations

from typing import Final

# What an object has on both sides, and it is not the same. Rounding is at most half a unit for each line, and one unit.
BOTH_SIDES: Final = """
WITH l AS (SELECT flow, match_key, count(*) AS n, sum(gross_minor) AS amount, min(currency) AS currency,
                  count(DISTINCT currency) AS currencies, array_agg(id ORDER BY id) AS ids,
                  min(paid_currency) AS paid_currency, sum(paid_minor) AS paid
             FROM reconciliation_open_line WHERE match_key <> '' GROUP BY 1, 2),
     i AS (SELECT flow, reference, count(*) AS n, sum(amount_minor) AS amount, min(currency) AS currency,
                  array_agg(id ORDER BY id) AS ids, min(subject_kind) AS kind, min(subject_id) AS subject
             FROM reconciliation_open_item GROUP BY 1, 2)
SELECT CASE WHEN l.currencies > 1 THEN 'A05'
            WHEN l.currency <> i.currency AND l.paid_currency = i.currency AND l.paid = abs(i.amount) THEN 'C02'
            WHEN l.currency <> i.currency THEN 'A05'
            WHEN i.flow = 'charge' AND l.n > 1 AND l.amount = 0 THEN 'A07'
            WHEN abs(l.amount - i.amount) <= greatest(1, l.n / 2) THEN 'C01'
            WHEN l.n > i.n AND l.amount = i.amount * l.n / i.n AND i.flow = 'charge' THEN 'A09'
            ELSE 'A04' END AS code,
       'psp' AS leg, i.reference AS key,
       i.currency, CASE WHEN l.currency = i.currency THEN l.amount - i.amount ELSE -i.amount END AS amount,
       i.reference, format('%%s: %%s %%s outside, %%s %%s here', i.flow, l.amount, l.currency, i.amount, i.currency)
       AS detail, l.ids AS line_ids, i.ids AS item_ids,
       jsonb_build_object('flow', i.flow, 'outside', l.amount, 'outside_currency', l.currency, 'ours', i.amount,
                          'lines', l.n, 'subject', i.kind, 'subject_id', i.subject) AS evidence
  FROM l JOIN i ON i.flow = l.flow AND i.reference = l.match_key
"""

# A charge at the PSP without an open item here. What we wrote on it leads to the operation that made it.
_ONLY_OUTSIDE: Final = """
WITH l AS (SELECT coalesce(nullif(match_key, ''), key) AS of, currency, sum(gross_minor) AS amount,
                  array_agg(id ORDER BY id) AS ids, min(category) AS category, max(own_reference) AS own,
                  max(charge_reference) AS charge_reference, min(booked_on) AS day
             FROM reconciliation_open_line l
            WHERE flow = 'charge' AND NOT EXISTS (SELECT 1 FROM reconciliation_open_item i
                                                   WHERE i.flow = 'charge' AND i.reference = l.match_key)
            GROUP BY 1, 2)
SELECT CASE WHEN l.amount < 0 AND l.category LIKE '%%partial_capture%%' THEN 'A18'
            WHEN l.amount < 0 AND c.captured_minor > 0 THEN 'A07'
            WHEN coalesce(c.captured_minor, 0) > 0 OR coalesce(named.captured_minor, 0) > 0
                 AND named.psp_id IS DISTINCT FROM l.of THEN 'A09'
            WHEN c.id IS NOT NULL OR named.id IS NOT NULL THEN 'A06'
            ELSE 'A02' END AS code,
       'psp' AS leg, l.of AS key, l.currency, l.amount, l.of AS reference,
       CASE WHEN c.id IS NOT NULL THEN format('a %%s of %%s; our charge is %%s', l.category, l.amount, c.status)
            WHEN named.id IS NOT NULL
            THEN format('a %%s of %%s for our charge %%s, which is %%s', l.category, l.amount, named.id, named.status)
            ELSE format('a %%s of %%s that no payment of ours knows', l.category, l.amount) END AS detail,
       l.ids AS line_ids, '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', 'charge', 'object', l.of, 'charge_id', coalesce(c.id, named.id),
                          'status', coalesce(c.status, named.status), 'own_reference', l.own) AS evidence
  FROM l
  JOIN reconciliation_source s ON s.id = %(source)s
  LEFT JOIN payments_charge c ON c.psp_account_id = s.psp_account_id AND c.psp_id = l.of
  LEFT JOIN LATERAL (
        SELECT n.id, n.status, n.captured_minor, n.psp_id FROM payments_pspoperation o
          JOIN payments_charge n ON n.id = o.charge_id
         WHERE l.own <> '' AND o.public_id::text = l.own AND o.psp_account_id = s.psp_account_id LIMIT 1) named ON true
"""

# What we booked and nobody outside has in time. Another booked charge of the same payment: it was one too many.
_ONLY_HERE: Final = """
SELECT CASE WHEN i.subject_kind = 'charge' AND EXISTS (
                 SELECT 1 FROM payments_charge c JOIN payments_charge twin ON twin.event_id = c.event_id
                   JOIN reconciliation_item t ON t.subject_kind = 'charge' AND t.subject_id = twin.id
                   JOIN reconciliation_match m ON m.item_id = t.id AND m.undone_at IS NULL
                  WHERE c.id = i.subject_id AND twin.id <> c.id AND twin.captured_minor = c.captured_minor
                    AND (SELECT e.charge_mode FROM payments_paymentevent e WHERE e.id = c.event_id) = 'single')
            THEN 'A08'
            WHEN i.flow IN ('transfer', 'transfer_reversal') THEN 'B11'
            WHEN i.flow IN ('refund', 'refund_failure') THEN 'A13' ELSE 'A03' END AS code,
       'psp' AS leg, i.reference AS key, i.currency, -sum(i.amount_minor) AS amount, i.reference,
       format('%%s of %%s, expected by %%s', i.flow, sum(i.amount_minor), min(i.expected_by)) AS detail,
       '{}'::bigint[] AS line_ids, array_agg(i.id ORDER BY i.id) AS item_ids,
       jsonb_build_object('flow', i.flow, 'subject', i.subject_kind, 'subject_id', i.subject_id,
                          'expected_by', min(i.expected_by)) AS evidence
  FROM reconciliation_open_item i
 WHERE i.expected_by < %(day)s
   AND NOT EXISTS (SELECT 1 FROM reconciliation_open_line l WHERE l.flow = i.flow AND l.match_key = i.reference)
 GROUP BY i.flow, i.reference, i.currency, i.subject_kind, i.subject_id
"""

# What the PSP took for a charge against what its contract says; the fixed part is a whole number of minor units.
_FEES: Final = """
SELECT 'A10' AS code, 'fee' AS leg, l.key, l.currency, -(l.fee_minor - f.fee) AS amount, l.reference,
       format('fee %%s, by contract %%s', l.fee_minor, f.fee) AS detail, '{}'::bigint[] AS line_ids,
       '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', 'fee', 'line', l.id, 'billed', l.fee_minor, 'contract', f.fee) AS evidence
  FROM reconciliation_source s
  JOIN reconciliation_match m ON m.source_id = s.id AND m.run_id = %(run)s AND m.undone_at IS NULL
  JOIN reconciliation_statementline l ON l.id = m.line_id AND l.flow = 'charge' AND l.gross_minor > 0
 CROSS JOIN LATERAL (
       SELECT round(l.gross_minor * (s.fee_schedule #>> ARRAY[l.currency::text,
         'basis_points'])::numeric / 10000)::bigint
              + coalesce((s.fee_schedule #>> ARRAY[l.currency::text, 'fixed_minor'])::bigint, 0) AS fee) f
 WHERE s.id = %(source)s AND s.fee_schedule <> '{}' AND s.fee_schedule ? l.currency AND abs(l.fee_minor - f.fee) > 1
"""

QUESTIONS: Final = (BOTH_SIDES, _ONLY_OUTSIDE, _ONLY_HERE, _FEES)
