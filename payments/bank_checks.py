"""Checks of payouts through the bank, in the form of `invariants`: SQL with its names, which returns what is wrong.

What the triggers refuse is looked for here as well: a restored backup or a superuser may have gone around them.
"""

from __future__ import annotations

from typing import Final

CHECKS: Final[dict[str, str]] = {
    # A file is its payouts: how many, how much, each under its own reference and amount.
    "bank_file_is_its_payouts": """
        SELECT 'bank file ' || f.id || ' says ' || f.count || ' payouts of ' || f.total_minor || ', its instructions '
               || count(i.id) || ' of ' || coalesce(sum(i.amount_minor), 0)
          FROM payments_bankfile f LEFT JOIN payments_bankinstruction i ON i.file_id = f.id
         GROUP BY f.id HAVING count(i.id) <> f.count OR coalesce(sum(i.amount_minor), 0) <> f.total_minor
         UNION ALL
        SELECT 'instruction ' || i.id || ' tells payout ' || p.id || ' otherwise than it is'
          FROM payments_bankinstruction i JOIN payments_payout p ON p.id = i.payout_id
          JOIN payments_bankfile f ON f.id = i.file_id
         WHERE i.end_to_end_id <> replace($PAYOUT, '_', '-') OR i.amount_minor <> p.amount_minor
            OR p.bank_account_id IS DISTINCT FROM f.bank_account_id OR p.currency <> f.currency
            OR i.withdrawn_at IS NULL AND i.destination_id <> p.destination_id
            OR (i.withdrawn_at IS NULL) <> (f.status <> 'withdrawn')""",
    # What left through the bank was told to it once, in a file that somebody got, and its outcome was told by the bank.
    "bank_payout_was_told_once": """
        SELECT 'payout ' || p.id || ' is ' || p.status || ', told ' || count(i.id) || ' times, booked '
               || coalesce(min(i.booked_on)::text, 'never')
          FROM payments_payout p
          LEFT JOIN payments_bankinstruction i ON i.payout_id = p.id AND i.withdrawn_at IS NULL
          LEFT JOIN payments_bankfile f ON f.id = i.file_id
         WHERE p.bank_account_id IS NOT NULL
         GROUP BY p.id
        HAVING count(i.id) > 1
            OR p.status IN ('sent', 'paid', 'returned')
               AND (count(i.id) = 0 OR NOT bool_and(f.status IN ('handed_out', 'answered')))
            OR p.status = 'pending' AND bool_or(f.status NOT IN ('requires_approval', 'ready'))
            OR p.status IN ('paid', 'returned') <> (count(i.booked_on) > 0)
            OR (p.status = 'returned') <> (count(i.returned_on) > 0)
            OR p.status = 'cancelled' AND count(i.id) <> count(i.refused_on)""",
    "bank_file_hand_outs_are_told": """
        SELECT 'bank file ' || f.id || ' is ' || f.status || ', handed out ' || count(h.id) || ' times'
          FROM payments_bankfile f LEFT JOIN payments_bankfilehandout h ON h.file_id = f.id
         GROUP BY f.id HAVING (f.status IN ('handed_out', 'answered')) <> (count(h.id) > 0)
                           OR max(h.number) <> count(h.id)""",
    "answered_bank_file_has_its_answers": """
        SELECT 'bank file ' || f.id || ' is ' || f.status || ', ' || count(*) FILTER (WHERE p.status = 'sent')
               || ' of its payouts are under way'
          FROM payments_bankfile f JOIN payments_bankinstruction i ON i.file_id = f.id
          JOIN payments_payout p ON p.id = i.payout_id
         WHERE f.status IN ('handed_out', 'answered')
         GROUP BY f.id HAVING (f.status = 'answered') <> (count(*) FILTER (WHERE p.status = 'sent') = 0)""",
}

# Nobody's fault yet: a person has to look.
WARNINGS: Final[dict[str, str]] = {
    "bank_file_waits": """
        SELECT 'bank file ' || id || ' is ' || status || ' since ' || made_at FROM payments_bankfile
         WHERE status IN ('requires_approval', 'ready') AND made_at < florin_now() - interval '1 day'""",
    "bank_file_unanswered": """
        SELECT 'bank file ' || f.id || ' was handed out at ' || min(h.at) || ' and the bank has not said everything'
          FROM payments_bankfile f JOIN payments_bankfilehandout h ON h.file_id = f.id
         WHERE f.status = 'handed_out' GROUP BY f.id HAVING min(h.at) < florin_now() - interval '5 days'""",
    "bank_file_handed_out_twice": """
        SELECT 'bank file ' || file_id || ' was handed out again: no. ' || number || ' to ' || actor || ' at ' || at
          FROM payments_bankfilehandout WHERE number > 1 AND at > florin_now() - interval '5 days'""",
}
