"""Differences at a bank: payouts of PSPs that arrive, transfers of ours that leave, what the bank does by itself."""

from __future__ import annotations

from typing import Final

# A credit that names a payout and has another amount.
_SHORT: Final = """
SELECT 'B03' AS code, 'bank' AS leg, i.reference AS key, i.currency, l.gross_minor - i.amount_minor AS amount,
  i.reference,
       format('payout of %%s arrived as %%s', i.amount_minor, l.gross_minor) AS detail, ARRAY[l.id] AS line_ids,
       ARRAY[i.id] AS item_ids,
       jsonb_build_object('flow', 'credit', 'object', i.reference, 'expected', i.amount_minor, 'arrived', l.gross_minor)
       AS evidence
  FROM reconciliation_open_item i
  JOIN reconciliation_open_line l ON l.flow = 'credit' AND l.currency = i.currency AND l.gross_minor <> i.amount_minor
       AND (i.reference IN (l.reference, l.own_reference, l.batch) OR position(i.reference IN l.text) > 0)
 WHERE i.flow = 'credit'
"""

_MISSING: Final = """
SELECT CASE i.subject_kind WHEN 'psp_payout' THEN 'B02' ELSE 'B11' END AS code, 'bank' AS leg, i.reference AS key,
       i.currency, -i.amount_minor AS amount, i.reference,
       format('%%s of %%s, expected by %%s', i.flow, i.amount_minor, i.expected_by) AS detail,
       '{}'::bigint[] AS line_ids, ARRAY[i.id] AS item_ids,
       jsonb_build_object('flow', i.flow, 'subject', i.subject_kind, 'subject_id', i.subject_id,
                          'expected_by', i.expected_by) AS evidence
  FROM reconciliation_open_item i
 WHERE i.expected_by < %(day)s
   AND NOT EXISTS (SELECT 1 FROM reconciliation_open_line l
                    WHERE l.flow = i.flow AND l.currency = i.currency
                      AND (i.reference IN (l.reference, l.own_reference,
                        l.batch) OR position(i.reference IN l.text) > 0))
"""

# A transfer of ours that left a second time, or whose account is not the one that we named.
_TRANSFERS: Final = """
SELECT CASE WHEN m.id IS NOT NULL THEN 'B11' ELSE 'A04' END AS code, 'bank' AS leg,
       i.reference || CASE WHEN m.id IS NOT NULL THEN ':' || l.key ELSE '' END AS key, l.currency,
       CASE WHEN m.id IS NOT NULL THEN l.gross_minor ELSE l.gross_minor - i.amount_minor END AS amount, i.reference,
       CASE WHEN m.id IS NOT NULL THEN format('transfer of %%s left a second time', l.gross_minor)
            ELSE format('transfer of %%s left as %%s', i.amount_minor, l.gross_minor) END AS detail,
       ARRAY[l.id] AS line_ids, CASE WHEN m.id IS NULL THEN ARRAY[i.id] ELSE '{}'::bigint[] END AS item_ids,
       jsonb_build_object('flow', l.flow, 'object', i.reference, 'subject', i.subject_kind, 'subject_id', i.subject_id)
       AS evidence
  FROM reconciliation_open_line l
  JOIN reconciliation_item i ON i.source_id = l.source_id AND i.flow = 'debit' AND i.reference = l.match_key
  LEFT JOIN reconciliation_match m ON m.item_id = i.id AND m.undone_at IS NULL
 WHERE l.flow = 'debit' AND l.own_reference <> ''
"""

# The payee's account on the entry is not the one of the order that was matched with it.
_PAYEES: Final = """
SELECT 'B12' AS code, 'payee' AS leg, i.reference AS key, l.currency, l.gross_minor AS amount, i.reference,
       'the account on the entry is not the one that we named' AS detail, ARRAY[]::bigint[] AS line_ids,
       ARRAY[]::bigint[] AS item_ids,
       jsonb_build_object('flow', l.flow, 'line', l.id, 'subject', i.subject_kind, 'subject_id',
         i.subject_id) AS evidence
  FROM reconciliation_match m
  JOIN reconciliation_statementline l ON l.id = m.line_id AND l.counterparty <> ''
  JOIN reconciliation_item i ON i.id = m.item_id AND i.counterparty <> '' AND i.counterparty <> l.counterparty
 WHERE m.source_id = %(source)s AND m.run_id = %(run)s AND m.undone_at IS NULL
"""

# What the bank took back or gave twice: a reversal by its own word, or the twin of an entry that is matched.
_REVERSALS: Final = """
SELECT 'B06' AS code, 'bank' AS leg, l.key, l.currency, l.gross_minor AS amount,
       coalesce(nullif(l.reference, ''), l.key) AS reference,
       CASE WHEN l.category ILIKE ANY (ARRAY['%%reversal%%', '%%RVSL%%']) THEN format('reversal of %%s', l.gross_minor)
            ELSE format('%%s again: an entry like it is matched', l.gross_minor) END AS detail,
       ARRAY[l.id] AS line_ids, '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', l.flow, 'object', l.reference, 'category', l.category) AS evidence
  FROM reconciliation_open_line l
 WHERE l.flow IN ('credit', 'debit')
   AND (l.category ILIKE ANY (ARRAY['%%reversal%%', '%%RVSL%%'])
        OR EXISTS (SELECT 1 FROM reconciliation_statementline t
                     JOIN reconciliation_match m ON m.line_id = t.id AND m.undone_at IS NULL AND m.item_id IS NOT NULL
                    WHERE t.source_id = l.source_id AND t.flow = l.flow AND t.currency = l.currency
                      AND t.gross_minor = l.gross_minor AND t.text = l.text AND t.text <> '' AND t.id <> l.id
                      AND t.own_reference = l.own_reference))
"""

# Everything else that an entry of a bank can be.
_BY_ITSELF: Final = """
SELECT CASE l.flow WHEN 'fee' THEN 'B07' WHEN 'interest' THEN 'B07' WHEN 'return' THEN 'B05' ELSE 'B04' END AS code,
       'bank' AS leg, l.key, l.currency, l.gross_minor - l.fee_minor AS amount,
       coalesce(nullif(l.own_reference, ''), nullif(l.reference, ''), l.key) AS reference,
       format('%%s of %%s', l.category, l.gross_minor - l.fee_minor) AS detail, ARRAY[l.id] AS line_ids,
       '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', l.flow, 'object', l.own_reference, 'category', l.category) AS evidence
  FROM reconciliation_open_line l
"""

QUESTIONS: Final = (_SHORT, _TRANSFERS, _PAYEES, _REVERSALS, _MISSING, _BY_ITSELF)
