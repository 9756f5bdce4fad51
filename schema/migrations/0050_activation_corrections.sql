-- Corrections of the activation of readers.

-- A reader that was reported lost or stolen is not activated again, nor is its card, until
-- somebody says that both were found.
ALTER TABLE activation ADD COLUMN found_on date;
ALTER TABLE activation ADD CONSTRAINT activation_found CHECK (found_on IS NULL OR state = 'revoked' AND cause IN ('lost', 'stolen'));
CREATE INDEX activation_missing_reader ON activation (reader_serial) WHERE state = 'revoked' AND cause IN ('lost', 'stolen') AND found_on IS NULL;
CREATE INDEX activation_missing_card ON activation (card_id) WHERE state = 'revoked' AND cause IN ('lost', 'stolen') AND found_on IS NULL;

CREATE FUNCTION activation_not_missing() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM activation m WHERE (m.reader_serial = NEW.reader_serial OR m.card_id = NEW.card_id)
               AND m.state = 'revoked' AND m.cause IN ('lost', 'stolen') AND m.found_on IS NULL) THEN
        RAISE EXCEPTION 'activation %: its reader or card is reported missing', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'activation_not_missing';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER activation_not_missing BEFORE INSERT OR UPDATE ON activation
    FOR EACH ROW WHEN (NEW.state IN ('validated', 'accepted')) EXECUTE FUNCTION activation_not_missing();

-- What only the office's own people are told of a line that came back.
ALTER TABLE activation_finding ADD COLUMN office text NOT NULL DEFAULT '';

-- Where a pair of a card and a reader was told.
ALTER TABLE reader_pairing ADD COLUMN source text NOT NULL DEFAULT 'api' CHECK (source IN ('form', 'excel', 'api', 'replacement'));
ALTER TABLE reader_pairing ALTER COLUMN source DROP DEFAULT;

-- Who prepares a letter: a draft is changed and thrown away by its own side only.
ALTER TABLE activation_letter ADD COLUMN prepared_by uuid REFERENCES institution;
ALTER TABLE activation_letter DISABLE TRIGGER USER;
UPDATE activation_letter l SET prepared_by = CASE
    WHEN EXISTS (SELECT FROM history h WHERE h.machine = 'activation_letter' AND h.subject = l.id AND h.version = 1 AND h.role = 'produsen') THEN l.produsen_id ELSE l.lembaga_id END;
ALTER TABLE activation_letter ENABLE TRIGGER USER;
ALTER TABLE activation_letter ALTER COLUMN prepared_by SET NOT NULL;
CREATE INDEX activation_letter_prepared ON activation_letter (prepared_by) WHERE state = 'drafted';
CREATE FUNCTION activation_letter_prepared() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'activation letter %: who prepared it does not change', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'activation_letter_prepared';
END $$;
CREATE TRIGGER activation_letter_prepared BEFORE UPDATE ON activation_letter
    FOR EACH ROW WHEN (NEW.prepared_by IS DISTINCT FROM OLD.prepared_by) EXECUTE FUNCTION activation_letter_prepared();
