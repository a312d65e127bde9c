-- What reading the books over the API needs: accounts by prefix of their code and with a public id, transactions of a book
-- by kind and time, and the net of an account in the order of effective dates.

-- Codes compare byte by byte whatever the collation of the database, so that a prefix is a range of the unique index.
ALTER TABLE ledger_account ALTER COLUMN code TYPE varchar(128) COLLATE "C";

-- An id as the API has them: a UUID of version 7, made here because accounts are opened here.
CREATE FUNCTION ledger_new_public_id() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = public, pg_temp AS $$
    SELECT encode(set_byte(b.bytes, 6, get_byte(b.bytes, 6) & 15 | 112), 'hex')::uuid
      FROM (SELECT overlay(uuid_send(gen_random_uuid())
                           PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                           FROM 1 FOR 6) AS bytes) b
$$;
REVOKE ALL ON FUNCTION ledger_new_public_id() FROM PUBLIC;
ALTER TABLE ledger_account ADD COLUMN public_id uuid NOT NULL DEFAULT ledger_new_public_id();
CREATE UNIQUE INDEX account_public_id_is_unique ON ledger_account (public_id);

CREATE OR REPLACE FUNCTION ledger_account_is_fixed() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.public_id, NEW.book_id, NEW.code, NEW.type, NEW.currency, NEW.mode, NEW.created_at) IS DISTINCT FROM
       (OLD.id, OLD.public_id, OLD.book_id, OLD.code, OLD.type, OLD.currency, OLD.mode, OLD.created_at) THEN
        RAISE EXCEPTION 'account % is fixed: only closed_at may change', OLD.code USING ERRCODE = 'FL001';
    END IF;
    RETURN NEW;
END $$;

-- Lists and exports of a book. All kinds together are read as one range of each kind.
CREATE INDEX transaction_by_kind ON ledger_transaction (book_id, kind, posted_at, id);

-- The net of an account, debit positive, over its entries before the position (p_at, p_before) in the order of effective
-- dates: the net in the order of posting, corrected by the entries that carry another date than that of their posting.
CREATE FUNCTION ledger_net_effective_before(p_account bigint, p_at timestamptz, p_before bigint) RETURNS numeric
LANGUAGE sql STABLE SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    SELECT ledger_net_before(p_account, p_at, p_before)
        + coalesce((SELECT sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) FROM ledger_entry e
                     WHERE e.account_id = p_account AND e.effective_at <> e.posted_at
                       AND (e.effective_at, e.id) < (p_at, p_before) AND (e.posted_at, e.id) >= (p_at, p_before)), 0)
        - coalesce((SELECT sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) FROM ledger_entry e
                     WHERE e.account_id = p_account AND e.effective_at <> e.posted_at
                       AND (e.effective_at, e.id) >= (p_at, p_before) AND (e.posted_at, e.id) < (p_at, p_before)), 0)
$$;
