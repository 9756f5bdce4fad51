-- When cards are personalised, by which chip, and with what result.

CREATE TABLE holiday (
    day       date PRIMARY KEY,
    kind      text NOT NULL CHECK (kind IN ('national', 'joint_leave')),
    name      text NOT NULL,
    decree    text NOT NULL,
    confirmed bool NOT NULL
);

-- The value of a day, written when the day is first planned or changed.
CREATE TABLE capacity_day (
    day      date PRIMARY KEY,
    capacity int  NOT NULL CHECK (capacity >= 0),
    reason   text NOT NULL DEFAULT '',
    UNIQUE (day, capacity)
);

-- Perintah kerja: the part of a request that is planned for a day, as a span of
-- the day's numbered slots. Spans do not overlap, so a day is never over its
-- capacity: the capacity travels along by the foreign key.
CREATE TABLE work_order (
    id          uuid PRIMARY KEY,
    request_id  uuid        NOT NULL REFERENCES request,
    day         date        NOT NULL,
    slots       int4range   NOT NULL,
    capacity    int         NOT NULL,
    quantity    int         NOT NULL GENERATED ALWAYS AS (upper(slots) - lower(slots)) STORED,
    remaining   int         NOT NULL,
    mode        text        NOT NULL DEFAULT 'station' CHECK (mode IN ('station', 'manual')),
    state       text        NOT NULL,
    version     bigint      NOT NULL DEFAULT 1,
    released_at timestamptz,
    closed_at   timestamptz,
    FOREIGN KEY (day, capacity) REFERENCES capacity_day (day, capacity) ON UPDATE CASCADE,
    CHECK (NOT isempty(slots) AND lower(slots) >= 1),
    CHECK (upper(slots) - 1 <= capacity),
    CHECK (remaining BETWEEN 0 AND upper(slots) - lower(slots)),
    CONSTRAINT work_order_slots_free EXCLUDE USING gist (day WITH =, slots WITH &&) WHERE (state <> 'revoked')
        DEFERRABLE INITIALLY IMMEDIATE
);
CREATE INDEX work_order_request ON work_order (request_id, day);
CREATE INDEX work_order_open ON work_order (day, id) WHERE state IN ('planned', 'released', 'closing');
CREATE TRIGGER work_order_transition BEFORE INSERT OR UPDATE ON work_order
    FOR EACH ROW EXECUTE FUNCTION check_transition('work_order');

-- The first promise to the produsen beside the present estimate.
CREATE TABLE estimate (
    request_id   uuid PRIMARY KEY REFERENCES request,
    first_start  date        NOT NULL,
    first_finish date        NOT NULL,
    start        date        NOT NULL,
    finish       date        NOT NULL,
    cause        text        NOT NULL,
    moved_at     timestamptz NOT NULL,
    CHECK (start <= finish AND first_start <= first_finish)
);

-- A run of a scheduled job, once per window, in one transaction with its
-- effects (reliability.md E8, E10).
CREATE TABLE schedule_run (
    job          text        NOT NULL,
    window_start timestamptz NOT NULL,
    effects      jsonb       NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job, window_start)
);

-- The life of one listed card on the line.
CREATE TABLE card (
    id            uuid PRIMARY KEY REFERENCES listed_card,
    request_id    uuid   NOT NULL REFERENCES request,
    serial        text   NOT NULL,
    state         text   NOT NULL,
    version       bigint NOT NULL DEFAULT 1,
    chip_id       text UNIQUE CHECK (chip_id <> ''),
    work_order_id uuid REFERENCES work_order,
    attempt       int    NOT NULL DEFAULT 0,
    pcid          text UNIQUE CHECK (pcid ~ '^[0-9A-F]{32}$'),
    manifest_no   text UNIQUE CHECK (manifest_no <> ''),
    reason        text   NOT NULL DEFAULT '',
    finished_at   timestamptz,
    CHECK (state IN ('listed', 'spoiled', 'reduced') OR chip_id IS NOT NULL),
    CHECK (state IN ('listed', 'bound', 'spoiled', 'reduced', 'failed') OR (pcid IS NOT NULL AND manifest_no IS NOT NULL)),
    CHECK (state NOT IN ('claimed', 'writing', 'written', 'verified', 'clear') OR work_order_id IS NOT NULL)
);
CREATE UNIQUE INDEX card_serial ON card (serial) WHERE state NOT IN ('reduced');
CREATE INDEX card_request ON card (request_id, state);
CREATE TRIGGER card_transition BEFORE INSERT OR UPDATE ON card
    FOR EACH ROW EXECUTE FUNCTION check_transition('card');

-- Numbers are given once, for ever; a number of a failed card is burnt.
CREATE TABLE card_number (
    kind         text        NOT NULL CHECK (kind IN ('pcid', 'manifest')),
    value        text        NOT NULL,
    card_id      uuid        NOT NULL REFERENCES listed_card,
    allocated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, value),
    UNIQUE (kind, card_id)
);
CREATE TRIGGER card_number_immutable BEFORE UPDATE OR DELETE ON card_number
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- epoch: raised after a restore, so that numbers given after the backup are
-- never given again.
CREATE TABLE number_counter (
    kind  text PRIMARY KEY,
    epoch int    NOT NULL,
    next  bigint NOT NULL
);
INSERT INTO number_counter VALUES ('pcid', 1, 1), ('manifest', 1, 1);

-- One try to write one card. sealed: what is needed to resume, wrapped by the
-- HSM; no secret is here in clear.
CREATE TABLE perso_attempt (
    id            uuid PRIMARY KEY,
    card_id       uuid        NOT NULL REFERENCES card,
    attempt       int         NOT NULL CHECK (attempt > 0),
    work_order_id uuid        NOT NULL REFERENCES work_order,
    station       text        NOT NULL,
    reader        text        NOT NULL,
    chip_id       text        NOT NULL,
    profile       text        NOT NULL,
    profile_sha256 bytea      NOT NULL,
    sealed        bytea,
    intent        jsonb       NOT NULL DEFAULT '{}',
    proposal      text        NOT NULL DEFAULT '' CHECK (proposal IN ('', 'complete', 'resume', 'spoil')),
    observed      jsonb       NOT NULL DEFAULT '{}',
    outcome       text        NOT NULL DEFAULT '',
    counted       bool        NOT NULL DEFAULT false, -- taken off its work order, once
    claimed_at    timestamptz NOT NULL DEFAULT now(),
    writing_at    timestamptz,
    ended_at      timestamptz,
    UNIQUE (card_id, attempt)
);

-- Decisions on a card in doubt: one proposes, another confirms.
CREATE TABLE card_resolution (
    id           uuid PRIMARY KEY,
    card_id      uuid        NOT NULL REFERENCES card,
    attempt      int         NOT NULL,
    card_version bigint      NOT NULL, -- of the doubt it decides on; a later doubt wants a new decision
    decision     text        NOT NULL CHECK (decision IN ('complete', 'resume', 'spoil')),
    reason       text        NOT NULL CHECK (reason <> ''),
    decided_by   text        NOT NULL,
    confirmed_by text,
    decided_at   timestamptz NOT NULL,
    confirmed_at timestamptz,
    CHECK (confirmed_by <> decided_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL))
);
CREATE UNIQUE INDEX card_resolution_open ON card_resolution (card_id) WHERE confirmed_by IS NULL;

-- Failed authentications of a chip, counted before each try and cleared after
-- success: a chip locks itself for good after a few (card-perso.md B4).
CREATE TABLE chip_authentication (
    chip_id  text PRIMARY KEY,
    failures int         NOT NULL CHECK (failures >= 0),
    at       timestamptz NOT NULL
);
