-- The ends of the audit chain that the office has signed: for a day sheet, whose id is the
-- subject, and for each day that is over, whose date is. Printed and exported, they show
-- that the chain before them was not rewritten.
CREATE TABLE audit_head (
    subject   text        PRIMARY KEY CHECK (subject <> ''),
    day       date        NOT NULL,
    seq       bigint      NOT NULL CHECK (seq >= 0),
    hash      bytea       NOT NULL CHECK (octet_length(hash) = 32),
    unsealed  bigint      NOT NULL CHECK (unsealed >= 0), -- rows that waited for the sealer
    at        timestamptz NOT NULL CHECK (date_trunc('minute', at) = at), -- as it is printed
    key_id    text        NOT NULL CHECK (key_id <> ''),
    signature bytea       NOT NULL CHECK (octet_length(signature) = 64) -- ES256: r and s
);
CREATE INDEX audit_head_order ON audit_head (seq);
CREATE TRIGGER audit_head_immutable BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION refuse_change();
GRANT SELECT ON audit_head TO sifilma_read;
GRANT INSERT ON audit_head TO sifilma_document_generator;

-- After a restore the lists of revoked manifests that were published since the moment are
-- unknown. What a person gave or said of them; without it nothing new is published.
CREATE TABLE revocation_recovery (
    id             uuid PRIMARY KEY,
    restoration_id uuid        NOT NULL REFERENCES restoration,
    number         bigint      NOT NULL CHECK (number >= 0), -- of the last list; 0: none was published since
    token          text        NOT NULL, -- the list
    said_by        text        NOT NULL CHECK (said_by <> ''),
    reason         text        NOT NULL,
    said_at        timestamptz NOT NULL,
    CHECK ((number = 0) = (token = '')),
    CHECK (number > 0 OR reason <> '')
);
CREATE TRIGGER revocation_recovery_immutable BEFORE UPDATE OR DELETE ON revocation_recovery FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Its entries that the restored database knows nothing of: all lists carry them until
-- people have repeated them.
CREATE TABLE carried_revocation (
    recovery_id     uuid        NOT NULL REFERENCES revocation_recovery,
    manifest_serial text        NOT NULL CHECK (manifest_serial <> ''),
    state           text        NOT NULL CHECK (state IN ('revoked', 'suspended')),
    since           timestamptz NOT NULL,
    reason          text        NOT NULL,
    settled_at      timestamptz, -- when a list was published in which the database's own entry stands for it
    PRIMARY KEY (recovery_id, manifest_serial)
);
CREATE UNIQUE INDEX carried_revocation_open ON carried_revocation (manifest_serial) WHERE settled_at IS NULL;
CREATE FUNCTION carried_revocation_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.settled_at IS NOT NULL
       OR (NEW.recovery_id, NEW.manifest_serial, NEW.since, NEW.reason) IS DISTINCT FROM (OLD.recovery_id, OLD.manifest_serial, OLD.since, OLD.reason)
       OR NEW.state <> OLD.state AND NEW.state <> 'revoked' THEN
        RAISE EXCEPTION 'carried revocations are only settled' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER carried_revocation_fixed BEFORE UPDATE OR DELETE ON carried_revocation FOR EACH ROW EXECUTE FUNCTION carried_revocation_fixed();
GRANT SELECT ON revocation_recovery, carried_revocation TO sifilma_read;
GRANT UPDATE (settled_at) ON carried_revocation TO sifilma_document_generator;

-- A manifest that was signed after the moment of a restore is out there, and its line waits
-- for it again: its serial is not signed a second time, so the line gets another one. A
-- serial that was signed stays.
ALTER TABLE restoration ADD COLUMN renumbered jsonb NOT NULL DEFAULT '[]'; -- [{ticket, line, was, now}]
CREATE OR REPLACE FUNCTION activation_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.letter_id, NEW.line, NEW.replaces) IS DISTINCT FROM (OLD.id, OLD.letter_id, OLD.line, OLD.replaces)
       OR OLD.manifest_serial IS NOT NULL AND NEW.manifest_serial IS DISTINCT FROM OLD.manifest_serial
          AND (NEW.manifest_serial IS NULL OR NEW.state <> OLD.state OR EXISTS (SELECT FROM activation_manifest m WHERE m.activation_id = OLD.id))
       OR OLD.reply_id IS NOT NULL AND NEW.reply_id IS DISTINCT FROM OLD.reply_id
       OR OLD.delivery_id IS NOT NULL AND NEW.delivery_id IS DISTINCT FROM OLD.delivery_id
       OR OLD.state NOT IN ('submitted', 'returned') AND NEW.card_id IS DISTINCT FROM OLD.card_id
       OR OLD.state <> 'returned' AND (NEW.submission, NEW.reader_serial, NEW.sam_serial, NEW.origin_no, NEW.perso_no, NEW.pcid, NEW.machine_type, NEW.mode)
          IS DISTINCT FROM (OLD.submission, OLD.reader_serial, OLD.sam_serial, OLD.origin_no, OLD.perso_no, OLD.pcid, OLD.machine_type, OLD.mode)
       OR OLD.state NOT IN ('returned', 'accepted', 'manifest_ready', 'delivered', 'active', 'suspended')
          AND (NEW.address, NEW.region) IS DISTINCT FROM (OLD.address, OLD.region) THEN
        RAISE EXCEPTION 'activation %: it is not changed so in state "%"', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'activation_fixed';
    END IF;
    RETURN NEW;
END $$;
GRANT USAGE ON SEQUENCE activation_manifest_serial TO sifilma_document_generator;
