-- The limit: the least that could be called a posting, without any guard. A transaction, two entries, two balances.
CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 0)
    WITH (fillfactor = 70);
CREATE TABLE journal (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reference text NOT NULL,
                      posted_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, journal_id bigint NOT NULL,
                    account_id bigint NOT NULL, amount bigint NOT NULL);
CREATE INDEX entry_by_account ON entry (account_id, id);

CREATE FUNCTION post(p_from bigint, p_to bigint, p_amount bigint, p_reference text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE journal bigint;
BEGIN
    INSERT INTO journal (reference) VALUES (p_reference) RETURNING id INTO journal;
    INSERT INTO entry (journal_id, account_id, amount) VALUES (journal, p_from, -p_amount), (journal, p_to, p_amount);
    IF p_from < p_to THEN
        UPDATE account SET balance = balance - p_amount, version = version + 1 WHERE id = p_from;
        UPDATE account SET balance = balance + p_amount, version = version + 1 WHERE id = p_to;
    ELSE
        UPDATE account SET balance = balance + p_amount, version = version + 1 WHERE id = p_to;
        UPDATE account SET balance = balance - p_amount, version = version + 1 WHERE id = p_from;
    END IF;
    RETURN journal;
END $$;
