-- The walks in commit order (fold, seals) stop after p_limit rows of transaction_in_commit_order, whatever the planner
-- thinks. Where it thought that few rows lie below the horizon (statistics of another time, or of xids before a restore),
-- it could take the two halves of `epoch < ... OR xid < horizon` for two bitmaps and sort all that is left: each step then
-- costs the whole backlog, and working it off its square.

ALTER FUNCTION ledger_fold SET enable_bitmapscan = off;
ALTER FUNCTION ledger_fold SET jit = off;
ALTER FUNCTION ledger_fold_redated SET enable_bitmapscan = off;
ALTER FUNCTION ledger_begin_sealing SET enable_bitmapscan = off;
ALTER FUNCTION ledger_begin_sealing SET jit = off;
ALTER FUNCTION ledger_append_seals SET enable_bitmapscan = off;
ALTER FUNCTION ledger_append_seals SET jit = off;
ALTER FUNCTION ledger_tail SET enable_seqscan = off;
ALTER FUNCTION ledger_tail SET enable_bitmapscan = off;
ALTER FUNCTION ledger_tail SET jit = off;

-- The transactions that no seal covers yet (counted to a million), and since when. The mark is read by itself: joined, it
-- hid the order of the index, and all that is unsealed was sorted.
CREATE OR REPLACE FUNCTION ledger_unsealed(OUT transactions bigint, OUT oldest timestamptz) LANGUAGE sql STABLE
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
    SELECT count(*), min(x.posted_at) FROM (
        SELECT t.posted_at FROM ledger_transaction t
         WHERE (t.cluster_epoch, t.created_xid, t.id) > ((SELECT m.cluster_epoch FROM ledger_seal_mark m),
               (SELECT m.xid FROM ledger_seal_mark m), (SELECT m.transaction_id FROM ledger_seal_mark m))
         ORDER BY t.cluster_epoch, t.created_xid, t.id LIMIT 1000000) x
$$;
