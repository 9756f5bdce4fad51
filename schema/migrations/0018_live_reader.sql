-- A reader gets one SAM card: its serial is in at most one live request, and for
-- ever in the one that personalised a card for it.
CREATE TABLE live_reader (
    reader_serial text PRIMARY KEY CHECK (reader_serial <> ''),
    request_id    uuid NOT NULL REFERENCES request,
    card_id       uuid NOT NULL UNIQUE REFERENCES listed_card ON DELETE CASCADE -- the newest, where one failed and was replaced
);
CREATE INDEX live_reader_request ON live_reader (request_id);

-- What was listed before this rule, the newest card of each reader; where two
-- requests had one reader already, both go on and the later one has it.
INSERT INTO live_reader (reader_serial, request_id, card_id)
SELECT DISTINCT ON (l.reader_serial) l.reader_serial, l.request_id, l.id
FROM listed_card l JOIN live_serial s ON s.card_id = l.id LEFT JOIN card c ON c.id = l.id
WHERE l.reader_serial <> ''
ORDER BY l.reader_serial, coalesce(c.state, '') = 'clear' DESC, l.id DESC;

GRANT SELECT ON live_reader TO sifilma_read;
GRANT INSERT, UPDATE, DELETE ON live_reader TO sifilma_validator, sifilma_portal;
GRANT DELETE ON live_reader TO sifilma_scheduler, sifilma_intake; -- those of a cancelled or rejected request are free again

-- Readers too are in the old register or in a live request, never in both
-- (0014_register.sql).
CREATE OR REPLACE FUNCTION register_apart() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    known text;
BEGIN
    SELECT coalesce(
        (SELECT 'serial ' || l.serial FROM added a JOIN live_serial l ON l.serial = a.serial LIMIT 1),
        (SELECT 'reader ' || l.reader_serial FROM added a JOIN live_reader l ON l.reader_serial = a.reader_serial LIMIT 1),
        (SELECT 'pcid ' || n.value FROM added a JOIN card_number n ON n.kind = 'pcid' AND n.value = a.pcid LIMIT 1),
        (SELECT 'manifest ' || n.value FROM added a JOIN card_number n ON n.kind = 'manifest' AND upper(n.value) = a.manifest_no LIMIT 1),
        (SELECT 'chip ' || c.chip_id FROM added a JOIN card c ON c.chip_id = a.chip_id LIMIT 1)) INTO known;
    IF known IS NOT NULL THEN
        RAISE EXCEPTION '% is known to the office already', known USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION live_reader_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN register_entry e ON e.reader_serial = a.reader_serial) THEN
        RAISE EXCEPTION 'a reader is in the register' USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER live_reader_apart AFTER INSERT ON live_reader
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION live_reader_apart();
CREATE TRIGGER live_reader_apart_changed AFTER UPDATE ON live_reader
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION live_reader_apart();

-- live_reader is written after listed_card, which an import holds; it is held as
-- well, so that the rule does not hang on that.
CREATE OR REPLACE FUNCTION hold_numbers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE register_import, listed_card, live_serial, live_reader, card, card_number IN SHARE ROW EXCLUSIVE MODE;
    RETURN NULL;
END $$;
