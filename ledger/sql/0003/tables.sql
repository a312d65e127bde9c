-- Entries and transactions as they are from here on.
--
-- An entry's id is its transaction's id and its leg number in one: unique by construction, in posting order, and one
-- index where three were. The order of transactions that no late commit can disturb is (cluster_epoch, created_xid, id):
-- what lies below the horizon of running transactions never changes again. Folding, sealing and checking walk it.

ALTER TABLE ledger_transaction
    ADD COLUMN cluster_epoch smallint NOT NULL DEFAULT 1,
    ADD COLUMN occurred_at timestamptz,
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
CREATE INDEX transaction_in_commit_order ON ledger_transaction (cluster_epoch, created_xid, id);

-- A rewrite of the table is no UPDATE: the append-only triggers stay on all the while.
DROP INDEX entry_by_account, entry_leg_is_unique_in_its_transaction;
ALTER TABLE ledger_entry ALTER COLUMN id DROP IDENTITY IF EXISTS;
ALTER TABLE ledger_entry
    ALTER COLUMN id TYPE bigint USING transaction_id * 32768 + leg,
    ADD COLUMN posted_at timestamptz;

-- The new column is filled in place, once, by the owner of the schema.
ALTER TABLE ledger_entry DISABLE TRIGGER entries_are_append_only;
UPDATE ledger_entry e SET posted_at = t.posted_at FROM ledger_transaction t WHERE t.id = e.transaction_id;
ALTER TABLE ledger_entry ENABLE TRIGGER entries_are_append_only;
ALTER TABLE ledger_entry
    ALTER COLUMN posted_at SET NOT NULL,
    ADD CONSTRAINT entry_id_is_its_transaction_and_leg CHECK (id = transaction_id * 32768 + leg);
CREATE INDEX entry_by_account ON ledger_entry (account_id, posted_at, id);
CREATE INDEX entry_of_another_date ON ledger_entry (account_id, effective_at, id) WHERE effective_at <> posted_at;

-- The time of the last posting: an account's entries never go back in time, whatever the clocks of the posters say.
ALTER TABLE ledger_balance ADD COLUMN posted_at timestamptz;
ALTER TABLE ledger_balance DISABLE TRIGGER balances_follow_entries;
UPDATE ledger_balance b SET posted_at = e.posted_at
  FROM (SELECT account_id, max(posted_at) AS posted_at FROM ledger_entry GROUP BY account_id) e
 WHERE e.account_id = b.account_id;
ALTER TABLE ledger_balance ENABLE TRIGGER balances_follow_entries;

-- Until when a book is closed (nobody posts before it) and softly closed (only those named by the period).
ALTER TABLE ledger_book ADD COLUMN closed_before timestamptz, ADD COLUMN soft_closed_before timestamptz;
