-- Who holds an API key, with the sellers that a request names (by our id or the merchant's) and the fee plan of each.
-- No row for a key that is unknown, revoked or expired, or whose merchant is suspended. In PL/pgSQL for its cached plan:
-- planning this anew costs four times what running it does.
CREATE FUNCTION payments_find_caller(p_hash bytea, p_now timestamptz, p_external text[], p_public uuid[])
RETURNS TABLE (key_id bigint, key_public_id uuid, merchant_id bigint, merchant_public_id uuid, book_id bigint, mode text,
               scopes text[], requires_signature boolean, signing_secret bytea, psp_account_id bigint,
               psp_account_code text, house_seller_id bigint, sellers text)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT k.id, k.public_id, m.id, m.public_id, coalesce(k.book_id, 0), coalesce(b.mode, '')::text, k.scopes::text[],
           k.requires_signature, k.signing_secret, p.id, coalesce(p.code, '')::text, mb.house_seller_id,
           coalesce((SELECT jsonb_agg(jsonb_build_object(
                        'id', s.id, 'public_id', s.public_id, 'external_id', s.external_id, 'bps', f.basis_points,
                        'fixed', (SELECT coalesce(jsonb_object_agg(x.currency, x.amount_minor), '{}')
                                    FROM payments_fixedfee x WHERE x.plan_id = f.id)))
                       FROM payments_seller s JOIN payments_feeplan f ON f.id = coalesce(s.fee_plan_id, mb.fee_plan_id)
                      WHERE s.book_id = k.book_id AND s.id IN (
                            SELECT e.id FROM payments_seller e
                             WHERE e.book_id = k.book_id AND e.external_id = ANY (p_external)
                            UNION ALL SELECT q.id FROM payments_seller q WHERE q.public_id = ANY (p_public)
                            UNION ALL SELECT mb.house_seller_id)), '[]'::jsonb)::text
      FROM payments_apikey k
      LEFT JOIN payments_merchant m ON m.id = k.merchant_id
      LEFT JOIN ledger_book b ON b.id = k.book_id
      LEFT JOIN payments_merchantbook mb ON mb.book_id = k.book_id
      LEFT JOIN payments_pspaccount p ON p.id = mb.default_psp_account_id
     WHERE k.key_hash = p_hash AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > p_now)
       AND (m.id IS NULL OR m.status = 'active');
END $$;

-- Intake: everything that accepting payments writes, in one call and one database transaction.
--
-- Each item is one payment: {"item", "book", "key", "fingerprint", "body", "fact", "event": {...}, "charges": [...],
-- "orders": [...], "operations": [...]}; `body` is the answer, and what is published under the id `fact`. Keys and
-- checkout ids are unique within one call.
-- Outcomes per item: 'created'; 'replayed' with the stored answer (the caller compares fingerprints);
-- 'checkout_exists' with the payment that holds the checkout id. Anything but 'created' wrote nothing.
CREATE FUNCTION payments_accept(p_items jsonb, p_now timestamptz)
RETURNS TABLE (item int, outcome text, stored_fingerprint bytea, stored_status smallint, stored_body text,
               existing uuid)
LANGUAGE plpgsql
-- Every table here is reached by index; plans made while the tables were empty must not read them whole later.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    keyed int[];    -- items whose idempotency key is new
    opened int[];   -- items whose payment was written
    events bigint[];
    charge_keys uuid[];   -- the new charges by public id, so that no statement below has to look one up in its table
    charge_ids bigint[];
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
        WITH stored AS (
            INSERT INTO payments_charge (public_id, book_id, event_id, psp_account_id, status, currency, amount_minor,
                                         created_at)
            SELECT c.public_id, x.book, o.event, c.psp_account_id, 'NEW', c.currency, c.amount_minor, p_now
              FROM unnest(opened, events) AS o (item, event)
              JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, charges jsonb) ON x.item = o.item,
                   jsonb_to_recordset(x.charges) AS c (public_id uuid, psp_account_id bigint, currency text,
                                                       amount_minor bigint)
            RETURNING public_id, id
        )
        SELECT array_agg(s.public_id), array_agg(s.id) INTO charge_keys, charge_ids FROM stored s;

        INSERT INTO payments_paymentorder (public_id, book_id, event_id, charge_id, seller_id, position, reference,
            status, currency, amount_minor, fee_minor, description, metadata, created_at, updated_at)
        SELECT d.public_id, x.book, o.event, c.id, d.seller_id, d.position, d.reference, d.status, d.currency,
               d.amount_minor, d.fee_minor, d.description, d.metadata, p_now, p_now
          FROM unnest(opened, events) AS o (item, event)
          JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, orders jsonb) ON x.item = o.item,
               jsonb_to_recordset(x.orders) AS d (public_id uuid, charge uuid, seller_id bigint, position smallint,
                   reference text, status text, currency text, amount_minor bigint, fee_minor bigint,
                   description text, metadata jsonb)
          JOIN unnest(charge_keys, charge_ids) AS c (public_id, id) ON c.public_id = d.charge;

        INSERT INTO payments_pspoperation (public_id, book_id, psp_account_id, kind, event_id, charge_id, amount_minor,
                                           parameters, created_at, due_at)
        SELECT p.public_id, x.book, p.psp_account_id, p.kind, o.event, c.id, p.amount_minor, p.parameters, p_now,
               CASE WHEN p.due THEN p_now END
          FROM unnest(opened, events) AS o (item, event)
          JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, operations jsonb) ON x.item = o.item,
               jsonb_to_recordset(x.operations) AS p (public_id uuid, charge uuid, psp_account_id bigint, kind text,
                                                      amount_minor bigint, parameters jsonb, due boolean)
          LEFT JOIN unnest(charge_keys, charge_ids) AS c (public_id, id) ON c.public_id = p.charge;

        INSERT INTO payments_outboxmessage (public_id, book_id, type, subject_kind, subject_id, data, created_at)
        SELECT x.fact, x.book, 'payment.created', 'payment', o.event, x.body::jsonb, p_now
          FROM unnest(opened, events) AS o (item, event)
          JOIN jsonb_to_recordset(p_items) AS x (item int, book bigint, fact uuid, body text) ON x.item = o.item;
    END IF;
    IF cardinality(opened) = jsonb_array_length(p_items) THEN
        RETURN QUERY SELECT x.i, 'created', NULL::bytea, NULL::smallint, NULL::text, NULL::uuid
                       FROM unnest(opened) AS x (i);
        RETURN;
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
