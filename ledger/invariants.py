"""Checks that re-derive the books from their entries. Each returns violations; an empty list means it holds.

The database refuses these states already (`ledger/sql/guards.sql`); the checks exist for what a superuser, a
restored backup or a bug in a guard could have done.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from ledger.seals import check as seals

LIMIT = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant: which check, what it found, and in which book where the check can tell."""

    check: str
    detail: str
    book_id: int | None = None


# Each selects what is wrong in words; a second column names the book, where payouts depend on it.
_CHECKS: dict[str, str] = {
    "transaction_balances": """
        SELECT 'transaction ' || transaction_id || ' sums to '
               || sum(CASE side WHEN 'D' THEN amount ELSE -amount END) || ' ' || currency, min(book_id)
          FROM ledger_entry GROUP BY transaction_id, currency
        HAVING sum(CASE side WHEN 'D' THEN amount ELSE -amount END) <> 0""",
    "transaction_has_all_legs": """
        SELECT 'transaction ' || t.id || ' has ' || count(e.id) || ' of ' || t.leg_count || ' legs'
          FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
         GROUP BY t.id HAVING count(e.id) <> t.leg_count OR count(e.id) < 2""",
    "entry_has_its_transaction": """
        SELECT 'entry ' || e.id || ' has no transaction in its book' FROM ledger_entry e
         WHERE NOT EXISTS (SELECT 1 FROM ledger_transaction t
                            WHERE t.id = e.transaction_id AND t.book_id = e.book_id
                              AND t.effective_at = e.effective_at AND t.posted_at = e.posted_at)""",
    "book_sums_to_zero": """
        SELECT 'book ' || book_id || ' sums to ' || sum(CASE side WHEN 'D' THEN amount ELSE -amount END)
               || ' ' || currency, book_id
          FROM ledger_entry GROUP BY book_id, currency
        HAVING sum(CASE side WHEN 'D' THEN amount ELSE -amount END) <> 0""",
    "entry_matches_its_account": """
        SELECT 'entry ' || e.id || ' differs from account ' || a.code FROM ledger_entry e
          JOIN ledger_account a ON a.id = e.account_id
         WHERE (e.book_id, e.currency) IS DISTINCT FROM (a.book_id, a.currency)
            OR (a.mode = 'authorizing') <> (e.account_version IS NOT NULL)""",
    "balance_equals_entries": """
        SELECT 'account ' || a.code || ' keeps ' || coalesce(b.debits || '/' || b.credits, 'no balance')
               || ', its entries say ' || coalesce(e.debits, 0) || '/' || coalesce(e.credits, 0),
               a.book_id
          FROM ledger_account a
          FULL JOIN ledger_balance b ON b.account_id = a.id
          LEFT JOIN (SELECT account_id, coalesce(sum(amount) FILTER (WHERE side = 'D'), 0) AS debits,
                            coalesce(sum(amount) FILTER (WHERE side = 'C'), 0) AS credits, count(*) AS n
                       FROM ledger_entry WHERE account_version IS NOT NULL GROUP BY account_id) e
            ON e.account_id = b.account_id
         WHERE CASE WHEN a.mode = 'recording' THEN b.account_id IS NOT NULL
                    ELSE (b.debits, b.credits, b.version, b.debit_normal)
                         IS DISTINCT FROM (coalesce(e.debits, 0), coalesce(e.credits, 0), coalesce(e.n, 0),
                                           a.type IN ('asset', 'expense')) END""",
    "versions_have_no_gap": """
        SELECT 'account ' || account_id || ' has versions up to ' || max(account_version) || ' in '
               || count(*) || ' entries'
          FROM ledger_entry WHERE account_version IS NOT NULL GROUP BY account_id
        HAVING max(account_version) <> count(*) OR min(account_version) <> 1""",
    "running_balance_follows": """
        SELECT 'entry ' || x.id || ' says ' || x.balance_after || ' after it, the sum is ' || x.running,
               x.book_id FROM (
          SELECT e.id, e.balance_after, e.book_id,
                 sum(CASE WHEN (e.side = 'D') = b.debit_normal THEN e.amount ELSE -e.amount END)
                     OVER (PARTITION BY e.account_id ORDER BY e.account_version) AS running
            FROM ledger_entry e JOIN ledger_balance b ON b.account_id = e.account_id
           WHERE e.account_version IS NOT NULL) x
         WHERE x.balance_after <> x.running""",
    "balance_above_floor": """
        SELECT 'account ' || b.account_id || ' is below its floor' FROM ledger_balance b
         WHERE b.floor IS NOT NULL AND
               CASE WHEN b.debit_normal THEN b.debits - b.credits ELSE b.credits - b.debits END < b.floor""",
    "fold_equals_entries": """
        SELECT 'account ' || account_id || ' has ' || f.debits || '/' || f.credits || ' folded, its entries before the'
               || ' mark say ' || coalesce(e.debits, 0) || '/' || coalesce(e.credits, 0),
               (SELECT a.book_id FROM ledger_account a WHERE a.id = account_id)
          FROM ledger_folded f FULL JOIN (
               SELECT e.account_id, coalesce(sum(e.amount) FILTER (WHERE e.side = 'D'), 0) AS debits,
                      coalesce(sum(e.amount) FILTER (WHERE e.side = 'C'), 0) AS credits
                 FROM ledger_fold_mark m
                 JOIN ledger_transaction t
                   ON (t.cluster_epoch, t.created_xid, t.id) <= (m.cluster_epoch, m.xid, m.transaction_id)
                 JOIN ledger_entry e ON e.transaction_id = t.id AND e.account_version IS NULL
                GROUP BY e.account_id) e USING (account_id)
         WHERE (f.debits, f.credits) IS DISTINCT FROM (e.debits, e.credits)""",
    "anchors_equal_fold": """
        SELECT 'account ' || account_id || ' has ' || grain || ' anchors that differ from its fold'
          FROM (SELECT account_id, grain, sum(debits) AS debits, sum(credits) AS credits, sum(entries) AS entries
                  FROM ledger_anchor GROUP BY account_id, grain) a FULL JOIN ledger_folded f USING (account_id)
         WHERE (a.debits, a.credits, a.entries) IS DISTINCT FROM (f.debits, f.credits, f.entries)""",
    "redated_anchors_equal_entries": """
        SELECT 'account ' || account_id || ' has ' || grain || ' anchors of other dates at ' || starts_at
               || ' that differ from its entries'
          FROM (SELECT account_id, grain, starts_at, debits, credits FROM ledger_redated
                 WHERE debits <> 0 OR credits <> 0) r
          FULL JOIN (
               SELECT e.account_id, g.grain, date_trunc(g.grain, d.at, 'UTC') AS starts_at,
                      coalesce(sum(d.sign * e.amount) FILTER (WHERE e.side = 'D'), 0) AS debits,
                      coalesce(sum(d.sign * e.amount) FILTER (WHERE e.side = 'C'), 0) AS credits
                 FROM ledger_redated_mark m
                 JOIN ledger_transaction t
                   ON (t.cluster_epoch, t.created_xid, t.id) <= (m.cluster_epoch, m.xid, m.transaction_id)
                  AND t.effective_at <> t.posted_at
                 JOIN ledger_entry e ON e.transaction_id = t.id
                CROSS JOIN (VALUES ('minute'), ('day')) AS g (grain)
                CROSS JOIN LATERAL (VALUES (e.effective_at, 1), (e.posted_at, -1)) AS d (at, sign)
                GROUP BY 1, 2, 3) x USING (account_id, grain, starts_at)
         WHERE (coalesce(r.debits, 0), coalesce(r.credits, 0)) <> (coalesce(x.debits, 0), coalesce(x.credits, 0))""",
    "closed_period_is_as_it_was": """
        SELECT 'account ' || b.account_id || ' closed at ' || b.closing || ' on ' || p.ends_at || ', now it says '
               || ledger_net_at(b.account_id, p.ends_at - interval '1 microsecond', 'effective')
          FROM ledger_period p JOIN ledger_period_balance b ON b.period_id = p.id
         WHERE p.status = 'closed'
           AND b.closing <> ledger_net_at(b.account_id, p.ends_at - interval '1 microsecond', 'effective')""",
    "no_transaction_from_another_cluster": """
        SELECT 'transaction ' || t.id || ' has an xid of another cluster: begin a new epoch'
          FROM ledger_transaction t
         WHERE t.cluster_epoch > ledger_epoch()
            OR t.cluster_epoch = ledger_epoch() AND t.created_xid >= pg_snapshot_xmax(pg_current_snapshot())
               AND t.created_xid <> coalesce(pg_current_xact_id_if_assigned(), '0')""",
    # After a dump and restore the rights of the runtime role must be set again (docs/how-to/back-up-and-restore.md).
    "runtime_role_cannot_write_the_books": """
        SELECT 'florin_app may ' || p.privilege || ' ' || t.name
          FROM unnest(ARRAY['ledger_account', 'ledger_balance', 'ledger_transaction', 'ledger_entry', 'ledger_folded',
                             'ledger_anchor', 'ledger_redated', 'ledger_period', 'ledger_period_balance', 'ledger_seal',
                             'ledger_seal_key', 'ledger_seal_mark', 'ledger_seal_published', 'ledger_verified',
                             'ledger_check_mark', 'ledger_check_run']) AS t (name),
               unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p (privilege)
         WHERE has_table_privilege('florin_app', t.name, p.privilege)""",
    "reversals_stay_within_the_original": """
        SELECT 'transaction ' || x.id || ' moved ' || x.original || ' on account ' || x.account_id || ', its reversals '
               || x.reversed
          FROM (SELECT y.id, y.account_id, coalesce(sum(y.signed) FILTER (WHERE y.original), 0) AS original,
                       coalesce(sum(y.signed) FILTER (WHERE NOT y.original), 0) AS reversed
                  FROM (SELECT coalesce(r.reverses_id, e.transaction_id) AS id, r.reverses_id IS NULL AS original,
                               e.account_id, e.currency, CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END AS signed
                          FROM (SELECT t.id, t.reverses_id FROM ledger_transaction t
                                 WHERE t.kind IN ('reversal', 'partial_reversal')
                                UNION
                                SELECT t.reverses_id, NULL FROM ledger_transaction t
                                 WHERE t.kind IN ('reversal', 'partial_reversal')) r
                          JOIN ledger_entry e ON e.transaction_id = r.id) y
                 GROUP BY y.id, y.account_id, y.currency) x
         WHERE x.reversed NOT BETWEEN least(0, -x.original) AND greatest(0, -x.original)""",
    "reversal_negates": """
        SELECT 'transaction ' || r.id || ' does not negate ' || r.reverses_id
          FROM ledger_transaction r JOIN ledger_entry e ON e.transaction_id IN (r.id, r.reverses_id)
         WHERE r.kind = 'reversal'
         GROUP BY r.id, r.reverses_id, e.account_id, e.currency
        HAVING sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) <> 0""",
}


def names() -> list[str]:
    """Return the name of every check of this module."""
    return [*_CHECKS, seals.NAME]


def violations() -> list[Violation]:
    """Run every check over all books and return what is wrong (at most `LIMIT` findings of each)."""
    found: list[Violation] = []
    with connection.cursor() as cursor:
        for name, query in _CHECKS.items():
            cursor.execute(f"{query} LIMIT {LIMIT}")
            found.extend(Violation(name, *row) for row in cursor.fetchall())
    found.extend(Violation(seals.NAME, str(finding)) for finding in seals.findings(LIMIT))
    return found
