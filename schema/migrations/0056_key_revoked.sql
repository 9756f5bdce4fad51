-- A signing key that somebody else may have is revoked by two people: what it has signed
-- counts no more, and it signs nothing again.

-- The thumbprint of a P-256 key (RFC 7638), by which tokens name it: its
-- SubjectPublicKeyInfo ends with x and y, 32 bytes each.
CREATE FUNCTION key_thumbprint(der bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = public, pg_temp AS $$
    SELECT translate(encode(sha256(('{"crv":"P-256","kty":"EC","x":"' || translate(encode(substring(der from octet_length(der) - 63 for 32), 'base64'), '+/=', '-_')
        || '","y":"' || translate(encode(substring(der from octet_length(der) - 31 for 32), 'base64'), '+/=', '-_') || '"}')::bytea), 'base64'), '+/=', '-_')
$$;
ALTER TABLE master_key ADD COLUMN key_id text GENERATED ALWAYS AS (key_thumbprint(public_key)) STORED;
CREATE UNIQUE INDEX master_key_id ON master_key (key_id);

ALTER TABLE master_key
    ADD COLUMN revoked_by     text CHECK (revoked_by <> ''),
    ADD COLUMN revoked_with   text CHECK (revoked_with <> ''), -- the second person
    ADD COLUMN revoked_reason text CHECK (revoked_reason <> ''),
    ADD COLUMN revoked_at     timestamptz,
    ADD CONSTRAINT master_key_revoked CHECK (
        num_nulls(revoked_by, revoked_with, revoked_reason, revoked_at) IN (0, 4)
        AND (revoked_at IS NULL OR algorithm = 'EC' AND retired_at IS NOT NULL AND lower(revoked_with) <> lower(revoked_by)));

-- As before, and a key is revoked once, whatever was signed with it.
CREATE OR REPLACE FUNCTION master_key_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    revoking constant text[] := '{revoked_by,revoked_with,revoked_reason,revoked_at,key_id}'; -- key_id is computed after this
    fresh text[] := revoking;
BEGIN
    IF OLD.retired_at IS NULL THEN
        fresh := fresh || '{retired_by,retired_reason,retired_at}'::text[];
    END IF;
    IF TG_OP = 'DELETE' OR OLD.revoked_at IS NOT NULL OR OLD.retired_at IS NOT NULL AND NEW.revoked_at IS NULL
        OR to_jsonb(NEW) - fresh IS DISTINCT FROM to_jsonb(OLD) - fresh THEN
        RAISE EXCEPTION 'master key %: the book is only added to', OLD.label USING ERRCODE = 'check_violation', CONSTRAINT = 'master_key_kept';
    END IF;
    IF EXISTS (SELECT FROM master_key_needs(OLD.label)) THEN
        RAISE EXCEPTION 'master key %: it is needed', OLD.label USING ERRCODE = 'check_violation', CONSTRAINT = 'master_key_needed';
    END IF;
    RETURN NEW;
END $$;

-- Activations whose manifest does not count because of its key.
CREATE VIEW under_revoked_key AS
    SELECT m.activation_id FROM activation_manifest m JOIN master_key k ON k.key_id = m.key_id WHERE k.revoked_at IS NOT NULL;
GRANT SELECT ON under_revoked_key TO sifilma_read;

-- Nothing is kept that was signed with a key that was given up meanwhile. The lock keeps
-- whoever gives one up at this moment apart; it needs the owner's rights, which the
-- triggers have.
CREATE FUNCTION signing_keys_in_use(ids text[], what text) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    gone text;
BEGIN
    PERFORM FROM master_key k WHERE k.key_id = ANY (ids) ORDER BY k.label FOR SHARE;
    SELECT k.label INTO gone FROM master_key k WHERE k.key_id = ANY (ids) AND k.retired_at IS NOT NULL ORDER BY k.label LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '%: key % was given up', what, gone USING ERRCODE = 'check_violation', CONSTRAINT = 'signing_key_in_use';
    END IF;
END $$;
CREATE FUNCTION signing_key_in_use() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM signing_keys_in_use(ARRAY(SELECT DISTINCT a.key_id FROM added a), TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER activation_manifest_key AFTER INSERT ON activation_manifest
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION signing_key_in_use();
CREATE TRIGGER revocation_list_key AFTER INSERT ON revocation_list
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION signing_key_in_use();
CREATE TRIGGER audit_head_key AFTER INSERT ON audit_head
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION signing_key_in_use();

-- The key that sealed a bundle, which may be another than that of what is in it. It is
-- not known of bundles that were made before it was kept: any revoked key may be theirs.
ALTER TABLE manifest_release ADD COLUMN key_id text CHECK (key_id <> '');
ALTER TABLE evidence ADD COLUMN key_id text CHECK (key_id <> '');
CREATE FUNCTION bundle_key_in_use() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.key_id IS NULL OR OLD.bundle_blob IS NOT NULL THEN
        RAISE EXCEPTION '% %: the key of a bundle is told with it, once', TG_TABLE_NAME, NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'bundle_key';
    END IF;
    PERFORM signing_keys_in_use(ARRAY[NEW.key_id], TG_TABLE_NAME);
    RETURN NEW;
END $$;
CREATE TRIGGER manifest_release_bundle_key BEFORE UPDATE ON manifest_release FOR EACH ROW
    WHEN ((NEW.bundle_blob, NEW.key_id) IS DISTINCT FROM (OLD.bundle_blob, OLD.key_id)) EXECUTE FUNCTION bundle_key_in_use();
CREATE TRIGGER evidence_bundle_key BEFORE UPDATE ON evidence FOR EACH ROW
    WHEN ((NEW.bundle_blob, NEW.key_id) IS DISTINCT FROM (OLD.bundle_blob, OLD.key_id)) EXECUTE FUNCTION bundle_key_in_use();
CREATE FUNCTION bundle_key_revoked(bundle uuid, sealed_with text) RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT bundle IS NOT NULL AND EXISTS (SELECT FROM master_key k WHERE k.revoked_at IS NOT NULL AND k.key_id = coalesce(sealed_with, k.key_id))
$$;

-- Nor is anything handed over that was signed with a key which is revoked, or is just being
-- revoked: neither the bundle nor what is in it.
CREATE FUNCTION manifest_release_believed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM master_key k WHERE k.algorithm = 'EC' ORDER BY k.label FOR SHARE; -- all, they are few
    IF bundle_key_revoked(NEW.bundle_blob, NEW.key_id)
        OR EXISTS (SELECT FROM manifest_release_line l JOIN under_revoked_key u ON u.activation_id = l.activation_id WHERE l.release_id = NEW.id) THEN
        RAISE EXCEPTION 'manifest release %: its key was revoked', NEW.number USING ERRCODE = 'check_violation', CONSTRAINT = 'manifest_release_believed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER manifest_release_believed BEFORE UPDATE ON manifest_release FOR EACH ROW
    WHEN (NEW.state = 'delivered' AND OLD.state <> 'delivered') EXECUTE FUNCTION manifest_release_believed();

-- Revoked keys of a list that was given after a restore, which the restored book does not
-- know at all: all later lists name them, too.
CREATE TABLE carried_key (
    key_id      text        PRIMARY KEY CHECK (key_id <> ''),
    recovery_id uuid        NOT NULL REFERENCES revocation_recovery,
    since       timestamptz NOT NULL,
    reason      text        NOT NULL
);
CREATE TRIGGER carried_key_immutable BEFORE UPDATE OR DELETE ON carried_key FOR EACH ROW EXECUTE FUNCTION refuse_change();
GRANT SELECT ON carried_key TO sifilma_read;

-- Nor does the restored book take such a key up again, which the token may still have.
CREATE FUNCTION master_key_not_carried() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM carried_key c WHERE c.key_id = key_thumbprint(NEW.public_key)) THEN
        RAISE EXCEPTION 'master key %: it was revoked before the restore', NEW.label USING ERRCODE = 'check_violation', CONSTRAINT = 'master_key_carried';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER master_key_not_carried BEFORE INSERT ON master_key FOR EACH ROW EXECUTE FUNCTION master_key_not_carried();
