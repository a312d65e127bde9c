-- The guards of 0003 again, each with a short way for what is usual: one transaction, in one currency, that moves a balance
-- once. What passes there would pass the whole check, which stands below it as it was and decides about everything else.
--
-- A short way has no aggregate and few nodes: for two rows PostgreSQL needs far longer to start a query than to run it.

CREATE OR REPLACE FUNCTION ledger_balance_follows_entries() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE wrong bigint;
BEGIN
    SELECT n.account_id INTO wrong   -- stops at the first
      FROM new_rows n
      LEFT JOIN old_rows o ON o.account_id = n.account_id
      LEFT JOIN ledger_entry e ON e.account_id = n.account_id AND e.account_version = n.version
     WHERE EXISTS (SELECT FROM new_rows OFFSET 8)
        OR (n.version = o.version + 1 AND n.debit_normal = o.debit_normal
            AND n.debits - o.debits = CASE e.side WHEN 'D' THEN e.amount ELSE 0 END
            AND n.credits - o.credits = CASE e.side WHEN 'D' THEN 0 ELSE e.amount END
            AND e.balance_after = CASE WHEN n.debit_normal THEN n.debits - n.credits ELSE n.credits - n.debits END
            AND e.posted_at = n.posted_at AND (o.posted_at IS NULL OR o.posted_at <= e.posted_at)) IS NOT TRUE;
    IF NOT FOUND THEN
        RETURN NULL;   -- a few rows, one entry each, and each follows its entry
    END IF;

    -- Each new version is one entry; their sums are the growth of both turnovers; each says the balance that it led to.
    SELECT d.account_id INTO wrong
      FROM (SELECT r.account_id, sum(r.debits) AS debits, sum(r.credits) AS credits,
                   min(r.version) AS old_version, max(r.version) AS version,
                   bool_and(r.debit_normal) AS debit_normal, bool_or(r.debit_normal) AS debit_normal_too,
                   sum(r.old_net) AS old_net, max(r.new_posted_at) AS posted_at, max(r.old_posted_at) AS old_posted_at
              FROM (SELECT n.account_id, n.debits, n.credits, n.version, n.debit_normal, 0::bigint AS old_net,
                           n.posted_at AS new_posted_at, NULL::timestamptz AS old_posted_at FROM new_rows n
                    UNION ALL
                    SELECT o.account_id, -o.debits, -o.credits, o.version, o.debit_normal, o.debits - o.credits,
                           NULL, o.posted_at FROM old_rows o) r
             GROUP BY r.account_id) d
     WHERE d.debit_normal IS DISTINCT FROM d.debit_normal_too
        OR (SELECT count(*) = d.version - d.old_version
                   AND coalesce(sum(x.debit), 0) = d.debits
                   AND coalesce(sum(x.credit), 0) = d.credits
                   AND coalesce(bool_and(x.follows), true)
                   AND coalesce(min(x.posted_at) >= d.old_posted_at, true)
                   AND coalesce(max(x.posted_at), d.old_posted_at) IS NOT DISTINCT FROM d.posted_at
              FROM (SELECT e.posted_at,
                           CASE e.side WHEN 'D' THEN e.amount ELSE 0 END AS debit,
                           CASE e.side WHEN 'D' THEN 0 ELSE e.amount END AS credit,
                           e.balance_after = (CASE WHEN d.debit_normal THEN 1 ELSE -1 END)
                               * (d.old_net + sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END)
                                                  OVER (ORDER BY e.account_version)) AS follows
                      FROM ledger_entry e
                     WHERE e.account_id = d.account_id AND e.account_version > d.old_version
                       AND e.account_version <= d.version) x) IS NOT TRUE
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'balance of account % does not follow its entries', wrong USING ERRCODE = 'FL002';
    END IF;
    RETURN NULL;
END $$;

-- A transaction and all its legs arrive in one statement. These two triggers fire at its end, when the transaction has
-- its xid: a period that was closed before that is seen, and closing waits for every xid that came before it.
CREATE OR REPLACE FUNCTION ledger_transaction_has_entries() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE found_wrong record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'posting wants READ COMMITTED: an older snapshot cannot see that a period was closed'
            USING ERRCODE = 'FL012';
    END IF;
    SELECT n.id INTO found_wrong
      FROM new_rows n
      LEFT JOIN ledger_book b ON b.id = n.book_id
      LEFT JOIN ledger_entry e ON e.id = n.id * 32768 + 1
     WHERE (n.created_xid = pg_current_xact_id() AND e.id IS NOT NULL AND b.id IS NOT NULL
            AND n.reverses_id IS NULL AND n.kind NOT IN ('reversal', 'partial_reversal')
            AND (b.closed_before IS NULL OR n.effective_at >= b.closed_before)
            AND (b.soft_closed_before IS NULL OR n.effective_at >= b.soft_closed_before)) IS NOT TRUE;
    IF NOT FOUND THEN
        RETURN NULL;   -- all are complete, in a book that is open at their date, and reverse nothing
    END IF;

    SELECT min(t.id) FILTER (WHERE NOT t.together) AS alone, min(t.id) FILTER (WHERE t.book IS NULL) AS homeless,
           min(t.id) FILTER (WHERE t.closed) AS late, bool_or(t.reverses) AS reverses INTO found_wrong
      FROM (SELECT n.id, b.id AS book,
                   n.reverses_id IS NOT NULL OR n.kind IN ('reversal', 'partial_reversal') AS reverses,
                   n.created_xid = pg_current_xact_id()
                       AND EXISTS (SELECT 1 FROM ledger_entry e WHERE e.id = n.id * 32768 + 1) AS together,
                   n.effective_at < b.closed_before OR n.effective_at < b.soft_closed_before AND NOT EXISTS (
                       SELECT 1 FROM ledger_period p
                        WHERE p.book_id = n.book_id AND n.effective_at >= coalesce(p.starts_at, n.effective_at)
                          AND n.effective_at < p.ends_at
                          AND p.status = 'soft_closed' AND n.actor = ANY (p.may_post)) AS closed
              FROM new_rows n
              LEFT JOIN LATERAL (SELECT k.id, k.closed_before, k.soft_closed_before
                                   FROM ledger_book k WHERE k.id = n.book_id OFFSET 0) b ON true) t;
    IF found_wrong.alone IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % must be inserted together with its entries', found_wrong.alone
            USING ERRCODE = 'FL003';
    ELSIF found_wrong.homeless IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % names a book that does not exist', found_wrong.homeless USING ERRCODE = 'FL008';
    ELSIF found_wrong.late IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % is effective in a closed period', found_wrong.late USING ERRCODE = 'FL011';
    ELSIF NOT found_wrong.reverses THEN
        RETURN NULL;
    END IF;

    -- Reversals of one transaction wait for each other; the sums are read in a later statement, which sees them all.
    PERFORM 1 FROM ledger_transaction o WHERE o.id IN (SELECT n.reverses_id FROM new_rows n)
      ORDER BY o.id FOR NO KEY UPDATE;
    -- All reversals together never exceed the original, account by account; a full one is its exact negation.
    SELECT min(n.id) AS id INTO found_wrong
      FROM new_rows n
     WHERE (n.reverses_id IS NOT NULL OR n.kind IN ('reversal', 'partial_reversal'))
       AND (NOT EXISTS (SELECT 1 FROM ledger_transaction o WHERE o.id = n.reverses_id AND o.book_id = n.book_id)
            OR n.kind IN ('reversal', 'partial_reversal') AND EXISTS (
                SELECT 1
                  FROM (SELECT e.account_id, e.currency, t.role,
                               CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END AS amount
                          FROM (SELECT n.reverses_id AS id, 'original' AS role
                                UNION ALL
                                SELECT r.id, CASE r.id WHEN n.id THEN 'this' ELSE 'other' END
                                  FROM ledger_transaction r
                                 WHERE r.reverses_id = n.reverses_id AND r.kind IN ('reversal', 'partial_reversal')) t
                          JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767) x
                 GROUP BY x.account_id, x.currency
                HAVING coalesce(sum(x.amount) FILTER (WHERE x.role <> 'original'), 0)
                           NOT BETWEEN least(0, -coalesce(sum(x.amount) FILTER (WHERE x.role = 'original'), 0))
                               AND greatest(0, -coalesce(sum(x.amount) FILTER (WHERE x.role = 'original'), 0))
                    OR coalesce(sum(x.amount) FILTER (WHERE x.role = 'this'), 0)
                           NOT BETWEEN least(0, -coalesce(sum(x.amount) FILTER (WHERE x.role = 'original'), 0))
                               AND greatest(0, -coalesce(sum(x.amount) FILTER (WHERE x.role = 'original'), 0))
                    OR n.kind = 'reversal' AND sum(x.amount) FILTER (WHERE x.role <> 'other') <> 0));
    IF found_wrong.id IS NOT NULL THEN
        RAISE EXCEPTION 'reversal % does not negate its original, or all reversals exceed it', found_wrong.id
            USING ERRCODE = 'FL009';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
    wrong record;
    line record;
    lines int := 0;
    expected int;
    before_first bigint;
    money text;
    total numeric := 0;
    fine boolean := true;
BEGIN
    -- Row by row, until one is not the next leg of the first row's transaction.
    FOR line IN
        SELECT e.id, e.transaction_id, e.currency, CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END AS amount,
               t.leg_count,
               t.created_xid = pg_current_xact_id() AND t.book_id = e.book_id
                   AND t.effective_at = e.effective_at AND t.posted_at = e.posted_at
                   AND a.book_id = e.book_id AND a.currency = e.currency AND a.closed_at IS NULL
                   AND CASE a.mode WHEN 'authorizing' THEN e.account_version <= b.version
                                   ELSE e.account_version IS NULL END AS fits
          FROM new_rows e
          LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
          LEFT JOIN ledger_account a ON a.id = e.account_id
          LEFT JOIN ledger_balance b ON b.account_id = e.account_id
    LOOP
        IF lines = 0 THEN
            before_first := line.transaction_id * 32768;
            expected := line.leg_count;
            money := line.currency;
        END IF;
        lines := lines + 1;
        fine := line.fits AND line.id = before_first + lines AND line.currency = money;
        EXIT WHEN fine IS NOT TRUE;
        total := total + line.amount;
    END LOOP;
    IF fine AND lines = expected AND total = 0 THEN
        RETURN NULL;   -- one transaction, all its legs, one currency: as most are
    END IF;

    -- Per currency of a transaction first, then per transaction: legs are numbered 1 to leg_count (unique through the
    -- entry's id), so a later statement has no number left to add one under.
    SELECT * INTO wrong FROM (
        SELECT c.transaction_id AS id, bool_and(c.sum = 0) AS balances,
               sum(c.legs) IS NOT DISTINCT FROM max(c.leg_count)::bigint AND max(c.last_leg) = max(c.leg_count)
                   AS complete,
               bool_and(c.fresh) AS fresh, bool_and(c.accounts_exist) AS accounts_exist,
               bool_and(c.accounts_open) AS accounts_open, bool_and(c.versions_fit) AS versions_fit
          FROM (SELECT e.transaction_id, e.currency, count(*) AS legs, max(e.leg) AS last_leg,
                       sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) AS sum,
                       max(t.leg_count) AS leg_count,
                       bool_and(coalesce(t.created_xid = pg_current_xact_id() AND t.book_id = e.book_id
                                         AND t.effective_at = e.effective_at AND t.posted_at = e.posted_at, false))
                           AS fresh,
                       bool_and(coalesce(a.book_id = e.book_id AND a.currency = e.currency, false)) AS accounts_exist,
                       bool_and(a.closed_at IS NULL) AS accounts_open,
                       bool_and(CASE a.mode
                                WHEN 'authorizing' THEN coalesce(e.account_version <= (
                                    SELECT b.version FROM ledger_balance b WHERE b.account_id = e.account_id),
                                    false)
                                ELSE e.account_version IS NULL END) AS versions_fit
                  FROM new_rows e
                  LEFT JOIN LATERAL (SELECT k.leg_count, k.created_xid, k.book_id, k.effective_at, k.posted_at
                                       FROM ledger_transaction k WHERE k.id = e.transaction_id OFFSET 0) t ON true
                  LEFT JOIN LATERAL (SELECT k.book_id, k.currency, k.closed_at, k.mode
                                       FROM ledger_account k WHERE k.id = e.account_id OFFSET 0) a ON true
                 GROUP BY e.transaction_id, e.currency) c
         GROUP BY c.transaction_id) x
     WHERE NOT (x.balances AND x.complete AND x.fresh AND x.accounts_exist AND x.accounts_open AND x.versions_fit)
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NOT wrong.accounts_exist THEN
        RAISE EXCEPTION 'transaction % names an account that is not in its book and currency', wrong.id
            USING ERRCODE = 'FL008';
    ELSIF NOT wrong.fresh THEN
        RAISE EXCEPTION 'entries cannot be added to transaction %', wrong.id USING ERRCODE = 'FL003';
    ELSIF NOT wrong.complete THEN
        RAISE EXCEPTION 'all legs of transaction % must come in one statement', wrong.id USING ERRCODE = 'FL003';
    ELSIF NOT wrong.balances THEN
        RAISE EXCEPTION 'transaction % does not balance', wrong.id USING ERRCODE = 'FL004';
    ELSIF NOT wrong.accounts_open THEN
        RAISE EXCEPTION 'transaction % posts to a closed account', wrong.id USING ERRCODE = 'FL005';
    END IF;
    RAISE EXCEPTION 'versions of transaction % differ from the balance rows of its accounts', wrong.id
        USING ERRCODE = 'FL002';
END $$;
