-- The stage clock: in which stage each request is, for how many hari kerja, and
-- which are late.

-- What the scheduler reckons with, so that all daemons reckon alike.
CREATE TABLE stage_rules (
    one   bool  PRIMARY KEY DEFAULT true CHECK (one),
    rules jsonb NOT NULL
);

-- The last reckoning of each request; days are hari kerja.
CREATE TABLE request_stage (
    request_id      uuid PRIMARY KEY REFERENCES request,
    stage           text NOT NULL CHECK (stage IN ('letter', 'decision', 'personalisation', 'documents', 'handover')),
    status          text NOT NULL CHECK (status IN ('on_time', 'warning', 'late')),
    standing        text NOT NULL CHECK (standing IN ('', 'letter', 'applicant', 'hold')),
    since           date NOT NULL,
    stage_office    int  NOT NULL CHECK (stage_office >= 0),
    stage_applicant int  NOT NULL CHECK (stage_applicant >= stage_office),
    office          int  NOT NULL CHECK (office >= stage_office),
    applicant       int  NOT NULL CHECK (applicant >= office AND applicant >= stage_applicant),
    over            int  NOT NULL,
    ended_on        date CHECK (ended_on >= since)
);
CREATE INDEX request_stage_open ON request_stage (status, over DESC, request_id DESC) WHERE ended_on IS NULL;

-- A request came to a warning or to its limit's end, in a stage or in all: once each.
CREATE TABLE stage_alarm (
    request_id uuid        NOT NULL REFERENCES request,
    stage      text        NOT NULL CHECK (stage IN ('letter', 'decision', 'personalisation', 'documents', 'handover', 'total')),
    status     text        NOT NULL CHECK (status IN ('warning', 'late')),
    days       int         NOT NULL CHECK (days > 0),
    most       int         NOT NULL CHECK (most > 0),
    office_at  timestamptz NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, stage, status)
);
CREATE TRIGGER stage_alarm_kept BEFORE UPDATE OR DELETE ON stage_alarm FOR EACH ROW EXECUTE FUNCTION kept_for_ever();

GRANT SELECT ON stage_rules, request_stage, stage_alarm TO sifilma_read;
GRANT INSERT, UPDATE ON stage_rules, request_stage TO sifilma_scheduler;
GRANT INSERT ON stage_alarm TO sifilma_scheduler;
