-- The timeline is never deleted, so it is rolled: a partition for each month in
-- which a subject was born. Subjects are UUIDv7 and begin with their time of
-- birth; so the key (machine, subject, version) stays one key over the whole
-- timeline, and the steps of one subject are in one partition.

-- The least UUIDv7 of a moment.
CREATE FUNCTION uuid_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

ALTER TABLE history RENAME TO history_before;
ALTER INDEX history_pkey RENAME TO history_before_pkey;
ALTER INDEX history_machine_subject_version_key RENAME TO history_before_key;
ALTER INDEX history_request RENAME TO history_before_request;
ALTER TABLE history_before RENAME CONSTRAINT history_machine_from_state_verb_to_state_fkey TO history_before_fkey;

CREATE TABLE history (
    id         uuid        NOT NULL,
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
    PRIMARY KEY (subject, id),
    UNIQUE (machine, subject, version),
    FOREIGN KEY (machine, from_state, verb, to_state) REFERENCES transition
) PARTITION BY RANGE (subject);
CREATE INDEX history_request ON history (request_id, id);
CREATE TRIGGER history_immutable BEFORE UPDATE OR DELETE ON history FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The safety net: a step is never refused because nobody made a partition. It is
-- empty while the scheduler keeps house; it says so when it is not.
CREATE TABLE history_rest PARTITION OF history DEFAULT;

-- Makes the partitions from the newest one on up to the month of until; says how
-- many. Rows that the safety net caught move into the partition that was missing.
-- May be called by several at once. It does not wait for long behind a transaction
-- that reads the timeline: it fails, and is called again.
CREATE FUNCTION roll_history(until timestamptz) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    month timestamp;
    name  text;
    low   uuid;
    high  uuid;
    made  int := 0;
BEGIN
    IF until > now() + interval '3 years' THEN
        RAISE EXCEPTION 'no timeline is kept for %: look at the clock', until USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(1374755330);
    SELECT to_date(right(max(c.relname), 7), 'YYYY_MM') + interval '1 month' INTO month
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'history'::regclass AND c.relname ~ '^history_\d{4}_\d{2}$';
    month := coalesce(month, date_trunc('month', until AT TIME ZONE 'UTC'));
    WHILE month <= until AT TIME ZONE 'UTC' LOOP
        name := 'history_' || to_char(month, 'YYYY_MM');
        low := uuid_floor(month AT TIME ZONE 'UTC');
        high := uuid_floor((month + interval '1 month') AT TIME ZONE 'UTC');
        IF EXISTS (SELECT FROM history_rest WHERE subject >= low AND subject < high) THEN
            LOCK TABLE history IN ACCESS EXCLUSIVE MODE;
            EXECUTE format('CREATE TABLE %I (LIKE history INCLUDING DEFAULTS)', name);
            EXECUTE format('INSERT INTO %I SELECT * FROM history_rest WHERE subject >= %L AND subject < %L', name, low, high);
            ALTER TABLE history_rest DISABLE TRIGGER history_immutable;
            DELETE FROM history_rest WHERE subject >= low AND subject < high;
            ALTER TABLE history_rest ENABLE TRIGGER history_immutable;
            EXECUTE format('ALTER TABLE history ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, low, high);
        ELSE
            EXECUTE format('CREATE TABLE %I PARTITION OF history FOR VALUES FROM (%L) TO (%L)', name, low, high);
        END IF;
        made := made + 1;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION roll_history FROM PUBLIC;
GRANT EXECUTE ON FUNCTION roll_history TO sifilma_scheduler;

-- The months that the present rows are of, the present one, and three ahead.
DO $$
DECLARE
    first uuid;
BEGIN
    SELECT subject INTO first FROM history_before
    WHERE subject >= uuid_floor('2024-01-01 00:00Z') AND subject < uuid_floor(now()) AND substr(subject::text, 15, 1) = '7'
    ORDER BY subject LIMIT 1;
    IF first IS NOT NULL THEN
        PERFORM roll_history(to_timestamp(('x' || lpad(left(replace(first::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0));
    END IF;
    PERFORM roll_history(now());
    PERFORM roll_history(now() + interval '3 months');
END $$;

INSERT INTO history SELECT id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, reason, detail, office_at, at
FROM history_before ORDER BY subject, version;
DO $$
BEGIN
    IF (SELECT count(*) FROM history) <> (SELECT count(*) FROM history_before) THEN
        RAISE EXCEPTION 'the timeline did not come over whole';
    END IF;
END $$;
DROP TABLE history_before;

GRANT SELECT ON history, history_rest TO sifilma_read;
GRANT INSERT ON history TO sifilma_intake, sifilma_validator, sifilma_scheduler, sifilma_perso_station,
    sifilma_document_generator, sifilma_portal;

-- Housekeeping takes old rows off in small portions, by their age.
CREATE INDEX delivery_attempt_age ON delivery_attempt (at);
CREATE INDEX sweep_age ON sweep (rung_at);
GRANT SELECT (ctid) ON session TO sifilma_scheduler; -- which row, not whose
