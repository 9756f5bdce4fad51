-- What the office issued before the first day of this system: the old register.
-- Nothing that stands in it is asked for, personalised or given again.

-- The files that entries came from. Written by the owner of the schema only.
CREATE TABLE register_import (
    id          uuid PRIMARY KEY,
    sha256      bytea       NOT NULL CHECK (octet_length(sha256) = 32), -- of the file
    file        text        NOT NULL CHECK (file <> ''),
    imported_by text        NOT NULL CHECK (imported_by <> ''),
    imported_at timestamptz NOT NULL
);

-- One row of the old register. What it does not tell is NULL. Each number stands
-- in one entry only.
CREATE TABLE register_entry (
    import_id     uuid NOT NULL REFERENCES register_import,
    sheet         text NOT NULL, -- empty for a CSV file
    row           int  NOT NULL CHECK (row > 0),
    serial        text UNIQUE CHECK (serial <> ''),
    pcid          text UNIQUE CHECK (pcid ~ '^[0-9A-F]{32}$'),
    manifest_no   text UNIQUE CHECK (manifest_no <> '' AND manifest_no = upper(manifest_no)),
    reader_serial text UNIQUE CHECK (reader_serial <> ''),
    chip_id       text UNIQUE CHECK (chip_id ~ '^[0-9A-F]+$'),
    produsen      text NOT NULL,
    lembaga       text NOT NULL,
    issued_on     date,
    remarks       text NOT NULL,
    PRIMARY KEY (import_id, sheet, row),
    CHECK (num_nonnulls(serial, pcid, manifest_no, reader_serial, chip_id) > 0)
);

CREATE TRIGGER register_import_immutable BEFORE UPDATE OR DELETE ON register_import
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER register_entry_immutable BEFORE UPDATE OR DELETE ON register_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER register_entry_kept_whole BEFORE TRUNCATE ON register_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A number is in the register or in the office's own tables, never in both. Each
-- side looks at the other after it has written. Whoever writes the register holds
-- off the writers of the other side until it commits, so that two who write at
-- once see each other; the tables come in the order in which the daemons write.
CREATE FUNCTION hold_numbers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE register_import, listed_card, live_serial, card, card_number IN SHARE ROW EXCLUSIVE MODE;
    RETURN NULL;
END $$;
CREATE TRIGGER register_entry_hold BEFORE INSERT ON register_entry
    FOR EACH STATEMENT EXECUTE FUNCTION hold_numbers();

CREATE FUNCTION register_apart() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    known text;
BEGIN
    SELECT coalesce(
        (SELECT 'serial ' || l.serial FROM added a JOIN live_serial l ON l.serial = a.serial LIMIT 1),
        (SELECT 'reader ' || l.reader_serial FROM added a JOIN listed_card l ON l.reader_serial = a.reader_serial
         JOIN live_serial s ON s.card_id = l.id LIMIT 1),
        (SELECT 'pcid ' || n.value FROM added a JOIN card_number n ON n.kind = 'pcid' AND n.value = a.pcid LIMIT 1),
        (SELECT 'manifest ' || n.value FROM added a JOIN card_number n ON n.kind = 'manifest' AND upper(n.value) = a.manifest_no LIMIT 1),
        (SELECT 'chip ' || c.chip_id FROM added a JOIN card c ON c.chip_id = a.chip_id LIMIT 1)) INTO known;
    IF known IS NOT NULL THEN
        RAISE EXCEPTION '% is known to the office already', known USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER register_entry_apart AFTER INSERT ON register_entry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION register_apart();

CREATE FUNCTION live_serial_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN register_entry e ON e.serial = a.serial) THEN
        RAISE EXCEPTION 'a serial is in the register' USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER live_serial_apart AFTER INSERT ON live_serial
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION live_serial_apart();
CREATE TRIGGER live_serial_apart_changed AFTER UPDATE ON live_serial
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION live_serial_apart();

CREATE FUNCTION card_number_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN register_entry e ON e.pcid = a.value WHERE a.kind = 'pcid')
       OR EXISTS (SELECT FROM added a JOIN register_entry e ON e.manifest_no = upper(a.value) WHERE a.kind = 'manifest') THEN
        RAISE EXCEPTION 'a number is in the register' USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER card_number_apart AFTER INSERT ON card_number
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION card_number_apart();

CREATE FUNCTION card_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM register_entry WHERE chip_id = NEW.chip_id)
       OR EXISTS (SELECT FROM register_entry WHERE pcid = NEW.pcid)
       OR EXISTS (SELECT FROM register_entry WHERE manifest_no = upper(NEW.manifest_no)) THEN
        RAISE EXCEPTION 'card %: its chip or a number is in the register', NEW.id
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER card_apart AFTER INSERT OR UPDATE OF chip_id, pcid, manifest_no ON card
    FOR EACH ROW WHEN (NEW.chip_id IS NOT NULL OR NEW.pcid IS NOT NULL OR NEW.manifest_no IS NOT NULL)
    EXECUTE FUNCTION card_apart();

GRANT SELECT ON register_import, register_entry TO sifilma_read;
