-- Signed manifests: the key pairs that sign, the lists of revoked manifests, and what
-- Kasubdit KI releases to a produsen (features.md J09, J11, N9).

ALTER TABLE master_key DROP CONSTRAINT master_key_algorithm_check;
ALTER TABLE master_key ADD CONSTRAINT master_key_algorithm_check CHECK (algorithm IN ('AES', 'DES', 'EC'));
ALTER TABLE master_key ADD COLUMN public_key bytea; -- of a key pair, SubjectPublicKeyInfo
ALTER TABLE master_key ADD CONSTRAINT master_key_public CHECK ((algorithm = 'EC') = (public_key IS NOT NULL));
ALTER TABLE master_key ADD CONSTRAINT master_key_pair CHECK (algorithm <> 'EC' OR bits = 256 AND origin = 'generated');

-- The revocation lists that were published. Each follows one other, so that two are never
-- made from the same.
CREATE TABLE revocation_list (
    number      bigint PRIMARY KEY CHECK (number > follows),
    follows     bigint      NOT NULL UNIQUE CHECK (follows >= 0), -- 0: the first one
    key_id      text        NOT NULL CHECK (key_id <> ''),
    token       text        NOT NULL CHECK (token <> ''),
    sha256      bytea       NOT NULL CHECK (octet_length(sha256) = 32), -- of what it says
    issued_at   timestamptz NOT NULL,
    next_update timestamptz NOT NULL CHECK (next_update > issued_at)
);
CREATE TRIGGER revocation_list_immutable BEFORE UPDATE OR DELETE ON revocation_list FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What Kasubdit KI releases to a produsen at once.
CREATE SEQUENCE manifest_release_number;
CREATE TABLE manifest_release (
    id          uuid PRIMARY KEY,
    number      text        NOT NULL UNIQUE,
    produsen_id uuid        NOT NULL REFERENCES institution,
    lines       int         NOT NULL CHECK (lines > 0),
    state       text        NOT NULL,
    version     bigint      NOT NULL DEFAULT 1,
    released_by text        NOT NULL CHECK (released_by <> ''),
    released_at timestamptz NOT NULL,
    bundle_blob uuid REFERENCES blob,
    delivery_id uuid UNIQUE REFERENCES activation_delivery,
    CHECK (state NOT IN ('bundled', 'delivered') OR bundle_blob IS NOT NULL),
    CHECK ((state = 'delivered') = (delivery_id IS NOT NULL))
);
CREATE UNIQUE INDEX manifest_release_open ON manifest_release (produsen_id) WHERE state IN ('released', 'bundled');
CREATE INDEX manifest_release_of ON manifest_release (produsen_id, id);
CREATE TRIGGER manifest_release_transition BEFORE INSERT OR UPDATE ON manifest_release
    FOR EACH ROW EXECUTE FUNCTION check_transition('manifest_release');

-- A bundle is made once, and what was released stays what it was.
CREATE FUNCTION manifest_release_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.number, NEW.produsen_id, NEW.lines, NEW.released_by, NEW.released_at) IS DISTINCT FROM (OLD.id, OLD.number, OLD.produsen_id, OLD.lines, OLD.released_by, OLD.released_at)
       OR OLD.bundle_blob IS NOT NULL AND NEW.bundle_blob IS DISTINCT FROM OLD.bundle_blob
       OR OLD.delivery_id IS NOT NULL AND NEW.delivery_id IS DISTINCT FROM OLD.delivery_id THEN
        RAISE EXCEPTION 'manifest release %: it is not changed so', OLD.number USING ERRCODE = 'check_violation', CONSTRAINT = 'manifest_release_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER manifest_release_fixed BEFORE UPDATE ON manifest_release FOR EACH ROW EXECUTE FUNCTION manifest_release_fixed();

CREATE TABLE manifest_release_line (
    release_id    uuid NOT NULL REFERENCES manifest_release,
    ordinal       int  NOT NULL CHECK (ordinal > 0),
    activation_id uuid NOT NULL REFERENCES activation,
    PRIMARY KEY (release_id, ordinal),
    UNIQUE (activation_id, release_id)
);
CREATE TRIGGER manifest_release_line_immutable BEFORE UPDATE OR DELETE ON manifest_release_line FOR EACH ROW EXECUTE FUNCTION refuse_change();

GRANT SELECT ON revocation_list, manifest_release, manifest_release_line TO sifilma_read;
GRANT INSERT ON revocation_list TO sifilma_document_generator;
GRANT UPDATE ON manifest_release TO sifilma_document_generator, sifilma_portal;
GRANT INSERT ON manifest_release, manifest_release_line TO sifilma_portal;
GRANT USAGE ON SEQUENCE manifest_release_number TO sifilma_portal;

-- Bundles of evidence of a request, as somebody of the office ordered them.
CREATE TABLE evidence (
    id          uuid PRIMARY KEY,
    request_id  uuid        NOT NULL REFERENCES request,
    ordered_by  text        NOT NULL CHECK (ordered_by <> ''),
    ordered_at  timestamptz NOT NULL,
    bundle_blob uuid REFERENCES blob
);
CREATE INDEX evidence_of ON evidence (request_id, id);
CREATE UNIQUE INDEX evidence_owed ON evidence (request_id) WHERE bundle_blob IS NULL;
CREATE FUNCTION evidence_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.bundle_blob IS NOT NULL OR (NEW.id, NEW.request_id, NEW.ordered_by, NEW.ordered_at) IS DISTINCT FROM (OLD.id, OLD.request_id, OLD.ordered_by, OLD.ordered_at) THEN
        RAISE EXCEPTION 'evidence %: it is made once', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER evidence_fixed BEFORE UPDATE ON evidence FOR EACH ROW EXECUTE FUNCTION evidence_fixed();

GRANT SELECT ON evidence TO sifilma_read;
GRANT INSERT ON evidence TO sifilma_portal;
GRANT UPDATE ON evidence TO sifilma_document_generator;
GRANT SELECT (id, username, name, role, institution_id, active) ON account TO sifilma_document_generator; -- who decided
