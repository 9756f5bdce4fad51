-- Whose numbers papers have (users.md C.1, features.md G14): the counter's, or those of
-- persuratan's own book. And what becomes of a paper that was wrong: one that is not in
-- force is voided, with or without another in its place; one in force stays so until
-- its replacement is.

-- How a kind of paper gets its number. The document generator writes a kind's first row
-- from its configuration; afterwards it is persuratan's.
CREATE TABLE document_numbering (
    kind       text PRIMARY KEY CHECK (kind <> ''),
    way        text        NOT NULL CHECK (way IN ('counter', 'typed')),
    template   text        NOT NULL DEFAULT '', -- of typed numbers: what they usually look like
    version    bigint      NOT NULL DEFAULT 1,
    changed_by text        NOT NULL CHECK (changed_by <> ''),
    changed_at timestamptz NOT NULL,
    CONSTRAINT document_numbering_template CHECK (template LIKE '%{urut}%' OR way = 'typed' AND template = '')
);

-- No paper of a kind is made for a subject until somebody says so.
CREATE TABLE document_hold (
    kind       text        NOT NULL,
    subject_id uuid        NOT NULL,
    document_id uuid       NOT NULL REFERENCES document, -- the void one
    held_by    text        NOT NULL CHECK (held_by <> ''),
    held_at    timestamptz NOT NULL,
    PRIMARY KEY (kind, subject_id)
);

ALTER TABLE document
    ADD awaits_number     boolean NOT NULL DEFAULT false, -- persuratan types it
    ADD replaces          uuid,                           -- the paper whose place it takes once it is in force
    ADD replacement_asked boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT document_awaits_number CHECK (NOT awaits_number OR number IS NULL AND state IN ('drafted', 'void')),
    ADD CONSTRAINT document_replacement_asked CHECK (NOT replacement_asked OR state IN ('issued', 'replaced')),
    ADD CONSTRAINT document_subject UNIQUE (id, kind, subject_id),
    ADD CONSTRAINT document_replaces FOREIGN KEY (replaces, kind, subject_id) REFERENCES document (id, kind, subject_id);

-- People type numbers: capitals and spaces make no other one.
DROP INDEX document_number;
CREATE UNIQUE INDEX document_number ON document (upper(regexp_replace(number, '\s', '', 'g')), (extract(year FROM dated)));

-- A replacement lives beside the paper in force, and takes its place by being issued.
DROP INDEX document_living;
CREATE UNIQUE INDEX document_living ON document (kind, subject_id)
    WHERE state NOT IN ('void', 'replaced') AND (replaces IS NULL OR state = 'issued');
CREATE UNIQUE INDEX document_replacement ON document (replaces) WHERE state <> 'void';
CREATE INDEX document_awaiting_number ON document (id) WHERE awaits_number AND state = 'drafted';

-- What is replaced was replaced by a paper that came into force.
CREATE FUNCTION document_replaced() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM document WHERE replaces = NEW.id AND state IN ('issued', 'replaced')) THEN
        RAISE EXCEPTION 'document %: nothing in force replaces it', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'document_replaced';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER document_replaced AFTER INSERT OR UPDATE OF state ON document DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'replaced') EXECUTE FUNCTION document_replaced();

GRANT SELECT ON document_numbering, document_hold TO sifilma_read;
GRANT INSERT ON document_numbering TO sifilma_document_generator;
GRANT UPDATE ON document_numbering TO sifilma_portal;
GRANT INSERT, DELETE ON document_hold TO sifilma_portal;

-- Each time that a paper was to be signed: with a pen (manual), or by a service. A row is
-- there before anything is sent; what got no answer is in doubt, and stays so until the
-- service or a person tells.
CREATE TABLE signing (
    id          uuid PRIMARY KEY,
    document_id uuid        NOT NULL REFERENCES document,
    driver      text        NOT NULL CHECK (driver <> ''),
    state       text        NOT NULL CHECK (state IN ('sent', 'doubt', 'signed', 'refused')),
    version     bigint      NOT NULL DEFAULT 1,
    reference   text        NOT NULL DEFAULT '', -- what the service calls it
    reason      text        NOT NULL DEFAULT '', -- of a refusal, or of a doubt's end: a code of ours
    code        text        NOT NULL DEFAULT '', -- of the service's own protocol
    finding     text        NOT NULL DEFAULT '', -- of whoever ended a doubt
    asked_by    text        NOT NULL CHECK (asked_by <> ''),
    asked_at    timestamptz NOT NULL,            -- by the office's clock
    sent_at     timestamptz NOT NULL DEFAULT clock_timestamp(), -- by the machine's: how long an answer can still come
    ended_by    text        NOT NULL DEFAULT '',
    ended_at    timestamptz,
    CHECK ((ended_at IS NULL) = (state IN ('sent', 'doubt')))
);
-- Never signed twice: what is on its way, in doubt or signed keeps another from being sent.
CREATE UNIQUE INDEX signing_once ON signing (document_id) WHERE state <> 'refused';
CREATE INDEX signing_document ON signing (document_id);

-- The signed file is a PDF with certificates in it, and no scan.
ALTER TABLE document ADD electronic boolean NOT NULL DEFAULT false;

GRANT SELECT ON signing TO sifilma_read;
GRANT INSERT, UPDATE ON signing TO sifilma_portal;
