-- Master data that people look after: versions for two editors at once, what is no
-- longer used, names that an institution had before, keys bound to addresses.

ALTER TABLE institution
    ADD COLUMN email   text   NOT NULL DEFAULT '',
    ADD COLUMN phone   text   NOT NULL DEFAULT '',
    ADD COLUMN active  bool   NOT NULL DEFAULT true,
    ADD COLUMN version bigint NOT NULL DEFAULT 1;

-- People write "PT. Contoh" and "PT Contoh" for the same one.
CREATE FUNCTION name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT btrim(regexp_replace(lower(name), '[^[:alnum:]]+', ' ', 'g'))
$$;

-- Every name that an institution has or had, as it is compared: a name stays its
-- owner's, so that papers of before a change of name still lead to it.
CREATE TABLE institution_name (
    key            text PRIMARY KEY CHECK (key <> ''),
    institution_id uuid        NOT NULL REFERENCES institution,
    name           text        NOT NULL,
    since          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX institution_name_of ON institution_name (institution_id);
INSERT INTO institution_name (key, institution_id, name)
    SELECT name_key(name), id, name FROM institution WHERE name_key(name) <> '' ORDER BY id ON CONFLICT DO NOTHING;

CREATE FUNCTION keep_institution_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO institution_name (key, institution_id, name) VALUES (name_key(NEW.name), NEW.id, NEW.name)
        ON CONFLICT (key) DO NOTHING;
    IF NOT EXISTS (SELECT FROM institution_name WHERE key = name_key(NEW.name) AND institution_id = NEW.id) THEN
        RAISE EXCEPTION 'the name % belongs to another institution', NEW.name
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'institution_name_pkey';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER institution_named AFTER INSERT OR UPDATE OF name ON institution
    FOR EACH ROW EXECUTE FUNCTION keep_institution_name();

ALTER TABLE pks
    ADD COLUMN withdrawn_on     date,
    ADD COLUMN withdrawn_reason text   NOT NULL DEFAULT '',
    ADD COLUMN withdrawn_by     text   NOT NULL DEFAULT '',
    ADD COLUMN version          bigint NOT NULL DEFAULT 1,
    ADD CONSTRAINT pks_withdrawn CHECK (state = 'withdrawn' OR withdrawn_on IS NULL);
CREATE INDEX pks_institution ON pks (institution_id);
CREATE INDEX request_pks ON request (pks_number) WHERE pks_number <> '';

ALTER TABLE machine_type
    ADD COLUMN sam_examples    text[] NOT NULL DEFAULT '{}',
    ADD COLUMN reader_examples text[] NOT NULL DEFAULT '{}',
    ADD COLUMN active          bool   NOT NULL DEFAULT true,
    ADD COLUMN version         bigint NOT NULL DEFAULT 1;

ALTER TABLE account
    ADD COLUMN must_change bool   NOT NULL DEFAULT false, -- the password is one that somebody else knows
    ADD COLUMN version     bigint NOT NULL DEFAULT 1;
CREATE INDEX account_institution ON account (institution_id) WHERE institution_id IS NOT NULL;
CREATE INDEX session_account ON session (account_id);

ALTER TABLE api_key
    ADD COLUMN networks       cidr[] NOT NULL DEFAULT '{}', -- from where it may be used; none: from anywhere
    ADD COLUMN created_by     text   NOT NULL DEFAULT '',
    ADD COLUMN revoked_by     text   NOT NULL DEFAULT '',
    ADD COLUMN last_used_from text   NOT NULL DEFAULT '';
CREATE INDEX api_key_institution ON api_key (institution_id, id);

-- What was done to a row of the master data; what belongs to a request is found by it.
CREATE INDEX audit_subject ON audit (subject, id) WHERE request_id IS NULL;

GRANT SELECT ON institution_name TO sifilma_read;
GRANT INSERT, UPDATE ON institution, pks, machine_type TO sifilma_portal;
GRANT INSERT ON institution_name TO sifilma_portal;
-- The hash of a key's secret is only for those who check it.
GRANT SELECT (id, institution_id, label, scopes, networks, created_at, created_by, expires_at, revoked_at, revoked_by,
    last_used_at, last_used_from) ON api_key TO sifilma_portal;
GRANT INSERT ON api_key TO sifilma_portal;
GRANT UPDATE (revoked_at, revoked_by) ON api_key TO sifilma_portal;
GRANT UPDATE (last_used_from) ON api_key TO sifilma_intake;
-- People fill requests in at the intake too, once they have a password of their own.
GRANT SELECT (must_change, version) ON account TO sifilma_intake;
