-- Manifests whose signing key was given up are replaced by manifests under the key in
-- force (features.md J09).

-- How many still count under a key is asked often; most manifests are of the newest one.
CREATE INDEX activation_manifest_key ON activation_manifest (key_id);

-- Why an activation is suspended or revoked stands on the revocation list.
ALTER TABLE activation ADD CONSTRAINT activation_cause CHECK (cause IN
    ('', 'suspended', 'pks_withdrawn', 'revoked', 'reader_replaced', 'signing_key', 'lost', 'stolen'));

-- A line takes the place of one of its own letter, for the same card, that was revoked.
CREATE FUNCTION activation_replaces() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM activation o WHERE o.id = NEW.replaces AND o.letter_id = NEW.letter_id AND o.card_id = NEW.card_id
                   AND o.state = 'revoked' AND (o.cause = 'reader_replaced' OR o.cause = 'signing_key' AND o.reader_serial = NEW.reader_serial)) THEN
        RAISE EXCEPTION 'activation %: it cannot take the place of %', NEW.id, NEW.replaces
            USING ERRCODE = 'check_violation', CONSTRAINT = 'activation_replaces';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER activation_replaces BEFORE INSERT ON activation
    FOR EACH ROW WHEN (NEW.replaces IS NOT NULL) EXECUTE FUNCTION activation_replaces();
