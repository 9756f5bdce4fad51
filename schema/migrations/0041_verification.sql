-- Anybody who holds a paper can ask whether it is the office's: by the token that
-- stands on it, as a code and in the address of a public page.

-- 130 random bits in 26 characters without look-alikes (i, l, o and u are missing).
CREATE FUNCTION verification_token() RETURNS text LANGUAGE sql VOLATILE SET search_path = public, pg_temp AS $$
    SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + get_byte(h.random, i) % 32, 1), '' ORDER BY i)
    FROM (SELECT sha256((gen_random_uuid()::text || gen_random_uuid()::text)::bytea) AS random) h, generate_series(0, 25) i
$$;

-- Papers of before get one here; it is not on them, but whoever is given its address
-- finds their state.
ALTER TABLE document ADD COLUMN verification_token text NOT NULL DEFAULT verification_token()
    CHECK (verification_token ~ '^[0-9a-hjkmnp-tv-z]{26}$');
CREATE UNIQUE INDEX document_verification_token ON document (verification_token);

-- It is printed: it stays as it was drawn.
CREATE FUNCTION verification_token_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.verification_token <> OLD.verification_token THEN
        RAISE EXCEPTION 'document %: its verification token is on the paper', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'verification_token_kept';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER verification_token_kept BEFORE UPDATE OF verification_token ON document
    FOR EACH ROW EXECUTE FUNCTION verification_token_kept();

-- Whose signatures the paper wants, with name and post as printed; an empty name is
-- to be written by hand.
ALTER TABLE document ADD COLUMN signatures jsonb NOT NULL DEFAULT '[]';
UPDATE document SET signatures = jsonb_build_array(jsonb_build_object('name', signatory->>'name', 'post', signatory->>'post'))
    WHERE pdf_blob IS NOT NULL AND signatory->>'name' <> '';
UPDATE document d SET signatures = jsonb_build_array(
        jsonb_build_object('name', x.first_name, 'post', x.first_post), jsonb_build_object('name', x.second_name, 'post', x.second_post))
    FROM destruction x WHERE d.kind = 'destruction_report' AND x.id = d.subject_id AND d.pdf_blob IS NOT NULL;
