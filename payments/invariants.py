"""Checks that payments, wallets and books tell one story. Each returns violations; an empty list means it holds.

They compare tables that are written by different code (orders, ledger entries, outbox, history), so a bug in one of
them shows up here. Run them in one snapshot (`verify_books` does): between two snapshots a payment may have moved.
They only read; nothing here repairs anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from django.db import connection

from ledger.invariants import LIMIT, Violation
from payments import bank_checks, refund_checks, wallet_checks
from payments.appliers import statuses
from payments.models import Charge, PaymentOrder

# How long a due row may wait before it counts as stuck: the sweeper looks every few seconds.
STUCK_AFTER = "15 minutes"
# Promise 4: an unknown outcome is resolved or in front of a person by then.
UNKNOWN_AFTER = "30 minutes"


def written(prefix: str, column: str) -> str:
    """Return SQL that writes a UUID as `ledger.ids.public_id` does."""
    return Template(
        "('$prefix' || '_' || (SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',"
        " 1 + substring(w.bits FROM 1 + 5 * i FOR 5)::bit(5)::int, 1), '' ORDER BY i)"
        " FROM (SELECT B'00' || ('x' || replace($column::text, '-', ''))::bit(128) AS bits) w,"
        " generate_series(0, 25) AS i))"
    ).substitute(prefix=prefix, column=column)


_NAMES = {
    "ORDER": written("ord", "o.public_id"),
    "CHARGE": written("chg", "c.public_id"),
    "REFUND": written("rfd", "r.public_id"),
    "QUOTE": written("quo", "q.public_id"),
    "QUOTED": written("sel", "q.seller"),
    "DISPUTE": written("dsp", "d.public_id"),
    "SELLER": written("sel", "s.public_id"),
    "PAYOUT": written("pyo", "p.public_id"),
    "PAYER": written("buy", "o.top_up_of"),
    "KEEPER": written("buy", "r.stored_value_of"),
    "BUYER": written("buy", "c.stored_value_of"),
    # Every account that a wallet should have, by code: computed once per wallet and part, then joined by equality.
    "WALLET_ACCOUNTS": Template(
        "SELECT w.id, w.book_id, w.seller, w.currency, part,"
        " 'seller:' || n.name || ':' || part || ':' || w.currency AS code"
        " FROM wallet_wallet w CROSS JOIN LATERAL (SELECT $name AS name OFFSET 0) n"
        " CROSS JOIN unnest(ARRAY['pending', 'available', 'reserved', 'in_transit', 'debt']) AS part OFFSET 0"
    ).substitute(name=written("sel", "w.seller")),
    "KINDS_OF_REFUNDS": refund_checks.KINDS,
    "STUCK": STUCK_AFTER,
    "UNKNOWN": UNKNOWN_AFTER,
}
_NAMES["CAUSES_OF_REFUNDS"] = Template(refund_checks.CAUSES).substitute(_NAMES)

_CHECKS: dict[str, str] = {
    # An order is SUCCESS exactly when one transaction booked its captured amount to the right accounts.
    "success_is_posted_once": """
        SELECT 'order ' || o.id || ' is ' || o.status || ' with ' || o.captured_minor || ' captured, fee '
               || o.fee_minor || '; the books have '
               || coalesce(p.clearing || ' = ' || p.share || ' + ' || p.fee || ' in ' || p.legs || ' legs', 'nothing')
          FROM payments_paymentorder o
          JOIN payments_charge c ON c.id = o.charge_id
          JOIN payments_pspaccount a ON a.id = c.psp_account_id
          JOIN payments_seller s ON s.id = o.seller_id
         CROSS JOIN LATERAL (
               SELECT CASE WHEN o.top_up_of IS NOT NULL THEN 'stored_top_up'
                           WHEN c.stored_value_of IS NULL THEN 'settle_charge' ELSE 'stored_pay' END AS verb,
                      CASE WHEN o.top_up_of IS NULL THEN 'seller:' || $SELLER || ':pending:' || o.currency
                           ELSE 'buyer:' || $PAYER || ':stored:' || o.currency END AS target,
                      CASE WHEN c.stored_value_of IS NULL THEN 'psp:' || a.code || ':clearing:' || o.currency
                           ELSE 'buyer:' || $BUYER || ':stored:' || o.currency END AS source) v
          LEFT JOIN ledger_transaction t ON t.book_id = o.book_id AND t.reference = v.verb || ':' || $ORDER
          LEFT JOIN LATERAL (
               SELECT count(*) AS legs,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'D' AND b.code = v.source), 0) AS clearing,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C' AND b.code = v.target), 0) AS share,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C' AND b.code =
                          'fees:platform:' || o.currency), 0) AS fee
                 FROM ledger_entry e JOIN ledger_account b ON b.id = e.account_id
                WHERE e.transaction_id = t.id) p ON t.id IS NOT NULL
         WHERE (o.status = 'SUCCESS') <> (t.id IS NOT NULL)
            OR t.id IS NOT NULL AND (
               t.kind <> v.verb
               OR (p.clearing, p.share, p.fee)
                   IS DISTINCT FROM (o.captured_minor, o.captured_minor - o.fee_minor, o.fee_minor)
               OR p.legs <> 1 + (o.captured_minor > o.fee_minor)::int + (o.fee_minor > 0)::int)""",
    "posting_has_its_cause": """
        SELECT 'transaction ' || t.id || ' ' || t.reference || ' has no cause' FROM ledger_transaction t
          LEFT JOIN (
               SELECT o.book_id, CASE WHEN o.top_up_of IS NOT NULL THEN 'stored_top_up:'
                                      WHEN c.stored_value_of IS NULL THEN 'settle_charge:' ELSE 'stored_pay:' END
                                 || $ORDER AS reference
                 FROM payments_paymentorder o JOIN payments_charge c ON c.id = o.charge_id WHERE o.status = 'SUCCESS'
                UNION ALL
               SELECT c.book_id, 'late_success:' || $CHARGE FROM payments_charge c WHERE c.status = 'LATE_SUCCESS'
                UNION ALL
               SELECT r.book_id, CASE WHEN r.stored_value_of IS NULL THEN 'settle_refund:' ELSE 'stored_refund:' END
                                 || $REFUND FROM payments_refund r WHERE r.status <> 'pending'
                UNION ALL
               SELECT r.book_id, 'refund_returned:' || $REFUND FROM payments_refund r WHERE r.status = 'failed'
                UNION ALL
               SELECT d.book_id, v.verb || ':' || $DISPUTE || ':' || p.position
                 FROM payments_disputepart p JOIN payments_dispute d ON d.id = p.dispute_id
                CROSS JOIN unnest(ARRAY['open_dispute', 'win_dispute', 'lose_dispute', 'regain_dispute']) AS v (verb)
                UNION ALL
               SELECT d.book_id, 'win_dispute:' || $DISPUTE || ':1:cost' FROM payments_dispute d
                WHERE d.cost_returned_minor > 0
                UNION ALL
               SELECT p.book_id, v.verb || ':' || $PAYOUT FROM payments_payout p,
                      unnest(ARRAY['reserve_payout', 'cancel_payout', 'fund_payout', 'pay_out', 'unpay_payout',
                                   'return_payout', 'bank_payout', 'return_bank_payout']) AS v (verb)
                UNION ALL $CAUSES_OF_REFUNDS
               ) x ON x.book_id = t.book_id AND x.reference = t.reference
         WHERE x.reference IS NULL
           AND t.kind IN ('settle_charge', 'late_success', 'settle_refund', 'refund_returned', 'open_dispute',
                          'win_dispute', 'lose_dispute', 'regain_dispute', 'reserve_payout', 'cancel_payout',
                          'fund_payout', 'pay_out', 'unpay_payout', 'return_payout', 'bank_payout',
                          'return_bank_payout', 'convert', 'unconvert',
                          'reconvert', 'stored_top_up', 'stored_pay',
                          'stored_refund', $KINDS_OF_REFUNDS)""",
    # The ledger knows nothing of proposals: whoever posts could post these kinds without one.
    "manual_journal_was_approved": """
        SELECT 'transaction ' || t.id || ' ' || t.reference || ' by ' || t.actor || ' was approved by nobody'
          FROM ledger_transaction t
         WHERE t.kind IN ('adjust', 'write_off', 'year_end_close', 'reversal', 'partial_reversal', 'withdraw_fees')
           AND NOT EXISTS (SELECT 1 FROM wallet_proposal p
                            WHERE p.transaction_id = t.id AND p.state = 'approved' AND p.checker = t.actor
                              AND p.checker <> p.maker)""",
    "flags_follow_status": """
        SELECT 'order ' || o.id || ' is ' || o.status || ', ledger_updated ' || o.ledger_updated
               || ', wallet_updated ' || o.wallet_updated || ', captured ' || o.captured_minor
          FROM payments_paymentorder o
         WHERE (o.status = 'SUCCESS') <> o.ledger_updated OR (o.status = 'SUCCESS') <> o.wallet_updated
            OR (o.status = 'SUCCESS') <> (o.captured_minor > 0)
            OR (o.status = 'SUCCESS') <> (o.succeeded_at IS NOT NULL)""",
    # A charge that gave way to another has no orders any more, and took no money.
    "charge_equals_its_orders": """
        SELECT 'charge ' || c.id || ' ' || c.status || ' is ' || c.amount_minor || ' ' || c.currency || ', captured '
               || c.captured_minor || '; its orders are ' || coalesce(x.amount, 0) || ', captured '
               || coalesce(x.captured, 0)
          FROM payments_charge c
          LEFT JOIN (SELECT o.charge_id, sum(o.amount_minor) AS amount, sum(o.captured_minor) AS captured,
                            min(o.currency) AS low, max(o.currency) AS high
                       FROM payments_paymentorder o GROUP BY o.charge_id) x ON x.charge_id = c.id
         WHERE CASE WHEN x.charge_id IS NULL
                    THEN c.cancel_reason <> 'replaced' OR c.status NOT IN ('CANCELLED', 'LATE_SUCCESS')
                    ELSE (c.amount_minor, c.currency, c.currency) IS DISTINCT FROM (x.amount, x.low, x.high)
                         OR x.captured <> CASE c.status WHEN 'SUCCEEDED' THEN c.captured_minor ELSE 0 END END
            OR (c.captured_minor > 0) <> (c.status IN ('SUCCEEDED', 'LATE_SUCCESS'))""",
    "payment_equals_its_orders": """
        SELECT 'payment ' || e.id || ' is ' || e.amount_minor || ' ' || e.currency || ', its orders sum to '
               || coalesce(sum(o.amount_minor), 0)
          FROM payments_paymentevent e LEFT JOIN payments_paymentorder o ON o.event_id = e.id
         GROUP BY e.id
        HAVING coalesce(sum(o.amount_minor), 0) <> e.amount_minor OR bool_or(o.currency <> e.currency)""",
    # Money that came too late is never silent: booked as the buyer's, with one refund on its way.
    "late_success_is_refunded": """
        SELECT 'charge ' || c.id || ' is ' || c.status || ' with ' || c.captured_minor || '; booked '
               || coalesce(e.amount, 0) || ', refund ' || coalesce(r.amount_minor, 0)
          FROM payments_charge c
          LEFT JOIN ledger_transaction t ON t.book_id = c.book_id AND t.reference = 'late_success:' || $CHARGE
          LEFT JOIN (SELECT transaction_id, sum(amount) AS amount FROM ledger_entry WHERE side = 'D'
                      GROUP BY transaction_id) e ON e.transaction_id = t.id
          LEFT JOIN payments_refund r ON r.charge_id = c.id AND r.reason = 'late_success'
         WHERE c.status = 'LATE_SUCCESS'
           AND (e.amount, r.amount_minor) IS DISTINCT FROM (c.captured_minor, c.captured_minor)""",
    "refund_is_posted_once": """
        SELECT 'refund ' || r.id || ' is ' || r.status || ' over ' || r.amount_minor || '; settled '
               || coalesce(x.settled, 0) || ', returned ' || coalesce(x.returned, 0)
          FROM payments_refund r
          LEFT JOIN LATERAL (
               SELECT sum(e.amount) FILTER (WHERE t.kind IN ('settle_refund', 'stored_refund')) AS settled,
                      sum(e.amount) FILTER (WHERE t.kind = 'refund_returned') AS returned
                 FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id AND e.side = 'D'
                WHERE t.book_id = r.book_id
                  AND t.reference IN (
                      CASE WHEN r.stored_value_of IS NULL THEN 'settle_refund:' ELSE 'stored_refund:' END || $REFUND,
                      'refund_returned:' || $REFUND)) x ON true
         WHERE CASE r.status
               WHEN 'pending' THEN x.settled IS NOT NULL OR x.returned IS NOT NULL
               WHEN 'succeeded' THEN x.settled IS DISTINCT FROM r.amount_minor OR x.returned IS NOT NULL
               ELSE x.settled IS DISTINCT FROM x.returned
                    OR x.settled IS DISTINCT FROM CASE WHEN r.settled_at IS NOT NULL THEN r.amount_minor END END
            OR (r.status = 'pending') AND r.settled_at IS NOT NULL""",
    "refunds_stay_within_capture": """
        SELECT 'charge ' || c.id || ' captured ' || c.captured_minor || ', refunds take ' || sum(r.amount_minor)
          FROM payments_refund r JOIN payments_charge c ON c.id = r.charge_id
         WHERE r.status <> 'failed' OR r.settled_at IS NOT NULL
         GROUP BY c.id HAVING sum(r.amount_minor) > c.captured_minor
         UNION ALL
        SELECT 'order ' || o.id || ' captured ' || o.captured_minor || ', refunds take ' || sum(r.amount_minor)
          FROM payments_refund r JOIN payments_paymentorder o ON o.id = r.order_id
         WHERE r.status <> 'failed' OR r.settled_at IS NOT NULL
         GROUP BY o.id HAVING sum(r.amount_minor) > o.captured_minor""",
    # The status of a payout alone says where its money is: the journal has the movements that led there, once each.
    "payout_is_posted_once": """
        SELECT 'payout ' || p.id || ' is ' || p.status || ' over ' || p.amount_minor || '; the books have '
               || coalesce(x.verbs, 'nothing')
          FROM payments_payout p
          LEFT JOIN LATERAL (
               SELECT string_agg(DISTINCT v.verb, ', ' ORDER BY v.verb) AS verbs,
                      bool_and(e.amount = p.amount_minor) AS right_amount
                 FROM unnest(ARRAY['reserve_payout', 'cancel_payout', 'fund_payout', 'pay_out', 'unpay_payout',
                                   'return_payout', 'bank_payout', 'return_bank_payout']) AS v (verb)
                 JOIN ledger_transaction t ON t.book_id = p.book_id AND t.reference = v.verb || ':' || $PAYOUT
                 JOIN ledger_entry e ON e.transaction_id = t.id) x ON true
         WHERE NOT coalesce(x.right_amount, false)
            OR p.bank_account_id IS NOT NULL AND NOT CASE p.status
               WHEN 'paid' THEN x.verbs = 'bank_payout, reserve_payout'
               WHEN 'returned' THEN x.verbs = 'bank_payout, reserve_payout, return_bank_payout'
               WHEN 'cancelled' THEN x.verbs = 'cancel_payout, reserve_payout'
               ELSE x.verbs = 'reserve_payout' END
            OR p.bank_account_id IS NULL AND NOT CASE p.status
               WHEN 'requires_approval' THEN x.verbs = 'reserve_payout'
               WHEN 'pending' THEN x.verbs = 'reserve_payout'
               WHEN 'cancelled' THEN x.verbs = 'cancel_payout, reserve_payout'
               WHEN 'sent' THEN x.verbs = 'fund_payout, reserve_payout'
               WHEN 'paid' THEN x.verbs = 'fund_payout, pay_out, reserve_payout'
               WHEN 'failed' THEN x.verbs IN ('fund_payout, reserve_payout',
                                        'fund_payout, pay_out, reserve_payout, unpay_payout')
               ELSE x.verbs IN ('fund_payout, reserve_payout, return_payout',
                                 'fund_payout, pay_out, reserve_payout, return_payout, unpay_payout') END""",
    # The explain tree closes: its parts sum to the amount, lie inside their credits, and no two take the same money.
    "payout_is_explained": """
        SELECT 'payout ' || p.id || ' is ' || p.amount_minor || ', explained ' || coalesce(sum(a.amount_minor), 0)
          FROM payments_payout p LEFT JOIN payments_payoutallocation a ON a.payout_id = p.id
         GROUP BY p.id HAVING coalesce(sum(a.amount_minor), 0) <> p.amount_minor
         UNION ALL
        SELECT 'payout ' || p.id || ' pays what is no credit of its seller: entry ' || a.entry_id
          FROM payments_payoutallocation a JOIN payments_payout p ON p.id = a.payout_id
          JOIN payments_seller s ON s.id = p.seller_id
          LEFT JOIN ledger_entry e ON e.id = a.entry_id LEFT JOIN ledger_account b ON b.id = e.account_id
         WHERE e.id IS NULL OR e.side <> 'C' OR e.account_id <> a.account_id OR e.account_version <> a.entry_version
            OR b.code <> 'seller:' || $SELLER || ':available:' || p.currency OR b.book_id <> p.book_id
            OR a.offset_minor + a.amount_minor > e.amount
         UNION ALL
        SELECT 'account ' || x.account_id || ' pays the stretch at ' || x.position_minor || ' twice'
          FROM (SELECT a.account_id, a.position_minor, a.position_minor + a.amount_minor AS ends,
                       lead(a.position_minor) OVER (PARTITION BY a.account_id ORDER BY a.position_minor) AS next
                  FROM payments_payoutallocation a) x WHERE x.ends > x.next""",
    # What is in transit of a seller is set aside for payouts that have neither arrived nor come back.
    "in_transit_is_of_payouts": """
        SELECT 'seller ' || coalesce(w.seller::text, p.seller::text) || ' has ' || coalesce(w.held, 0) || ' '
               || coalesce(w.currency, p.currency) || ' in transit, the payouts say ' || coalesce(p.amount, 0)
          FROM (SELECT w.book_id, w.seller, w.currency, b.credits - b.debits AS held
                  FROM ($WALLET_ACCOUNTS) w JOIN ledger_account a ON a.book_id = w.book_id AND a.code = w.code
                  JOIN ledger_balance b ON b.account_id = a.id WHERE w.part = 'in_transit') w
          FULL JOIN (SELECT p.book_id, s.public_id AS seller, p.currency, sum(p.amount_minor) AS amount
                       FROM payments_payout p JOIN payments_seller s ON s.id = p.seller_id
                      WHERE p.status IN ('requires_approval', 'pending', 'sent', 'failed')
                      GROUP BY p.book_id, s.public_id, p.currency) p USING (book_id, seller, currency)
         WHERE coalesce(w.held, 0) <> coalesce(p.amount, 0)""",
    # What is on connected accounts was transferred there and has neither been paid nor come back.
    "connected_is_of_payouts": """
        SELECT 'PSP account ' || a.id || ' has ' || coalesce(sum(x.held), 0) || ' ' || x.currency
               || ' on connected accounts, the payouts say ' || coalesce(sum(x.sent), 0)
          FROM (SELECT p.psp_account_id, p.currency, p.amount_minor AS sent, 0 AS held FROM payments_payout p
                 WHERE p.status IN ('sent', 'failed')
                UNION ALL
                SELECT c.id, b.currency, 0, CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END
                  FROM payments_pspaccount c
                  JOIN ledger_account b ON b.book_id = c.book_id
                                       AND b.code = 'psp:' || c.code || ':connected:' || b.currency
                  JOIN ledger_entry e ON e.account_id = b.id) x
          JOIN payments_pspaccount a ON a.id = x.psp_account_id
         GROUP BY a.id, x.currency HAVING sum(x.held) <> sum(x.sent)""",
    "payout_has_one_transfer": """
        SELECT 'payout ' || payout_id || ' has ' || count(*) || ' transfers' FROM payments_pspoperation
         WHERE kind = 'transfer' AND (closed_at IS NULL OR outcome = 'succeeded')
         GROUP BY payout_id HAVING count(*) > 1""",
    # What is under way is due, or a call is open that brings it on.
    "payout_goes_on": """
        SELECT 'payout ' || p.id || ' is ' || p.status || ' without a call that brings it on'
          FROM payments_payout p
         WHERE p.bank_account_id IS NULL AND (p.status = 'failed' AND NOT EXISTS (
               SELECT 1 FROM payments_pspoperation o WHERE o.payout_id = p.id AND o.kind = 'reverse_transfer'
                  AND o.closed_at IS NULL)
            OR p.status = 'pending' AND p.due_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM payments_pspoperation o
                WHERE o.payout_id = p.id AND o.kind = 'transfer' AND o.closed_at IS NULL)
            OR p.status = 'sent' AND p.due_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM payments_pspoperation o
                WHERE o.payout_id = p.id AND o.kind = 'payout' AND o.closed_at IS NULL))""",
    "history_is_legal": """
        SELECT h.machine || ' ' || h.object_id || ' went ' || h.source || ' -> ' || h.target || ' after '
               || coalesce(h.previous, '(new)')
          FROM (SELECT t.*, lag(t.target) OVER (PARTITION BY t.machine, t.object_id ORDER BY t.id) AS previous
                  FROM payments_transition t) h
         WHERE h.previous <> h.source
            OR NOT EXISTS (SELECT 1 FROM payments_allowedtransition a WHERE a.machine = h.machine
                              AND a.source = h.source AND a.target = h.target)
            OR h.previous IS NULL AND NOT EXISTS (
               SELECT 1 FROM payments_allowedtransition a
                WHERE a.machine = h.machine AND a.source = '' AND a.target = h.source)""",
    "history_ends_in_the_present": """
        SELECT x.machine || ' ' || x.id || ' is ' || x.status || ', its history says ' || coalesce(h.target, 'nothing')
          FROM (SELECT 'payments_paymentorder' AS machine, id, status FROM payments_paymentorder UNION ALL
                SELECT 'payments_charge', id, status FROM payments_charge UNION ALL
                SELECT 'payments_refund', id, status FROM payments_refund UNION ALL
                SELECT 'payments_dispute', id, status FROM payments_dispute UNION ALL
                SELECT 'payments_payout', id, status FROM payments_payout UNION ALL
                SELECT 'payments_bankfile', id, status FROM payments_bankfile) x
          LEFT JOIN (SELECT DISTINCT ON (machine, object_id) machine, object_id, target FROM payments_transition
                      ORDER BY machine, object_id, id DESC) h ON h.machine = x.machine AND h.object_id = x.id
         WHERE coalesce(h.target <> x.status, NOT EXISTS (
               SELECT 1 FROM payments_allowedtransition a
                WHERE a.machine = x.machine AND a.source = '' AND a.target = x.status))""",
    "one_open_operation_per_charge_and_kind": """
        SELECT 'charge ' || charge_id || ' has ' || count(*) || ' open operations ' || kind
          FROM payments_pspoperation WHERE closed_at IS NULL AND kind <> 'refund' AND charge_id IS NOT NULL
         GROUP BY charge_id, kind HAVING count(*) > 1""",
    "done_left_its_effect": """
        SELECT 'operation ' || p.id || ' ' || p.kind || ' succeeded, its charge is ' || c.status
          FROM payments_pspoperation p JOIN payments_charge c ON c.id = p.charge_id
         WHERE p.state = 'DONE' AND p.outcome = 'succeeded' AND (
               p.kind IN ('confirm', 'capture')
                   AND c.status NOT IN ('SUCCEEDED', 'AUTHORIZED', 'CANCELLED', 'LATE_SUCCESS')
            OR p.kind = 'capture' AND c.status NOT IN ('SUCCEEDED', 'LATE_SUCCESS')
            OR p.kind = 'register' AND c.psp_id IS NULL)""",
    "tenants_are_apart": """
        SELECT 'order ' || o.id || ' mixes books' FROM payments_paymentorder o
          JOIN payments_paymentevent e ON e.id = o.event_id JOIN payments_charge c ON c.id = o.charge_id
          JOIN payments_seller s ON s.id = o.seller_id JOIN payments_pspaccount a ON a.id = c.psp_account_id
         WHERE e.book_id <> o.book_id OR c.book_id <> o.book_id OR s.book_id <> o.book_id OR a.book_id <> o.book_id
            OR c.event_id <> o.event_id
         UNION ALL
        SELECT 'operation ' || p.id || ' mixes books' FROM payments_pspoperation p
          JOIN payments_pspaccount a ON a.id = p.psp_account_id
          LEFT JOIN payments_paymentevent e ON e.id = p.event_id LEFT JOIN payments_payout y ON y.id = p.payout_id
          LEFT JOIN payments_charge c ON c.id = p.charge_id LEFT JOIN payments_refund r ON r.id = p.refund_id
         WHERE (coalesce(e.book_id, y.book_id), a.book_id) IS DISTINCT FROM (p.book_id, p.book_id)
            OR c.book_id <> p.book_id OR r.book_id <> p.book_id
         UNION ALL
        SELECT 'refund ' || r.id || ' mixes books' FROM payments_refund r JOIN payments_charge c ON c.id = r.charge_id
          LEFT JOIN payments_paymentorder o ON o.id = r.order_id
         WHERE c.book_id <> r.book_id OR o.book_id <> r.book_id
         UNION ALL
        SELECT 'dispute ' || d.id || ' mixes books' FROM payments_dispute d JOIN payments_charge c ON c.id = d.charge_id
          LEFT JOIN payments_disputepart p ON p.dispute_id = d.id LEFT JOIN payments_paymentorder o ON o.id = p.order_id
         WHERE c.book_id <> d.book_id OR c.psp_account_id <> d.psp_account_id OR o.book_id <> d.book_id""",
    # Each part of a dispute has one posting for each thing that happened to its money, over exactly that money.
    "dispute_is_posted_once": """
        SELECT 'dispute ' || d.id || ' is ' || d.status || ', part ' || p.position || ' took ' || p.amount_minor
               || ', returned ' || p.returned_minor || ', lost ' || p.lost_minor || ', regained ' || p.regained_minor
               || '; the books have ' || x.opened || ', ' || x.won || ', ' || x.lost || ', ' || x.regained
          FROM payments_disputepart p
          JOIN payments_dispute d ON d.id = p.dispute_id
         CROSS JOIN LATERAL (SELECT CASE WHEN p.position = 1 THEN d.cost_minor ELSE 0 END AS cost,
                                    CASE WHEN p.position = 1 THEN d.cost_returned_minor ELSE 0 END AS cost_back,
                                    $DISPUTE || ':' || p.position AS subject) c
         CROSS JOIN LATERAL (
               SELECT coalesce(sum(e.amount) FILTER (WHERE t.kind = 'open_dispute' AND e.side = 'C'
                          AND b.code LIKE 'psp:%:clearing:%'), 0) AS opened,
                      coalesce(sum(e.amount) FILTER (WHERE t.kind = 'open_dispute' AND e.side = 'D'
                          AND b.code LIKE 'psp:%:dispute_held:%'), 0) AS held,
                      coalesce(sum(e.amount) FILTER (WHERE t.kind = 'open_dispute' AND e.side = 'C'
                          AND b.code LIKE 'seller:%:reserved:%'), 0) AS reserved,
                      coalesce(sum(e.amount) FILTER (WHERE t.kind = 'win_dispute' AND e.side = 'D'
                          AND b.code LIKE 'psp:%:clearing:%'), 0) AS won,
                      coalesce(sum(e.amount) FILTER (WHERE t.kind = 'lose_dispute' AND e.side = 'C'
                          AND b.code LIKE 'psp:%:dispute_held:%'), 0) AS lost,
                      coalesce(sum(e.amount) FILTER (WHERE t.kind = 'regain_dispute' AND e.side = 'D'
                          AND b.code LIKE 'psp:%:clearing:%'), 0) AS regained
                 FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
                 JOIN ledger_account b ON b.id = e.account_id
                WHERE t.book_id = d.book_id AND t.reference IN (
                      'open_dispute:' || c.subject, 'win_dispute:' || c.subject, 'lose_dispute:' || c.subject,
                      'regain_dispute:' || c.subject, 'win_dispute:' || c.subject || ':cost')) x
         WHERE (x.opened, x.held, x.reserved, x.lost) IS DISTINCT FROM
               (p.amount_minor + c.cost, p.amount_minor, p.pending_minor + p.available_minor + p.debt_minor,
                p.lost_minor)
            OR x.won + x.regained <> p.returned_minor + p.regained_minor + c.cost_back
            OR (x.regained > 0) < (p.regained_minor > 0)""",
    "dispute_equals_its_parts": """
        SELECT 'dispute ' || d.id || ' is ' || d.status || ', took ' || d.taken_minor || ', returned '
               || d.returned_minor || ', lost ' || d.lost_minor || ', regained ' || d.regained_minor
               || '; its parts took ' || coalesce(x.taken, 0)
          FROM payments_dispute d
          LEFT JOIN (SELECT dispute_id, sum(amount_minor) AS taken, sum(returned_minor) AS returned,
                            sum(lost_minor) AS lost, sum(regained_minor) AS regained
                       FROM payments_disputepart GROUP BY dispute_id) x ON x.dispute_id = d.id
         WHERE (d.taken_minor, d.returned_minor, d.lost_minor, d.regained_minor) IS DISTINCT FROM
               (coalesce(x.taken, 0), coalesce(x.returned, 0), coalesce(x.lost, 0), coalesce(x.regained, 0))
            OR d.status IN ('won', 'lost', 'inquiry_closed')
               AND d.taken_minor <> d.returned_minor + d.lost_minor
            OR d.status = 'won' AND d.taken_minor > 0 AND d.returned_minor + d.regained_minor = 0
            OR d.status NOT IN ('won', 'lost') AND d.returned_minor + d.lost_minor > 0""",
    # What a PSP holds is what open disputes took, account by account.
    "held_is_of_open_disputes": """
        SELECT 'PSP account ' || x.account || ' holds ' || coalesce(sum(x.held), 0) || ' ' || x.currency
               || ', open disputes took ' || coalesce(sum(x.open), 0)
          FROM (SELECT a.id AS account, b.currency,
                       CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END AS held, 0 AS open
                  FROM payments_pspaccount a
                  JOIN ledger_account b ON b.book_id = a.book_id
                       AND b.code = 'psp:' || a.code || ':dispute_held:' || b.currency
                  JOIN ledger_entry e ON e.account_id = b.id
                 UNION ALL
                SELECT d.psp_account_id, d.currency, 0, d.taken_minor - d.returned_minor - d.lost_minor
                  FROM payments_dispute d WHERE d.taken_minor > 0) x
         GROUP BY x.account, x.currency HAVING coalesce(sum(x.held), 0) <> coalesce(sum(x.open), 0)""",
    "disputed_is_of_disputes": """
        SELECT 'order ' || o.id || ' says ' || o.disputed_minor || ' disputed, its disputes ' || coalesce(x.disputed, 0)
          FROM payments_paymentorder o
          LEFT JOIN (SELECT order_id, sum(amount_minor - returned_minor - regained_minor) AS disputed
                       FROM payments_disputepart GROUP BY order_id) x ON x.order_id = o.id
         WHERE o.disputed_minor <> coalesce(x.disputed, 0) OR o.fee_disputed_minor > o.disputed_minor""",
    # An open dispute is asked about by ourselves too: its notifications may be lost.
    "open_dispute_is_watched": """
        SELECT 'dispute ' || id || ' is ' || status || ' and nobody asks about it' FROM payments_dispute
         WHERE status IN ('inquiry_open', 'inquiry_review', 'needs_response', 'under_review') AND due_at IS NULL""",
    # What a seller has is what its orders earned less what refunds took, and what other movements did since.
    "wallet_holds_what_was_earned": """
        SELECT 'seller ' || s.id || ' earned ' || coalesce(x.earned, 0) || ' ' || x.currency
               || ' and other movements made ' || coalesce(x.other, 0) || ', the wallet holds ' || coalesce(x.held, 0)
          FROM (SELECT seller_id, currency, sum(earned) AS earned, sum(other) AS other, sum(held) AS held FROM (
                 SELECT o.seller_id, o.currency, o.captured_minor - o.fee_minor AS earned, 0 AS other, 0 AS held
                   FROM payments_paymentorder o WHERE o.status = 'SUCCESS' AND o.top_up_of IS NULL
                  UNION ALL
                 SELECT o.seller_id, r.currency, r.fee_minor - r.amount_minor, 0, 0
                   FROM payments_refund r JOIN payments_paymentorder o ON o.id = r.order_id
                  WHERE r.status <> 'failed' OR r.settled_at IS NOT NULL
                  UNION ALL
                 SELECT s.id, w.currency, 0,
                        (SELECT coalesce(sum(CASE e.side WHEN 'C' THEN e.amount ELSE -e.amount END), 0)
                           FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
                          WHERE e.account_id = a.id AND t.kind NOT IN ('settle_charge', 'stored_pay',
                                                                       $KINDS_OF_REFUNDS)),
                        b.credits - b.debits
                   FROM ($WALLET_ACCOUNTS) w
                   JOIN payments_seller s ON s.public_id = w.seller AND s.book_id = w.book_id
                   JOIN ledger_account a ON a.book_id = w.book_id AND a.code = w.code
                   JOIN ledger_balance b ON b.account_id = a.id) y
                 GROUP BY seller_id, currency) x
          JOIN payments_seller s ON s.id = x.seller_id
         WHERE x.earned + x.other <> x.held""",
    # Sub-ledger of the pending accounts: what is pending of the orders of a seller is the balance of that account.
    "pending_is_of_orders": """
        SELECT 'seller ' || coalesce(w.seller::text, o.seller::text) || ' has ' || coalesce(w.pending, 0) || ' '
               || coalesce(w.currency, o.currency) || ' pending, the orders say ' || coalesce(o.pending, 0)
          FROM (SELECT w.book_id, w.seller, w.currency, b.credits - b.debits AS pending
                  FROM ($WALLET_ACCOUNTS) w JOIN ledger_account a ON a.book_id = w.book_id AND a.code = w.code
                  JOIN ledger_balance b ON b.account_id = a.id WHERE w.part = 'pending') w
          FULL JOIN (SELECT o.book_id, s.public_id AS seller, o.currency, sum(o.pending_minor) AS pending
                       FROM payments_paymentorder o JOIN payments_seller s ON s.id = o.seller_id
                      GROUP BY o.book_id, s.public_id, o.currency) o USING (book_id, seller, currency)
         WHERE coalesce(w.pending, 0) <> coalesce(o.pending, 0)""",
    # What a buyer has is what came in, less what orders took, and what people corrected by hand.
    "stored_value_is_of_buyers": """
        SELECT 'account ' || a.code || ' holds ' || b.credits - b.debits || ', refunds and orders explain '
               || coalesce(u.added, 0) + coalesce(x.refunded, 0) - coalesce(p.paid, 0) || ', other movements '
               || coalesce(y.other, 0)
          FROM ledger_account a
          JOIN ledger_balance b ON b.account_id = a.id
          LEFT JOIN (SELECT r.book_id, 'buyer:' || $KEEPER || ':stored:' || r.currency AS code,
                            sum(r.amount_minor) AS refunded
                       FROM payments_refund r
                      WHERE r.stored_value_of IS NOT NULL AND r.status = 'succeeded' GROUP BY 1, 2) x
            ON x.book_id = a.book_id AND x.code = a.code
          LEFT JOIN (SELECT o.book_id, 'buyer:' || $PAYER || ':stored:' || o.currency AS code,
                            sum(o.captured_minor) AS added
                       FROM payments_paymentorder o WHERE o.top_up_of IS NOT NULL GROUP BY 1, 2) u
            ON u.book_id = a.book_id AND u.code = a.code
          LEFT JOIN (SELECT c.book_id, 'buyer:' || $BUYER || ':stored:' || c.currency AS code,
                            sum(c.captured_minor) AS paid
                       FROM payments_charge c WHERE c.stored_value_of IS NOT NULL GROUP BY 1, 2) p
            ON p.book_id = a.book_id AND p.code = a.code
          LEFT JOIN (SELECT e.account_id, sum(CASE e.side WHEN 'C' THEN e.amount ELSE -e.amount END) AS other
                       FROM ledger_account s JOIN ledger_entry e ON e.account_id = s.id
                       JOIN ledger_transaction t ON t.id = e.transaction_id
                      WHERE s.code LIKE 'buyer:%' AND t.kind NOT IN ('stored_top_up', 'stored_pay', 'stored_refund')
                      GROUP BY e.account_id) y ON y.account_id = a.id
         WHERE a.code LIKE 'buyer:%:stored:%'
           AND b.credits - b.debits <> coalesce(u.added, 0) + coalesce(x.refunded, 0) - coalesce(p.paid, 0)
                                        + coalesce(y.other, 0)""",
    "wallet_has_its_accounts": """
        SELECT 'wallet ' || w.id || ' has ' || count(a.id) || ' of 5 accounts'
          FROM ($WALLET_ACCOUNTS) w
          LEFT JOIN ledger_account a ON a.book_id = w.book_id AND a.currency = w.currency AND a.code = w.code
         GROUP BY w.id HAVING count(a.id) <> 5""",
    "terminal_status_is_published_once": """
        SELECT 'payment ' || e.id || ' is ' || e.status || ', published ' || count(m.id) || ' times'
          FROM payments_paymentevent e
          LEFT JOIN payments_outboxmessage m ON m.subject_kind = 'payment' AND m.subject_id = e.id
               AND m.type = 'payment.' || e.status
         WHERE e.status IN ('succeeded', 'partially_succeeded', 'cancelled', 'expired')
         GROUP BY e.id HAVING count(m.id) <> 1""",
    "nothing_is_stuck": """
        SELECT x.what || ' ' || x.id || ' is due since ' || x.due_at FROM (
               SELECT 'operation' AS what, id, due_at, lease_until FROM payments_pspoperation UNION ALL
               SELECT 'notification', id, due_at, lease_until FROM payments_pspnotification UNION ALL
               SELECT 'poll of charge', id, due_at, lease_until FROM payments_charge UNION ALL
               SELECT 'poll of dispute', id, due_at, lease_until FROM payments_dispute UNION ALL
               SELECT 'payout', id, due_at, lease_until FROM payments_payout UNION ALL
               SELECT 'look at PSP account', psp_account_id, due_at, lease_until FROM payments_psplook UNION ALL
               SELECT 'release of order', id, release_due_at, NULL FROM payments_paymentorder UNION ALL
               SELECT 'reserve', id, due_at, NULL FROM payments_reservehold UNION ALL
               SELECT 'expiry of payment', id, expiry_due_at, NULL FROM payments_paymentevent) x,
               (SELECT florin_now() AS now) n
         WHERE greatest(x.due_at, x.lease_until) < n.now - interval '$STUCK' AND x.due_at IS NOT NULL""",
    "unknown_is_resolved": """
        SELECT 'operation ' || id || ' ' || kind || ' is ' || state || ' since ' || first_sent_at
          FROM payments_pspoperation
         WHERE (state = 'SENT' OR state = 'UNKNOWN' AND error_code <> '')
           AND NOT (kind = 'refund' AND parameters ? 'psp_id')
           AND first_sent_at < florin_now() - interval '$UNKNOWN'
           AND NOT coalesce((parameters ->> 'escalated')::boolean, false)""",
}

# In front of a person already: not wrong, but somebody has to look.
_WARNINGS: dict[str, str] = {
    "dead_operation": """
        SELECT 'operation ' || id || ' ' || kind || ' is dead since ' || dead_at || ' ' || error_code
          FROM payments_pspoperation WHERE dead_at IS NOT NULL AND closed_at IS NULL""",
    "dead_notification": """
        SELECT 'notification ' || id || ' ' || type || ' is dead since ' || dead_at
          FROM payments_pspnotification WHERE dead_at IS NOT NULL AND processed_at IS NULL""",
    "dead_run": """
        SELECT 'run ' || id || ' ' || kind || ' of ' || period || ' is dead since ' || dead_at || ': ' || error
          FROM payments_run WHERE dead_at IS NOT NULL""",
    "payouts_stopped": """
        SELECT 'book ' || book_id || ' pays nothing out since ' || since || ': ' || reason || ', ' || detail
          FROM payments_payoutstop WHERE lifted_at IS NULL""",
    "found_refund": """
        SELECT 'refund ' || psp_id || ' of charge ' || charge_id || ' over ' || amount_minor || ' ' || currency
               || ' was made at the PSP and is not booked: since ' || found_at FROM payments_foundrefund
         WHERE decided_at IS NULL AND psp_status NOT IN ('failed', 'cancelled')""",
    "dispute_in_quarantine": """
        SELECT 'dispute ' || id || ' contradicts our records: ' || quarantine_reason FROM payments_dispute
         WHERE quarantined_at IS NOT NULL""",
    "dispute_without_answer": """
        SELECT 'dispute ' || id || ' must be answered by ' || evidence_due_at FROM payments_dispute
         WHERE status IN ('inquiry_open', 'needs_response') AND evidence_status IN ('none', 'refused')
           AND evidence_due_at < florin_now() + interval '3 days'""",
    "unknown_outcome": """
        SELECT 'operation ' || id || ' ' || kind || ' is unknown since ' || first_sent_at
          FROM payments_pspoperation WHERE state = 'UNKNOWN' AND (parameters ->> 'escalated')::boolean""",
}

_COUNTED = {
    "books": "ledger_book",
    "accounts": "ledger_account",
    "transactions": "ledger_transaction",
    "entries": "ledger_entry",
    "wallets": "wallet_wallet",
    "payments": "payments_paymentevent",
    "orders": "payments_paymentorder",
    "charges": "payments_charge",
    "refunds": "payments_refund",
    "disputes": "payments_dispute",
    "payouts": "payments_payout",
    "bank_files": "payments_bankfile",
    "operations": "payments_pspoperation",
    "notifications": "payments_pspnotification",
    "transitions": "payments_transition",
    "outbox_messages": "payments_outboxmessage",
}

_STATUS_COMBINATIONS = """
SELECT e.status, o.states, c.states, e.next_action IS NOT NULL, min(e.id), count(*)
  FROM payments_paymentevent e
  LEFT JOIN (SELECT event_id, array_agg(DISTINCT status ORDER BY status)::text[] AS states
               FROM payments_paymentorder GROUP BY event_id) o ON o.event_id = e.id
  LEFT JOIN (SELECT event_id, array_agg(DISTINCT status ORDER BY status)::text[] AS states
               FROM payments_charge GROUP BY event_id) c ON c.event_id = e.id
 GROUP BY 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks found: violations are wrong, warnings wait for a person."""

    violations: list[Violation]
    warnings: list[Violation]


def names() -> list[str]:
    """Return the name of every check of this module."""
    return [*_CHECKS, *refund_checks.CHECKS, *wallet_checks.CHECKS, *bank_checks.CHECKS, "payment_status_is_derived"]


def check() -> Findings:
    """Run every check over all books (at most `LIMIT` findings of each)."""
    checks = _CHECKS | refund_checks.CHECKS | wallet_checks.CHECKS | bank_checks.CHECKS
    warnings = _WARNINGS | refund_checks.WARNINGS | bank_checks.WARNINGS
    return Findings([*_run(checks), *_underived_statuses()], _run(warnings))


def counts() -> dict[str, int]:
    """Return how many rows of each kind there are to check."""
    with connection.cursor() as cursor:
        counting = (f"SELECT '{name}', count(*) FROM {table}" for name, table in _COUNTED.items())  # noqa: S608 - constants
        cursor.execute(" UNION ALL ".join(counting))
        return dict(cursor.fetchall())


def _run(checks: dict[str, str]) -> list[Violation]:
    found: list[Violation] = []
    with connection.cursor() as cursor:
        for name, query in checks.items():
            cursor.execute(f"{Template(query).substitute(_NAMES)} LIMIT {LIMIT}")
            found.extend(Violation(name, row[0]) for row in cursor.fetchall())
    return found


def _underived_statuses() -> list[Violation]:
    """Compare stored statuses with the fixed rule, once per combination that occurs."""
    with connection.cursor() as cursor:
        cursor.execute(_STATUS_COMBINATIONS)
        rows = cursor.fetchall()
    found = []
    for status, order_states, charge_states, saving, example, count in rows:
        derived = statuses.derive(
            [PaymentOrder(status=state) for state in order_states or ()],
            [Charge(status=state) for state in charge_states or ()],
            saving_needs_action=saving,
        )
        if derived != status:
            detail = f"payment {example} and {count - 1} more: {status}, derived {derived} of {order_states}"
            found.append(Violation("payment_status_is_derived", detail))
    return found
