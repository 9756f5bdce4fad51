-- What a lembaga pengguna asks a produsen for (permintaan lembaga), and which line
-- of a produsen's request took it up.

CREATE SEQUENCE need_number;

CREATE TABLE need (
    id           uuid PRIMARY KEY,
    number       text        NOT NULL UNIQUE,
    lembaga_id   uuid        NOT NULL REFERENCES institution,
    produsen_id  uuid        NOT NULL REFERENCES institution,
    reference    text        NOT NULL CHECK (reference <> ''),
    title        text        NOT NULL CHECK (title <> ''),
    quantity     int         NOT NULL CHECK (quantity > 0),
    machine_type text        NOT NULL REFERENCES machine_type,
    remarks      text        NOT NULL DEFAULT '',
    state        text        NOT NULL,
    version      bigint      NOT NULL DEFAULT 1,
    submission   int         NOT NULL DEFAULT 1,
    request_id   uuid, -- the request that took it up
    created_by   text        NOT NULL,
    created_at   timestamptz NOT NULL,
    traceparent  text        NOT NULL DEFAULT '',
    UNIQUE (lembaga_id, reference),
    CHECK (lembaga_id <> produsen_id),
    CHECK ((state = 'bundled') = (request_id IS NOT NULL))
);
CREATE INDEX need_of_lembaga ON need (lembaga_id, id);
CREATE INDEX need_of_produsen ON need (produsen_id, id);
CREATE INDEX need_bundled ON need (request_id) WHERE request_id IS NOT NULL;
CREATE TRIGGER need_transition BEFORE INSERT OR UPDATE ON need
    FOR EACH ROW EXECUTE FUNCTION check_transition('need');

-- What was agreed to is what was asked: a need changes only on its way back from
-- returned, and never whose it is, whom it asks or what it is called.
CREATE FUNCTION need_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.number, NEW.lembaga_id, NEW.produsen_id, NEW.reference, NEW.created_by, NEW.created_at) IS DISTINCT FROM
       (OLD.id, OLD.number, OLD.lembaga_id, OLD.produsen_id, OLD.reference, OLD.created_by, OLD.created_at)
       OR OLD.state <> 'returned'
          AND (NEW.title, NEW.quantity, NEW.machine_type, NEW.remarks, NEW.submission)
              IS DISTINCT FROM (OLD.title, OLD.quantity, OLD.machine_type, OLD.remarks, OLD.submission) THEN
        RAISE EXCEPTION 'need %: it is not changed in state "%"', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'need_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER need_fixed BEFORE UPDATE ON need FOR EACH ROW EXECUTE FUNCTION need_guard();

CREATE TABLE need_file (
    need_id    uuid NOT NULL REFERENCES need,
    kind       text NOT NULL CHECK (kind IN ('letter', 'list')),
    submission int  NOT NULL,
    blob_id    uuid NOT NULL REFERENCES blob,
    name       text NOT NULL,
    PRIMARY KEY (need_id, kind, submission)
);

-- A line remembers the need that it was made for, also after its request came to
-- nothing; where the need is bundled now is need.request_id, and there a line must
-- name it.
ALTER TABLE request_line ADD COLUMN need_id uuid REFERENCES need, ADD UNIQUE (request_id, need_id);
CREATE INDEX request_line_need ON request_line (need_id) WHERE need_id IS NOT NULL;
ALTER TABLE need ADD CONSTRAINT need_bundled_line FOREIGN KEY (request_id, id)
    REFERENCES request_line (request_id, need_id) DEFERRABLE INITIALLY DEFERRED;

GRANT SELECT ON need, need_file TO sifilma_read;
GRANT INSERT, UPDATE ON need TO sifilma_intake, sifilma_portal;
GRANT INSERT ON need_file TO sifilma_intake, sifilma_portal;
GRANT USAGE ON SEQUENCE need_number TO sifilma_intake, sifilma_portal;
