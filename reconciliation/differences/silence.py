"""Differences that no line shows: what was asked for and never came, and what nobody can place."""

from __future__ import annotations

from typing import Final

# A refund that was asked for and that no statement has, after the time that a movement may take.
_REFUNDS_NOT_MADE: Final = """
SELECT 'A13' AS code, 'psp' AS leg, coalesce(r.psp_id, 'refund ' || r.id) AS key, r.currency,
       r.amount_minor AS amount, coalesce(r.psp_id, 'refund ' || r.id) AS reference,
       format('a refund of %%s, asked for on %%s and not paid', r.amount_minor,
         (r.created_at AT TIME ZONE %(zone)s)::date)
       AS detail, '{}'::bigint[] AS line_ids, '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', 'refund', 'object', r.psp_id, 'refund_id', r.id, 'charge_id', c.id) AS evidence
  FROM reconciliation_source s
  JOIN payments_charge c ON c.psp_account_id = s.psp_account_id
  JOIN payments_refund r ON r.charge_id = c.id AND r.status = 'pending' AND r.stored_value_of IS NULL
 WHERE s.id = %(source)s AND (r.created_at AT TIME ZONE %(zone)s)::date < %(due_since)s
   AND NOT EXISTS (SELECT 1 FROM reconciliation_statementline l
                    WHERE l.source_id = s.id AND l.reference = r.psp_id AND l.flow = 'refund')
"""

# A payment that neither side ends. The PSP is asked; a person chases it.
_STUCK: Final = """
SELECT 'A21' AS code, 'status' AS leg, coalesce(c.psp_id, 'charge ' || c.id) AS key, c.currency, 0::bigint AS amount,
       coalesce(c.psp_id, 'charge ' || c.id) AS reference,
       format('our charge is %%s since %%s', c.status, (c.created_at AT TIME ZONE %(zone)s)::date) AS detail,
       '{}'::bigint[] AS line_ids, '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', 'charge', 'object', c.psp_id, 'charge_id', c.id, 'status', c.status) AS evidence
  FROM reconciliation_source s
  JOIN payments_charge c ON c.psp_account_id = s.psp_account_id AND c.status = 'PROCESSING'
 WHERE s.id = %(source)s AND (c.created_at AT TIME ZONE %(zone)s)::date < %(stuck_since)s
   AND NOT EXISTS (SELECT 1 FROM reconciliation_open_line l WHERE l.flow = 'charge' AND l.match_key = c.psp_id)
"""

# A notification that was given up: about an object that is not ours. Uses index: notification_dead.
_ORPHANS: Final = """
SELECT 'A20' AS code, 'notification' AS leg, n.object_psp_id AS key, NULL::text AS currency, 0::bigint AS amount,
       n.object_psp_id AS reference, format('%%s: %%s', n.type, n.result) AS detail, '{}'::bigint[] AS line_ids,
       '{}'::bigint[] AS item_ids,
       jsonb_build_object('flow', n.object_kind, 'object', n.object_psp_id, 'notification', n.id) AS evidence
  FROM reconciliation_source s
  JOIN payments_pspnotification n ON n.psp_account_id = s.psp_account_id AND n.object_psp_id <> ''
                                 AND n.dead_at IS NOT NULL
 WHERE s.id = %(source)s AND (n.received_at AT TIME ZONE %(zone)s)::date >= %(orphans_since)s
   AND NOT EXISTS (SELECT 1 FROM payments_charge c
                    WHERE c.psp_account_id = s.psp_account_id AND c.psp_id = n.object_psp_id)
"""

QUESTIONS: Final = (_REFUNDS_NOT_MADE, _STUCK, _ORPHANS)
