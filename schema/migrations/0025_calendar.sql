-- Staff change the calendar and the capacity of a day. Each change is kept, rings
-- the planner, and is the cause of the estimates that it moves.

ALTER TABLE holiday ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0);
ALTER TABLE holiday ADD CHECK (name <> '' AND decree <> '');

-- What people set; days without a row have the usual capacity. capacity_day is what
-- the planner made of it, and never below what is released.
CREATE TABLE capacity_setting (
    day      date   PRIMARY KEY,
    capacity int    NOT NULL CHECK (capacity BETWEEN 0 AND 100000),
    reason   text   NOT NULL CHECK (reason <> ''),
    version  bigint NOT NULL DEFAULT 1 CHECK (version > 0)
);
INSERT INTO capacity_setting (day, capacity, reason) SELECT day, capacity, reason FROM capacity_day WHERE reason <> '';
ALTER TABLE capacity_day DROP COLUMN reason;

CREATE TABLE day_change (
    id         uuid        PRIMARY KEY,
    day        date        NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('holiday', 'capacity')),
    before     jsonb, -- null: there was no entry
    after      jsonb, -- null: there is none any more
    reason     text        NOT NULL CHECK (reason <> ''),
    changed_by text        NOT NULL CHECK (changed_by <> ''),
    changed_at timestamptz NOT NULL,
    CHECK (before IS DISTINCT FROM after)
);
CREATE INDEX day_change_day ON day_change (day, id);

-- Every place that an estimate has had, the first promise included.
CREATE TABLE estimate_move (
    request_id uuid        NOT NULL REFERENCES request,
    version    int         NOT NULL CHECK (version > 0),
    start      date        NOT NULL,
    finish     date        NOT NULL,
    cause      text        NOT NULL,
    moved_at   timestamptz NOT NULL,
    PRIMARY KEY (request_id, version),
    CHECK (start <= finish)
);
INSERT INTO estimate_move (request_id, version, start, finish, cause, moved_at)
SELECT request_id, 1, first_start, first_finish, CASE WHEN (start, finish) = (first_start, first_finish) THEN cause ELSE 'janji pertama' END, moved_at
FROM estimate;
INSERT INTO estimate_move (request_id, version, start, finish, cause, moved_at)
SELECT request_id, 2, start, finish, cause, moved_at FROM estimate WHERE (start, finish) <> (first_start, first_finish);

CREATE FUNCTION kept_for_ever() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is only added to', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_kept';
END $$;
CREATE TRIGGER day_change_kept BEFORE UPDATE OR DELETE ON day_change FOR EACH ROW EXECUTE FUNCTION kept_for_ever();
CREATE TRIGGER estimate_move_kept BEFORE UPDATE OR DELETE ON estimate_move FOR EACH ROW EXECUTE FUNCTION kept_for_ever();

GRANT SELECT ON capacity_setting, day_change, estimate_move TO sifilma_read;
GRANT INSERT, UPDATE, DELETE ON holiday, capacity_setting TO sifilma_portal;
GRANT INSERT ON day_change TO sifilma_portal;
GRANT INSERT ON estimate_move TO sifilma_scheduler;
REVOKE INSERT, UPDATE, DELETE ON holiday FROM sifilma_scheduler;
