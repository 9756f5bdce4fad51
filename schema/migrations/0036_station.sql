-- What a station says of itself every few seconds, and what people want of it. A
-- silent station can so be told from a busy one, and one that was paused stays so
-- until somebody lets it go on, also when it was started anew.
CREATE TABLE station (
    name        text PRIMARY KEY CHECK (name <> ''),
    -- What people want: running; paused, no new card is begun; draining, none is touched.
    mode        text NOT NULL DEFAULT 'running' CHECK (mode IN ('running', 'paused', 'draining')),
    mode_by     text NOT NULL DEFAULT '', -- as the person said it at the station; empty until the first time
    mode_reason text NOT NULL DEFAULT '',
    mode_at     timestamptz,              -- office time
    -- What it says: heard_at by the clock of the database, no office time.
    heard_at    timestamptz,
    started_at  timestamptz,
    build       text   NOT NULL DEFAULT '',
    readers     int    NOT NULL DEFAULT 0 CHECK (readers >= 0),
    in_hand     uuid[] NOT NULL DEFAULT '{}', -- cards that it works on
    alarms      text[] NOT NULL DEFAULT '{}',
    CONSTRAINT station_mode_of_somebody CHECK ((mode = 'running' AND mode_by = '') OR (mode_by <> '' AND mode_at IS NOT NULL)),
    CONSTRAINT station_held_for_a_reason CHECK (mode = 'running' OR mode_reason <> '')
);

GRANT SELECT ON station TO sifilma_read;
GRANT INSERT, UPDATE ON station TO sifilma_perso_station;
