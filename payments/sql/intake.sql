-- Intake: everything that accepting payments writes, in one call and one database transaction.
--
-- Each item is one payment: {"item", "book", "key", "fingerprint", "body", "event": {...}, "charges": [...],
-- "orders": [...], "operations": [...], "outbox": [...]}. Keys and checkout ids are unique within one call.
-- Outcomes per item: 'created'; 'replayed' with the stored answer (the caller compares fingerprints);
-- 'checkout_exists' with the payment that holds the checkout id. Anything but 'created' wrote nothing.
CREATE FUNCTION payments_accept(p_items jsonb, p_now timestamptz)
RETURNS TABLE (item int, outcome text, stored_fingerprint bytea, stored_status smallint, stored_body text,
               existing uuid)
LANGUAGE plpgsql AS $$
DECLARE
    keyed int[];    -- items whose idempotency key is new
    opened int[];   -- items whose payment was written
    events bigint[];
BEGIN
    WITH r AS (
        SELECT * FROM jsonb_to_recordset(p_items) AS x (item int, book bigint, key text, fingerprint text, body text)
    ), stored AS (
        INSERT INTO payments_idempotencyrecord (book_id, key, fingerprint, status, body, created_at)
        SELECT r.book, r.key, decode(r.fingerprint, 'hex'), 201, r.body, p_now FROM r ORDER BY r.book, r.key
        ON CONFLICT DO NOTHING RETURNING book_id, key
    )
    SELECT array_agg(r.item) INTO keyed FROM r JOIN stored s ON s.book_id = r.book AND s.key = r.key;

    WITH r AS (
        SELECT x.item, x.book, e.* FROM jsonb_to_recordset(p_items) AS x (item int, book bigint, event jsonb),
               jsonb_to_record(x.event) AS e (public_id uuid, checkout_id text, fingerprint text, status text,
                   currency text, amount_minor bigint, charge_mode text, capture text, buyer jsonb,
                   payment_method_types text[], return_url text, metadata jsonb, expiry_due_at timestamptz)
         WHERE x.item = ANY (keyed)
    ), stored AS (
        INSERT INTO payments_paymentevent (public_id, book_id, checkout_id, fingerprint, status, currency, amount_minor,
            charge_mode, capture, buyer, payment_method_types, return_url, metadata, expiry_due_at, created_at,
            updated_at)
        SELECT r.public_id, r.book, r.checkout_id, decode(r.fingerprint, 'hex'), r.status, r.currency, r.amount_minor,
               r.charge_mode, r.capture, r.buyer, r.payment_method_types, r.return_url, r.metadata, r.expiry_due_at,
               p_now, p_now
          FROM r ORDER BY r.book, r.checkout_id
        ON CONFLICT (book_id, checkout_id) DO NOTHING RETURNING id, public_id
    )
    SELECT array_agg(r.item ORDER BY r.item), array_agg(s.id ORDER BY r.item) INTO opened, events
      FROM r JOIN stored s ON s.public_id = r.public_id;

    IF opened IS NOT NULL THEN
        INSERT INTO payments_charge (public_id, book_id, event_id, psp_account_id, status, currency, amount_minor,
                                     created_at)
        SELECT c.public_id, x.book, o.event, c.psp_account_id, 'NEW', c.currency, c.amount_minor, p_now
          FROM unnest(opened, events) AS o (item, event)
          JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, charges jsonb) ON x.item = o.item,
               jsonb_to_recordset(x.charges) AS c (public_id uuid, psp_account_id bigint, currency text,
                                                   amount_minor bigint);

        INSERT INTO payments_paymentorder (public_id, book_id, event_id, charge_id, seller_id, position, reference,
            status, currency, amount_minor, fee_minor, description, metadata, created_at, updated_at)
        SELECT d.public_id, x.book, o.event, c.id, d.seller_id, d.position, d.reference, d.status, d.currency,
               d.amount_minor, d.fee_minor, d.description, d.metadata, p_now, p_now
          FROM unnest(opened, events) AS o (item, event)
          JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, orders jsonb) ON x.item = o.item,
               jsonb_to_recordset(x.orders) AS d (public_id uuid, charge uuid, seller_id bigint, position smallint,
                   reference text, status text, currency text, amount_minor bigint, fee_minor bigint,
                   description text, metadata jsonb)
          JOIN payments_charge c ON c.public_id = d.charge;

        INSERT INTO payments_pspoperation (public_id, book_id, psp_account_id, kind, event_id, charge_id, amount_minor,
                                           parameters, created_at, due_at)
        SELECT p.public_id, x.book, p.psp_account_id, p.kind, o.event, c.id, p.amount_minor, p.parameters, p_now,
               CASE WHEN p.due THEN p_now END
          FROM unnest(opened, events) AS o (item, event)
          JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, operations jsonb) ON x.item = o.item,
               jsonb_to_recordset(x.operations) AS p (public_id uuid, charge uuid, psp_account_id bigint, kind text,
                                                      amount_minor bigint, parameters jsonb, due boolean)
          LEFT JOIN payments_charge c ON c.public_id = p.charge;

        INSERT INTO payments_outboxmessage (public_id, book_id, type, subject_kind, subject_id, data, created_at)
        SELECT m.public_id, x.book, m.type, 'payment', o.event, m.data, p_now
          FROM unnest(opened, events) AS o (item, event)
          JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, outbox jsonb) ON x.item = o.item,
               jsonb_to_recordset(x.outbox) AS m (public_id uuid, type text, data jsonb);
    END IF;

    -- A key must not outlive an effect that did not happen: the checkout id was taken.
    IF cardinality(keyed) > coalesce(cardinality(opened), 0) THEN
        DELETE FROM payments_idempotencyrecord i
         USING jsonb_to_recordset(p_items) AS x (item int, book bigint, key text)
         WHERE x.item = ANY (keyed) AND x.item <> ALL (coalesce(opened, '{}'))
           AND i.book_id = x.book AND i.key = x.key;
    END IF;

    RETURN QUERY
    SELECT x.item,
           CASE WHEN x.item = ANY (opened) THEN 'created' WHEN x.item = ANY (keyed) THEN 'checkout_exists'
                ELSE 'replayed' END,
           i.fingerprint, i.status, i.body, e.public_id
      FROM jsonb_to_recordset(p_items) AS x (item int, book bigint, key text, event jsonb)
      LEFT JOIN payments_idempotencyrecord i
        ON (keyed IS NULL OR x.item <> ALL (keyed)) AND i.book_id = x.book AND i.key = x.key
      LEFT JOIN payments_paymentevent e
        ON x.item = ANY (keyed) AND (opened IS NULL OR x.item <> ALL (opened))
           AND e.book_id = x.book AND e.checkout_id = x.event ->> 'checkout_id'
     ORDER BY x.item;
END $$;
