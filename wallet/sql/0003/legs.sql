-- What the legs of a proposal are: 2 to 10,000 objects {"account", "side", "amount", "currency"}, amounts in minor units
-- from 1 to the largest bigint, debits equal to credits in each currency. Asked by a constraint of wallet_proposal.
CREATE FUNCTION wallet_legs_are_sound(p_legs jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = public, pg_temp AS $$
DECLARE names text[] := ARRAY['account', 'side', 'amount', 'currency'];
BEGIN
    IF jsonb_typeof(p_legs) <> 'array' THEN
        RETURN false;
    ELSIF jsonb_array_length(p_legs) NOT BETWEEN 2 AND 10000 THEN
        RETURN false;
    ELSIF EXISTS (SELECT 1 FROM jsonb_array_elements(p_legs) AS l (leg)
                   WHERE CASE WHEN jsonb_typeof(l.leg) <> 'object' THEN true
                              WHEN NOT l.leg ?& names OR l.leg - names <> '{}' THEN true
                              WHEN jsonb_typeof(l.leg -> 'account') <> 'string' THEN true
                              WHEN jsonb_typeof(l.leg -> 'currency') <> 'string' THEN true
                              WHEN l.leg -> 'side' NOT IN ('"D"', '"C"') THEN true
                              WHEN jsonb_typeof(l.leg -> 'amount') <> 'number' THEN true
                              WHEN l.leg ->> 'amount' !~ '^[1-9][0-9]{0,18}$' THEN true
                              ELSE (l.leg ->> 'amount')::numeric > 9223372036854775807 END) THEN
        RETURN false;
    END IF;
    RETURN NOT EXISTS (
        SELECT 1 FROM jsonb_array_elements(p_legs) AS l (leg) GROUP BY l.leg ->> 'currency'
        HAVING sum(CASE l.leg ->> 'side' WHEN 'D' THEN 1 ELSE -1 END * (l.leg ->> 'amount')::numeric) <> 0);
END $$;
