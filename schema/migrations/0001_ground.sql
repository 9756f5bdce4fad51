-- The ground floor: what every daemon stands on, whatever the office does.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Messages to send. A row is written in the transaction of the change that it
-- announces; relays lease rows, publish them, and mark them sent.
CREATE TABLE outbox (
    id           uuid PRIMARY KEY,
    type         text        NOT NULL,
    subject      uuid        NOT NULL,
    version      bigint      NOT NULL,
    request_id   uuid,
    data         jsonb       NOT NULL DEFAULT '{}',
    traceparent  text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    leased_by    uuid,
    leased_until timestamptz,
    attempts     int         NOT NULL DEFAULT 0,
    sent_at      timestamptz
);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- Messages that failed by themselves, kept for a person to look at.
CREATE TABLE shelf (
    id        uuid PRIMARY KEY,
    consumer  text        NOT NULL,
    type      text        NOT NULL,
    subject   uuid        NOT NULL,
    reason    text        NOT NULL,
    payload   jsonb       NOT NULL,
    attempts  int         NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_by text,
    CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE UNIQUE INDEX shelf_open ON shelf (consumer, type, subject) WHERE closed_at IS NULL;

-- The true attempt count of a message: the broker's own counts lost
-- connections too.
CREATE TABLE delivery_attempt (
    consumer   text        NOT NULL,
    message_id uuid        NOT NULL,
    attempts   int         NOT NULL,
    last_error text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (consumer, message_id)
);

-- Files, immutable, in chunks of at most 256 KiB.
CREATE TABLE blob (
    id         uuid PRIMARY KEY,
    sha256     bytea       NOT NULL CHECK (octet_length(sha256) = 32),
    size       bigint      NOT NULL CHECK (size >= 0),
    media_type text        NOT NULL,
    name       text        NOT NULL,
    chunks     int         NOT NULL CHECK (chunks >= 0),
    created_at timestamptz NOT NULL
);
CREATE TABLE blob_chunk (
    blob_id uuid  NOT NULL REFERENCES blob DEFERRABLE INITIALLY DEFERRED,
    seq     int   NOT NULL,
    data    bytea NOT NULL,
    PRIMARY KEY (blob_id, seq)
);
ALTER TABLE blob_chunk ALTER COLUMN data SET STORAGE EXTERNAL; -- PDF, XLSX and scans do not compress again

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER blob_immutable BEFORE UPDATE OR DELETE ON blob FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER blob_chunk_immutable BEFORE UPDATE OR DELETE ON blob_chunk FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Who did what. A row goes in with the business transaction; the sealer gives
-- it its place in the hash chain afterwards, once.
CREATE TABLE audit (
    id         uuid PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text        NOT NULL,
    action     text        NOT NULL,
    subject    text        NOT NULL,
    request_id uuid,
    detail     jsonb       NOT NULL,
    seq        bigint UNIQUE,
    prev_hash  bytea,
    hash       bytea,
    CHECK ((seq IS NULL) = (hash IS NULL) AND (seq IS NULL) = (prev_hash IS NULL))
);
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE INDEX audit_request ON audit (request_id, id);

CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.seq IS NOT NULL
       OR (OLD.id, OLD.at, OLD.actor, OLD.action, OLD.subject, OLD.request_id, OLD.detail)
          IS DISTINCT FROM (NEW.id, NEW.at, NEW.actor, NEW.action, NEW.subject, NEW.request_id, NEW.detail) THEN
        RAISE EXCEPTION 'audit rows are only sealed, never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_guard();

-- The state machines, written here from the tables in Go at each migration.
-- from_state '' is the birth of a row.
CREATE TABLE transition (
    machine    text NOT NULL,
    from_state text NOT NULL,
    verb       text NOT NULL,
    to_state   text NOT NULL,
    active     bool NOT NULL,
    PRIMARY KEY (machine, from_state, verb, to_state)
);

-- What happened to whom, step by step: the timeline.
CREATE TABLE history (
    id         uuid PRIMARY KEY,
    machine    text        NOT NULL,
    subject    uuid        NOT NULL,
    request_id uuid,
    version    bigint      NOT NULL,
    from_state text        NOT NULL,
    verb       text        NOT NULL,
    to_state   text        NOT NULL,
    actor      text        NOT NULL,
    role       text        NOT NULL,
    reason     text        NOT NULL DEFAULT '',
    detail     jsonb       NOT NULL DEFAULT '{}',
    office_at  timestamptz NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (machine, subject, version),
    FOREIGN KEY (machine, from_state, verb, to_state) REFERENCES transition
);
CREATE INDEX history_request ON history (request_id, id);
CREATE TRIGGER history_immutable BEFORE UPDATE OR DELETE ON history FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- An illegal step is impossible, whoever writes the SQL. Each step raises the
-- version by one, so a compare-and-set cannot be forgotten either.
CREATE FUNCTION check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    born text := '';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.state = OLD.state THEN
            RETURN NEW;
        END IF;
        born := OLD.state;
        IF NEW.version <> OLD.version + 1 THEN
            RAISE EXCEPTION '% %: version must go from % to %', TG_ARGV[0], NEW.id, OLD.version, OLD.version + 1
                USING ERRCODE = 'check_violation', CONSTRAINT = 'version_step';
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM transition
                   WHERE machine = TG_ARGV[0] AND from_state = born AND to_state = NEW.state AND active) THEN
        RAISE EXCEPTION '% %: no step leads from "%" to "%"', TG_ARGV[0], NEW.id, born, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_transition';
    END IF;
    RETURN NEW;
END $$;
