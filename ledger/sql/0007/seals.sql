-- Seals: each book is a chain of Merkle blocks over its transactions, in the order (cluster_epoch, created_xid, id) that no
-- late commit can disturb. Hashes are made and signed in ledger/seals; here is what the chain refuses.

-- Where sealing stands, over all books: as the mark of the fold.
CREATE TABLE ledger_seal_mark (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    cluster_epoch smallint NOT NULL,
    xid xid8 NOT NULL,
    transaction_id bigint NOT NULL,
    sealed_at timestamptz
);
INSERT INTO ledger_seal_mark (cluster_epoch, xid, transaction_id) VALUES (0, '0', 0);

-- Public keys, to be read. That one is here does not make it trusted (ledger/seals/keys.py).
CREATE TABLE ledger_seal_key (
    key_id text PRIMARY KEY,
    public_key bytea NOT NULL,
    added_at timestamptz NOT NULL,
    CONSTRAINT seal_key_has_its_own_name
        CHECK (octet_length(public_key) = 32 AND key_id = left(encode(sha256(public_key), 'hex'), 16))
);

-- The transactions and their leaves stand beside the root, so that a check can name the row that has changed. last_* are
-- the place of the last transaction in commit order: by it the block of a transaction is found. Neither is signed: what
-- is wrong in them does not give the root.
CREATE TABLE ledger_seal (
    book_id bigint NOT NULL REFERENCES ledger_book (id),
    number bigint NOT NULL,
    previous_hash bytea NOT NULL,
    root bytea NOT NULL,
    leaf_count integer NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    key_id text NOT NULL REFERENCES ledger_seal_key (key_id),
    block_hash bytea NOT NULL,
    signature bytea NOT NULL,
    last_epoch smallint NOT NULL,
    last_xid xid8 NOT NULL,
    last_id bigint NOT NULL,
    transaction_ids bigint[] NOT NULL,
    leaves bytea NOT NULL,
    PRIMARY KEY (book_id, number),
    CONSTRAINT seal_holds_its_leaves CHECK (
        leaf_count >= 1 AND cardinality(transaction_ids) = leaf_count AND octet_length(leaves) = 32 * leaf_count
        AND last_position = first_position + leaf_count - 1 AND number >= 1 AND last_id = transaction_ids[leaf_count]),
    CONSTRAINT seal_hashes_are_complete CHECK (
        octet_length(previous_hash) = 32 AND octet_length(root) = 32 AND octet_length(block_hash) = 32
        AND octet_length(signature) = 64)
);
CREATE UNIQUE INDEX seal_by_commit_order ON ledger_seal (book_id, last_epoch, last_xid, last_id);
-- Hashes do not compress.
ALTER TABLE ledger_seal ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- Up to which block a place outside (a file, a bucket) has the heads of a book. Whoever changes it has them written again,
-- or not at all: then the place is short, which a check says.
CREATE TABLE ledger_seal_published (
    place text NOT NULL,
    book_id bigint NOT NULL REFERENCES ledger_book (id),
    number bigint NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (place, book_id)
);

CREATE TRIGGER seals_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_seal
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER seal_keys_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_seal_key
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER seal_mark_is_never_deleted BEFORE DELETE OR TRUNCATE ON ledger_seal_mark
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

CREATE FUNCTION ledger_seal_mark_moves_forward() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.cluster_epoch, NEW.xid, NEW.transaction_id) < (OLD.cluster_epoch, OLD.xid, OLD.transaction_id) THEN
        RAISE EXCEPTION 'the mark of the seals moves forward only' USING ERRCODE = 'FL001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER seal_mark_moves_forward BEFORE UPDATE ON ledger_seal_mark
    FOR EACH ROW EXECUTE FUNCTION ledger_seal_mark_moves_forward();

-- A block continues the last one of its book, and its hash is that of its header (ledger/seals/blocks.py). That the root
-- is that of the leaves, and the signature one of a trusted key, is for a check to find: this function has no keys.
CREATE FUNCTION ledger_seal_continues() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE last record;
BEGIN
    SELECT s.number, s.block_hash, s.last_position, s.sealed_at,
           (s.last_epoch, s.last_xid, s.last_id) < (NEW.last_epoch, NEW.last_xid, NEW.last_id) AS before
      INTO last FROM ledger_seal s WHERE s.book_id = NEW.book_id ORDER BY s.number DESC LIMIT 1;
    IF NEW.number <> coalesce(last.number, 0) + 1 OR NEW.first_position <> coalesce(last.last_position, 0) + 1
       OR NEW.previous_hash <> coalesce(last.block_hash, decode(repeat('00', 32), 'hex'))
       OR NEW.sealed_at < last.sealed_at OR NOT last.before
       OR NEW.block_hash <> sha256('\x02'::bytea || record_send(ROW(
              'florin.block.1'::bytea, (SELECT convert_to(b.code, 'UTF8') FROM ledger_book b WHERE b.id = NEW.book_id),
              NEW.number, NEW.previous_hash, NEW.root, NEW.leaf_count, NEW.first_position, NEW.last_position,
              NEW.sealed_at, convert_to(NEW.key_id, 'UTF8')))) THEN
        RAISE EXCEPTION 'block % does not continue the chain of book %', NEW.number, NEW.book_id
            USING ERRCODE = 'FL015';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER seals_continue_their_chain BEFORE INSERT ON ledger_seal
    FOR EACH ROW EXECUTE FUNCTION ledger_seal_continues();

-- Begin a step: the next transactions that no running one can come before, in order. Holds the mark until the end of the
-- database transaction; nothing comes when somebody else holds it. Takes no lock that a posting takes.
CREATE FUNCTION ledger_begin_sealing(p_limit int) RETURNS SETOF ledger_transaction LANGUAGE plpgsql SECURITY DEFINER
ROWS 1000 SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    mark record;
    epoch smallint := ledger_epoch();
    horizon xid8;
BEGIN
    SELECT * INTO mark FROM ledger_seal_mark m FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        horizon := pg_snapshot_xmin(pg_current_snapshot());
        RETURN QUERY
        SELECT t.* FROM ledger_transaction t
         WHERE (t.cluster_epoch, t.created_xid, t.id) > (mark.cluster_epoch, mark.xid, mark.transaction_id)
           AND (t.cluster_epoch < epoch OR t.created_xid < horizon)
         ORDER BY t.cluster_epoch, t.created_xid, t.id LIMIT p_limit;
    END IF;
END $$;

-- End a step: append one block to each book given, over the next transactions after the mark, and move the mark. Which
-- transactions these are is found here again: as many as there are leaves, none left out and none in another order.
-- Everything is by position: book, number, and so on; leaves are the hashes of a block one after another.
CREATE FUNCTION ledger_append_seals(
    p_public_key bytea, p_sealed_at timestamptz, p_book bigint[], p_number bigint[], p_previous_hash bytea[],
    p_root bytea[], p_leaf_count int[], p_block_hash bytea[], p_signature bytea[], p_leaves bytea[]
) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    mark record;
    epoch smallint := ledger_epoch();
    horizon xid8;
    wanted bigint := (SELECT sum(c.n) FROM unnest(p_leaf_count) AS c (n));
    appended int;
    taken bigint;
BEGIN
    SELECT * INTO mark FROM ledger_seal_mark m FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR wanted > 50000 OR cardinality(p_book) > 50000 THEN
        RAISE EXCEPTION 'somebody else is sealing, or the step is too large' USING ERRCODE = 'FL015';
    END IF;
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    INSERT INTO ledger_seal_key (key_id, public_key, added_at)
    VALUES (left(encode(sha256(p_public_key), 'hex'), 16), p_public_key, p_sealed_at) ON CONFLICT DO NOTHING;
    WITH passed AS MATERIALIZED (
        SELECT t.cluster_epoch, t.created_xid, t.id, t.book_id FROM ledger_transaction t
         WHERE (t.cluster_epoch, t.created_xid, t.id) > (mark.cluster_epoch, mark.xid, mark.transaction_id)
           AND (t.cluster_epoch < epoch OR t.created_xid < horizon)
         ORDER BY t.cluster_epoch, t.created_xid, t.id LIMIT wanted
    ), per_book AS MATERIALIZED (
        SELECT p.book_id, count(*) AS transactions, array_agg(p.id ORDER BY p.cluster_epoch, p.created_xid, p.id) AS ids,
               (array_agg(p.cluster_epoch ORDER BY p.cluster_epoch DESC, p.created_xid DESC, p.id DESC))[1] AS epoch,
               (array_agg(p.created_xid ORDER BY p.cluster_epoch DESC, p.created_xid DESC, p.id DESC))[1] AS xid
          FROM passed p GROUP BY p.book_id
    ), sealed AS (
        INSERT INTO ledger_seal (book_id, number, previous_hash, root, leaf_count, first_position, last_position,
                                 sealed_at, key_id, block_hash, signature, last_epoch, last_xid, last_id,
                                 transaction_ids, leaves)
        SELECT g.book, g.number, g.previous_hash, g.root, g.leaf_count, coalesce(l.last_position, 0) + 1,
               coalesce(l.last_position, 0) + g.leaf_count, p_sealed_at,
               left(encode(sha256(p_public_key), 'hex'), 16), g.block_hash, g.signature, b.epoch, b.xid,
               b.ids[cardinality(b.ids)], b.ids, g.leaves
          FROM unnest(p_book, p_number, p_previous_hash, p_root, p_leaf_count, p_block_hash, p_signature, p_leaves)
               AS g (book, number, previous_hash, root, leaf_count, block_hash, signature, leaves)
          JOIN per_book b ON b.book_id = g.book AND b.transactions = g.leaf_count
          LEFT JOIN LATERAL (SELECT s.last_position FROM ledger_seal s
                              WHERE s.book_id = g.book ORDER BY s.number DESC LIMIT 1) l ON true
        RETURNING leaf_count
    ), moved AS (
        UPDATE ledger_seal_mark m
           SET cluster_epoch = p.cluster_epoch, xid = p.created_xid, transaction_id = p.id, sealed_at = p_sealed_at
          FROM (SELECT * FROM passed x ORDER BY x.cluster_epoch DESC, x.created_xid DESC, x.id DESC LIMIT 1) p
    )
    SELECT count(*), sum(s.leaf_count) INTO appended, taken FROM sealed s;
    IF appended IS DISTINCT FROM cardinality(p_book) OR taken IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION 'the blocks are not the next transactions of their books' USING ERRCODE = 'FL015';
    END IF;
    RETURN appended;
END $$;

-- Heads up to these blocks are outside. Never goes back, never beyond what is sealed.
CREATE FUNCTION ledger_note_published(p_place text, p_book bigint[], p_number bigint[], p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO ledger_seal_published AS p (place, book_id, number, published_at)
    SELECT p_place, g.book, max(g.number), p_now FROM unnest(p_book, p_number) AS g (book, number)
      JOIN ledger_seal s ON s.book_id = g.book AND s.number = g.number
     GROUP BY g.book ORDER BY g.book
    ON CONFLICT (place, book_id) DO UPDATE SET number = excluded.number, published_at = excluded.published_at
     WHERE p.number < excluded.number
$$;

-- The transactions that no seal covers yet (counted to a million), and since when.
CREATE FUNCTION ledger_unsealed(OUT transactions bigint, OUT oldest timestamptz) LANGUAGE sql STABLE
SET search_path = public, pg_temp AS $$
    SELECT count(*), min(x.posted_at) FROM (
        SELECT t.posted_at FROM ledger_seal_mark m JOIN ledger_transaction t
            ON (t.cluster_epoch, t.created_xid, t.id) > (m.cluster_epoch, m.xid, m.transaction_id)
         ORDER BY t.cluster_epoch, t.created_xid, t.id LIMIT 1000000) x
$$;
