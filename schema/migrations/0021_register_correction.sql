-- A wrong row of the old register is corrected by another edition of it, or is
-- withdrawn. What was imported stays to be read; only what stands holds a number.

ALTER TABLE register_entry
    ADD COLUMN edition  int  NOT NULL DEFAULT 1 CHECK (edition > 0), -- 1: as imported
    ADD COLUMN standing bool NOT NULL DEFAULT true,                  -- false: superseded or withdrawn
    DROP CONSTRAINT register_entry_pkey,
    ADD PRIMARY KEY (import_id, sheet, row, edition),
    DROP CONSTRAINT register_entry_serial_key,
    DROP CONSTRAINT register_entry_pcid_key,
    DROP CONSTRAINT register_entry_manifest_no_key,
    DROP CONSTRAINT register_entry_reader_serial_key,
    DROP CONSTRAINT register_entry_chip_id_key;
CREATE UNIQUE INDEX register_entry_serial ON register_entry (serial) WHERE standing;
CREATE UNIQUE INDEX register_entry_pcid ON register_entry (pcid) WHERE standing;
CREATE UNIQUE INDEX register_entry_manifest_no ON register_entry (manifest_no) WHERE standing;
CREATE UNIQUE INDEX register_entry_reader_serial ON register_entry (reader_serial) WHERE standing;
CREATE UNIQUE INDEX register_entry_chip_id ON register_entry (chip_id) WHERE standing;
CREATE INDEX register_entry_superseded ON register_entry (import_id) WHERE NOT standing;

-- What holds a number: whoever asks whether one is known looks here.
CREATE VIEW register_standing AS
    SELECT import_id, sheet, row, edition, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, issued_on, remarks
    FROM register_entry WHERE standing;

-- Why an edition stands no more. The next edition, if there is one, is what stands
-- in its place; without one the row is withdrawn.
CREATE TABLE register_correction (
    import_id    uuid        NOT NULL,
    sheet        text        NOT NULL,
    row          int         NOT NULL,
    edition      int         NOT NULL,
    reason       text        NOT NULL CHECK (reason <> ''),
    corrected_by text        NOT NULL CHECK (corrected_by <> ''),
    corrected_at timestamptz NOT NULL,
    PRIMARY KEY (import_id, sheet, row, edition),
    FOREIGN KEY (import_id, sheet, row, edition) REFERENCES register_entry
);
CREATE TRIGGER register_correction_immutable BEFORE UPDATE OR DELETE ON register_correction
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER register_correction_kept_whole BEFORE TRUNCATE ON register_correction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION register_superseded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE register_entry SET standing = false
        WHERE (import_id, sheet, row, edition) = (NEW.import_id, NEW.sheet, NEW.row, NEW.edition) AND standing;
    RETURN NULL;
END $$;
CREATE TRIGGER register_correction_supersedes AFTER INSERT ON register_correction
    FOR EACH ROW EXECUTE FUNCTION register_superseded();

-- An entry never changes, but that it stands no more once a correction says why.
CREATE FUNCTION register_entry_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before register_entry := OLD;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before.standing := false;
        IF OLD.standing AND NEW IS NOT DISTINCT FROM before AND EXISTS (
            SELECT FROM register_correction WHERE (import_id, sheet, row, edition) = (OLD.import_id, OLD.sheet, OLD.row, OLD.edition)) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% rows are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
DROP TRIGGER register_entry_immutable ON register_entry;
CREATE TRIGGER register_entry_immutable BEFORE UPDATE OR DELETE ON register_entry
    FOR EACH ROW EXECUTE FUNCTION register_entry_guard();

-- Whoever writes the register holds off the writers of the other side only once its
-- rows are written, and looks at that side then: what was committed before is seen,
-- and what comes later waits and sees the register. So a long list is read, compared
-- and written while the office goes on. register_import keeps those who write the
-- register apart; see pkg/register.
DROP TRIGGER register_entry_hold ON register_entry;
DROP FUNCTION hold_numbers();

-- Who compared the rows with the office's before says since which transaction: then
-- only what was written since is looked at, while everybody waits. A row of an older
-- transaction was there to be seen.
CREATE OR REPLACE FUNCTION register_apart() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    since xid := nullif(current_setting('sifilma.register_compared', true), '')::xid;
    known text;
BEGIN
    LOCK TABLE listed_card, live_serial, live_reader, card, card_number IN SHARE ROW EXCLUSIVE MODE; -- in the order in which the daemons write
    -- min, and no LIMIT: all are looked at anyhow, and the plan must be the one for that.
    SELECT coalesce(
        (SELECT 'serial ' || min(l.serial) FROM added a JOIN live_serial l ON l.serial = a.serial
         WHERE a.standing AND (since IS NULL OR age(l.xmin) <= age(since))),
        (SELECT 'reader ' || min(l.reader_serial) FROM added a JOIN live_reader l ON l.reader_serial = a.reader_serial
         WHERE a.standing AND (since IS NULL OR age(l.xmin) <= age(since))),
        (SELECT 'pcid ' || min(n.value) FROM added a JOIN card_number n ON n.kind = 'pcid' AND n.value = a.pcid
         WHERE a.standing AND (since IS NULL OR age(n.xmin) <= age(since))),
        (SELECT 'manifest ' || min(n.value) FROM added a JOIN card_number n ON n.kind = 'manifest' AND upper(n.value) = a.manifest_no
         WHERE a.standing AND (since IS NULL OR age(n.xmin) <= age(since))),
        (SELECT 'chip ' || min(c.chip_id) FROM added a JOIN card c ON c.chip_id = a.chip_id
         WHERE a.standing AND (since IS NULL OR age(c.xmin) <= age(since)))) INTO known;
    IF known IS NOT NULL THEN
        RAISE EXCEPTION '% is known to the office already', known USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION live_serial_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN register_standing e ON e.serial = a.serial) THEN
        RAISE EXCEPTION 'a serial is in the register' USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION live_reader_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN register_standing e ON e.reader_serial = a.reader_serial) THEN
        RAISE EXCEPTION 'a reader is in the register' USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION card_number_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN register_standing e ON e.pcid = a.value WHERE a.kind = 'pcid')
       OR EXISTS (SELECT FROM added a JOIN register_standing e ON e.manifest_no = upper(a.value) WHERE a.kind = 'manifest') THEN
        RAISE EXCEPTION 'a number is in the register' USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION card_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM register_standing WHERE chip_id = NEW.chip_id)
       OR EXISTS (SELECT FROM register_standing WHERE pcid = NEW.pcid)
       OR EXISTS (SELECT FROM register_standing WHERE manifest_no = upper(NEW.manifest_no)) THEN
        RAISE EXCEPTION 'card %: its chip or a number is in the register', NEW.id
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'register_apart';
    END IF;
    RETURN NULL;
END $$;

GRANT SELECT ON register_standing, register_correction TO sifilma_read;
