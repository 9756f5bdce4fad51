-- The Word templates of the papers, as editions: one person sends one in, a sample of
-- it is printed, another person approves it, and papers made from then on use it. What
-- a paper was made by can be told for ever (document.template_sha256): the file of an
-- edition never changes, and no edition goes away.

CREATE TABLE letter_template (
    id             uuid   PRIMARY KEY,
    kind           text   NOT NULL CHECK (kind ~ '^[a-z][a-z_]{0,63}$'), -- of document
    edition        int    NOT NULL CHECK (edition > 0),
    file_blob      uuid   NOT NULL REFERENCES blob,
    sha256         bytea  NOT NULL CHECK (length(sha256) = 32),
    state          text   NOT NULL,
    version        bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    offered_by     text   NOT NULL CHECK (offered_by <> ''),
    note           text   NOT NULL, -- what is new in it
    approved_by    text   CHECK (approved_by <> ''),
    shipped        bool   NOT NULL DEFAULT false, -- came with the program
    -- The sample that is looked at before the template is approved.
    sample_blob    uuid   REFERENCES blob,
    sample_pages   int    CHECK (sample_pages > 0),
    sample_problem text   NOT NULL DEFAULT '', -- why there is none yet
    sample_tries   int    NOT NULL DEFAULT 0,
    sample_begun   int    NOT NULL DEFAULT 0, -- times in a row that it was begun and nobody came back
    offered_at     timestamptz NOT NULL,
    UNIQUE (kind, edition),
    UNIQUE (kind, sha256),
    CHECK ((sample_blob IS NULL) = (sample_pages IS NULL)),
    CONSTRAINT letter_template_approved CHECK ((approved_by IS NOT NULL) = (state IN ('active', 'superseded'))),
    -- Only what came with the program may be put in force without a second person and
    -- a sample: by the set-up, where no people's edition is in force.
    CONSTRAINT letter_template_two_people CHECK (approved_by IS NULL OR approved_by <> offered_by
        OR (shipped AND approved_by = 'sifilma@pemasangan')),
    CONSTRAINT letter_template_sampled CHECK (state NOT IN ('proposed', 'active', 'superseded') OR sample_blob IS NOT NULL
        OR (shipped AND approved_by IS NOT DISTINCT FROM 'sifilma@pemasangan'))
);
CREATE UNIQUE INDEX letter_template_active ON letter_template (kind) WHERE state = 'active';
CREATE INDEX letter_template_unsampled ON letter_template (id) WHERE state = 'offered';
CREATE TRIGGER letter_template_transition BEFORE INSERT OR UPDATE ON letter_template
    FOR EACH ROW EXECUTE FUNCTION check_transition('letter_template');

CREATE FUNCTION letter_template_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE'
        OR (NEW.id, NEW.kind, NEW.edition, NEW.file_blob, NEW.sha256, NEW.shipped) IS DISTINCT FROM (OLD.id, OLD.kind, OLD.edition, OLD.file_blob, OLD.sha256, OLD.shipped)
        OR (OLD.state <> 'offered' AND NEW.state <> 'offered' AND (NEW.sample_blob, NEW.sample_pages, NEW.offered_by, NEW.note)
            IS DISTINCT FROM (OLD.sample_blob, OLD.sample_pages, OLD.offered_by, OLD.note)) THEN
        RAISE EXCEPTION 'letter template %/%: what was sent in, and the sample that was looked at, never change', OLD.kind, OLD.edition
            USING ERRCODE = 'check_violation', CONSTRAINT = 'letter_template_kept';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER letter_template_kept BEFORE UPDATE OR DELETE ON letter_template FOR EACH ROW EXECUTE FUNCTION letter_template_kept();

GRANT SELECT ON letter_template TO sifilma_read;
GRANT INSERT (id, kind, edition, file_blob, sha256, state, version, offered_by, note, offered_at),
    UPDATE (state, version, offered_by, note, approved_by, sample_blob, sample_pages, sample_problem, sample_tries, sample_begun, offered_at)
    ON letter_template TO sifilma_portal;
GRANT UPDATE (state, version, sample_blob, sample_pages, sample_problem, sample_tries, sample_begun) ON letter_template TO sifilma_document_generator;
