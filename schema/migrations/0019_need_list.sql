-- The list that a lembaga sends with its request (daftar alat), as it was read, and
-- a lembaga that changes its request while the produsen has not decided. And people
-- who send the same request twice.

-- How many rows were read of a list; 0 for a letter, and for a list of before there
-- was anything to read it.
ALTER TABLE need_file ADD COLUMN rows int NOT NULL DEFAULT 0 CHECK (rows >= 0);

-- The rows are the file's, not the submission's: a correction that keeps the file
-- keeps them.
CREATE TABLE need_card (
    blob_id       uuid NOT NULL REFERENCES blob,
    row           int  NOT NULL CHECK (row > 0),
    serial        text NOT NULL,
    reader_serial text NOT NULL,
    kind          text NOT NULL,
    remarks       text NOT NULL,
    PRIMARY KEY (blob_id, row)
);
CREATE TRIGGER need_card_kept BEFORE UPDATE OR DELETE ON need_card FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What was agreed to is what was asked: a need changes only until the produsen has
-- decided, each time as a submission of its own that is seen in the version, and
-- never whose it is, whom it asks or what it is called.
CREATE OR REPLACE FUNCTION need_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.number, NEW.lembaga_id, NEW.produsen_id, NEW.reference, NEW.created_by, NEW.created_at) IS DISTINCT FROM
       (OLD.id, OLD.number, OLD.lembaga_id, OLD.produsen_id, OLD.reference, OLD.created_by, OLD.created_at)
       OR (NEW.title, NEW.quantity, NEW.machine_type, NEW.remarks, NEW.submission)
              IS DISTINCT FROM (OLD.title, OLD.quantity, OLD.machine_type, OLD.remarks, OLD.submission)
          AND NOT (OLD.state IN ('submitted', 'returned') AND NEW.state = 'submitted'
                   AND NEW.version = OLD.version + 1 AND NEW.submission = OLD.submission + 1) THEN
        RAISE EXCEPTION 'need %: it is not changed in state "%"', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'need_fixed';
    END IF;
    RETURN NEW;
END $$;

GRANT SELECT ON need_card TO sifilma_read;
GRANT INSERT ON need_card TO sifilma_intake, sifilma_portal;

-- What is sent at the portal has a key too: one that comes again is answered as the
-- first time. The clients there are accounts.
GRANT SELECT, INSERT ON idempotency TO sifilma_portal;
