-- What must be known after the database was restored from a backup: that it was,
-- to which moment, and what had happened after that moment.

-- The timeline of the write-ahead log: each recovery to a moment, and each
-- failover, begins a new one.
CREATE FUNCTION wal_timeline() RETURNS int LANGUAGE sql STABLE AS $$
    SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
$$;

-- A counter goes on in a new epoch on a new timeline, by itself: numbers given
-- after the moment are on cards, and whoever restores may forget to say so.
ALTER TABLE number_counter ADD COLUMN timeline int NOT NULL DEFAULT 1;
UPDATE number_counter SET timeline = wal_timeline();

CREATE TABLE restoration (
    id           uuid PRIMARY KEY,
    restored_to  timestamptz NOT NULL, -- of the last commit that is still there
    raised_at    timestamptz NOT NULL DEFAULT now(),
    raised_by    text        NOT NULL CHECK (raised_by <> ''),
    reason       text        NOT NULL CHECK (reason <> ''),
    epoch        int         NOT NULL, -- of the numbers from then on
    tickets_from bigint      NOT NULL, -- numbers of Kode Tiket that are left out: given after the moment, perhaps
    tickets_to   bigint      NOT NULL,
    papers_gap   int         NOT NULL CHECK (papers_gap > 0), -- numbers of papers that are left out, of each template
    papers       jsonb       NOT NULL  -- [{template, year, from, to}]
);
CREATE TRIGGER restoration_immutable BEFORE UPDATE OR DELETE ON restoration
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Attempts that only a station's journal knows: begun after the moment.
CREATE TABLE lost_attempt (
    id       uuid PRIMARY KEY, -- of the attempt; the marker on the card
    chip_id  text        NOT NULL,
    station  text        NOT NULL,
    last     text        NOT NULL, -- the journal's last word on it: intent, step, proven, failed, in_doubt
    at       timestamptz NOT NULL, -- of that word
    noted_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER lost_attempt_immutable BEFORE UPDATE OR DELETE ON lost_attempt
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

GRANT SELECT ON restoration, lost_attempt TO sifilma_read;
GRANT INSERT ON lost_attempt TO sifilma_perso_station;
