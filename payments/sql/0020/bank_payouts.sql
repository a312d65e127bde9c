-- Payouts through the merchant's own bank: tenancy, the machine of files, what never changes, and that no payout is in
-- two files.

CREATE TRIGGER transitions_are_legal AFTER UPDATE ON payments_bankfile
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION payments_check_transitions();
CREATE TRIGGER births_are_legal AFTER INSERT ON payments_bankfile REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION payments_check_birth();

ALTER TABLE payments_payout
    ADD CONSTRAINT payout_is_in_its_bank_accounts_book FOREIGN KEY (bank_account_id, book_id)
        REFERENCES payments_ownbankaccount (id, book_id);
ALTER TABLE payments_bankfile
    ADD CONSTRAINT bank_file_is_in_its_accounts_book FOREIGN KEY (bank_account_id, book_id)
        REFERENCES payments_ownbankaccount (id, book_id);
ALTER TABLE payments_bankinstruction
    ADD CONSTRAINT instruction_is_in_its_files_book FOREIGN KEY (file_id, book_id)
        REFERENCES payments_bankfile (id, book_id),
    ADD CONSTRAINT instruction_is_in_its_payouts_book FOREIGN KEY (payout_id, book_id)
        REFERENCES payments_payout (id, book_id),
    ADD CONSTRAINT instruction_is_in_its_destinations_book FOREIGN KEY (destination_id, book_id)
        REFERENCES payments_payoutdestination (id, book_id);

-- Another IBAN is another account, and what the books call it is fixed.
CREATE FUNCTION payments_keep_bank_account() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE free text[] := ARRAY['holder', 'bic', 'schema', 'closed_at'];
BEGIN
    IF to_jsonb(NEW) - free <> to_jsonb(OLD) - free THEN
        RAISE EXCEPTION 'bank account %: its name and its IBAN do not change', OLD.id USING ERRCODE = 'FL021';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bank_account_keeps_its_iban BEFORE UPDATE ON payments_ownbankaccount
    FOR EACH ROW EXECUTE FUNCTION payments_keep_bank_account();

-- The bytes of a file are made once, and so is what it says of them.
CREATE FUNCTION payments_keep_bank_file() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.public_id, NEW.book_id, NEW.bank_account_id, NEW.currency, NEW.count, NEW.total_minor, NEW.execution_on,
        NEW.schema, NEW.content, NEW.sha256, NEW.made_by, NEW.made_at)
       IS DISTINCT FROM (OLD.public_id, OLD.book_id, OLD.bank_account_id, OLD.currency, OLD.count, OLD.total_minor,
        OLD.execution_on, OLD.schema, OLD.content, OLD.sha256, OLD.made_by, OLD.made_at)
       OR OLD.approved_by IS NOT NULL
          AND (NEW.approved_by, NEW.approved_at) IS DISTINCT FROM (OLD.approved_by, OLD.approved_at) THEN
        RAISE EXCEPTION 'bank file %: what was made does not change', OLD.id USING ERRCODE = 'FL021';
    ELSIF OLD.status = 'requires_approval' AND NEW.status = 'ready' AND NEW.approved_by IS NULL THEN
        RAISE EXCEPTION 'bank file %: nobody approved it', OLD.id USING ERRCODE = 'FL023';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bank_file_is_made_once BEFORE UPDATE ON payments_bankfile
    FOR EACH ROW EXECUTE FUNCTION payments_keep_bank_file();

-- Count and total are those of its payouts, all put in by one statement; each is told as it is, and waits.
CREATE FUNCTION payments_check_instructions() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE wrong record;
BEGIN
    SELECT n.payout_id INTO wrong
      FROM new_rows n
      JOIN payments_bankfile f ON f.id = n.file_id
      LEFT JOIN payments_payout p ON p.id = n.payout_id AND p.status = 'pending' AND p.amount_minor = n.amount_minor
           AND p.destination_id = n.destination_id AND p.currency = f.currency
           AND p.bank_account_id = f.bank_account_id
     WHERE p.id IS NULL OR n.withdrawn_at IS NOT NULL OR n.booked_on IS NOT NULL OR n.refused_on IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'payout %: a file tells it as it is, while it is pending', wrong.payout_id
            USING ERRCODE = 'FL023';
    END IF;
    SELECT f.id INTO wrong
      FROM payments_bankfile f
      JOIN (SELECT i.file_id, count(*) AS count, sum(i.amount_minor) AS total FROM payments_bankinstruction i
             WHERE i.file_id IN (SELECT file_id FROM new_rows) GROUP BY i.file_id) s ON s.file_id = f.id
     WHERE f.count <> s.count OR f.total_minor <> s.total OR f.status NOT IN ('requires_approval', 'ready') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'bank file %: its count and total are not those of its payouts', wrong.id
            USING ERRCODE = 'FL023';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER instructions_make_the_file AFTER INSERT ON payments_bankinstruction
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION payments_check_instructions();

-- At the end of the transaction: a file has its instructions, and a withdrawn one has none that counts.
CREATE FUNCTION payments_check_bank_file() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    told bigint;
    counting bigint;
    meant bigint;
BEGIN
    SELECT CASE f.status WHEN 'withdrawn' THEN 0 ELSE f.count END INTO meant
      FROM payments_bankfile f WHERE f.id = NEW.id;
    SELECT count(*), count(*) FILTER (WHERE i.withdrawn_at IS NULL) INTO told, counting
      FROM payments_bankinstruction i WHERE i.file_id = NEW.id;
    IF told <> NEW.count OR counting <> meant THEN
        RAISE EXCEPTION 'bank file %: % of % payouts, and % count instead of %', NEW.id, told, NEW.count, counting, meant
            USING ERRCODE = 'FL023';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER bank_file_has_its_instructions AFTER INSERT OR UPDATE OF status ON payments_bankfile
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments_check_bank_file();

-- What was told to the bank stays told. Outcomes are written once; withdrawn with the file only.
CREATE FUNCTION payments_keep_instruction() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.file_id, NEW.book_id, NEW.payout_id, NEW.destination_id, NEW.end_to_end_id, NEW.amount_minor)
       IS DISTINCT FROM
       (OLD.file_id, OLD.book_id, OLD.payout_id, OLD.destination_id, OLD.end_to_end_id, OLD.amount_minor)
       OR OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS DISTINCT FROM OLD.withdrawn_at
       OR OLD.booked_on IS NOT NULL
          AND (NEW.booked_on, NEW.booked_reference) IS DISTINCT FROM (OLD.booked_on, OLD.booked_reference)
       OR OLD.returned_on IS NOT NULL
          AND (NEW.returned_on, NEW.returned_reference) IS DISTINCT FROM (OLD.returned_on, OLD.returned_reference)
       OR OLD.refused_on IS NOT NULL AND NEW.refused_on IS DISTINCT FROM OLD.refused_on THEN
        RAISE EXCEPTION 'instruction %: what was told does not change', OLD.id USING ERRCODE = 'FL021';
    ELSIF OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM payments_bankfile f WHERE f.id = NEW.file_id AND f.status = 'withdrawn') THEN
        RAISE EXCEPTION 'instruction %: it is withdrawn with its file', OLD.id USING ERRCODE = 'FL023';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER instruction_stays_as_it_was_told BEFORE UPDATE ON payments_bankinstruction
    FOR EACH ROW EXECUTE FUNCTION payments_keep_instruction();

CREATE TRIGGER hand_outs_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_bankfilehandout
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();

-- As in 0011, and: it keeps its way; one that is in a file neither ends nor changes its destination; one of a bank is sent
-- by handing its file out.
CREATE OR REPLACE FUNCTION payments_keep_payout() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE in_file text;
BEGIN
    IF (NEW.book_id, NEW.seller_id, NEW.currency, NEW.amount_minor, NEW.requested_by, NEW.psp_account_id,
        NEW.bank_account_id)
       IS DISTINCT FROM (OLD.book_id, OLD.seller_id, OLD.currency, OLD.amount_minor, OLD.requested_by,
                         OLD.psp_account_id, OLD.bank_account_id)
       OR NEW.destination_id <> OLD.destination_id AND OLD.status NOT IN ('requires_approval', 'pending') THEN
        RAISE EXCEPTION 'payout %: its amount, seller, destination and way do not change', OLD.id
            USING ERRCODE = 'FL021';
    END IF;
    IF NEW.bank_account_id IS NULL OR OLD.status <> 'pending'
       OR NEW.status = 'pending' AND NEW.destination_id = OLD.destination_id THEN
        RETURN NEW;
    END IF;
    SELECT f.status INTO in_file FROM payments_bankinstruction i JOIN payments_bankfile f ON f.id = i.file_id
     WHERE i.payout_id = NEW.id AND i.withdrawn_at IS NULL;
    IF NEW.status = 'sent' AND in_file IS DISTINCT FROM 'handed_out' THEN
        RAISE EXCEPTION 'payout %: it is sent by handing its file out', OLD.id USING ERRCODE = 'FL023';
    ELSIF NEW.status <> 'sent' AND in_file IS NOT NULL THEN
        RAISE EXCEPTION 'payout %: it is in a file for the bank', OLD.id USING ERRCODE = 'FL023';
    END IF;
    RETURN NEW;
END $$;

REVOKE DELETE, TRUNCATE ON payments_ownbankaccount, payments_bankfile, payments_bankinstruction FROM florin_app;
REVOKE UPDATE, DELETE, TRUNCATE ON payments_bankfilehandout FROM florin_app;
