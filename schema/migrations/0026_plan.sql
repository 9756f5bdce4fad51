-- What people decide about the plan, as inputs of the planner: where the cards of
-- a request go, when stations stand still, and orders about today. The planner
-- alone writes work orders.

-- What the scheduler plans with, so that whoever reads the plan counts alike.
CREATE TABLE plan_parameter (
    one        bool  PRIMARY KEY DEFAULT true CHECK (one),
    usual      int   NOT NULL CHECK (usual > 0), -- cards of a day without a number of its own
    ramadan_on bool  NOT NULL,                   -- fewer cards in Ramadan (features.md N7)
    ramadan    jsonb NOT NULL                    -- its spans of days
);

-- Cards of a request that people put on a day (pin), or not before one (move);
-- with a number of cards the request is split.
CREATE TABLE placement (
    id         uuid   PRIMARY KEY,
    request_id uuid   NOT NULL REFERENCES request,
    pin        bool   NOT NULL,
    day        date   NOT NULL,
    cards      int    CHECK (cards > 0), -- null: all that remain
    reason     text   NOT NULL CHECK (reason <> ''),
    placed_by  text   NOT NULL CHECK (placed_by <> ''),
    version    bigint NOT NULL DEFAULT 1 CHECK (version > 0)
);
CREATE UNIQUE INDEX placement_whole ON placement (request_id) WHERE cards IS NULL;
CREATE UNIQUE INDEX placement_part ON placement (request_id, day, pin) WHERE cards IS NOT NULL;

-- While a station stands still, each day has so many cards less.
CREATE TABLE station_downtime (
    id       uuid   PRIMARY KEY,
    station  text   NOT NULL CHECK (station <> ''),
    from_day date   NOT NULL,
    to_day   date   NOT NULL,
    cards    int    NOT NULL CHECK (cards BETWEEN 1 AND 100000),
    reason   text   NOT NULL CHECK (reason <> ''),
    version  bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    CHECK (from_day <= to_day)
);
CREATE INDEX station_downtime_end ON station_downtime (to_day);

ALTER TABLE day_change DROP CONSTRAINT day_change_kind_check;
ALTER TABLE day_change ADD CONSTRAINT day_change_kind_check CHECK (kind IN ('holiday', 'capacity', 'placement', 'downtime'));

-- Orders about a day that has begun. The scheduler obeys once and says what came of it.
CREATE TABLE day_command (
    id         uuid        PRIMARY KEY,
    verb       text        NOT NULL CHECK (verb IN ('release', 'close', 'reopen')),
    day        date        NOT NULL,
    request_id uuid        REFERENCES request, -- null: all of the day
    cards      int         CHECK (cards > 0),  -- null: all that remain
    reason     text        NOT NULL CHECK (reason <> ''),
    ordered_by text        NOT NULL CHECK (ordered_by <> ''),
    ordered_at timestamptz NOT NULL,
    done_at    timestamptz,
    outcome    text        CHECK (outcome <> ''),
    CHECK ((done_at IS NULL) = (outcome IS NULL)),
    CHECK (verb <> 'release' OR request_id IS NOT NULL),
    CHECK (cards IS NULL OR verb = 'release')
);
CREATE INDEX day_command_open ON day_command (id) WHERE done_at IS NULL;
CREATE INDEX day_command_day ON day_command (day, id);

-- Places of cards that were taken off the request by a letter meanwhile.
ALTER TABLE work_order ADD COLUMN reduced int NOT NULL DEFAULT 0 CHECK (reduced >= 0);

-- What became of the cards of an order by the close of its day. A card in doubt is
-- a bucket of its own, whatever it turns out to be later.
CREATE TABLE day_balance (
    work_order_id uuid PRIMARY KEY REFERENCES work_order,
    request_id    uuid NOT NULL REFERENCES request,
    day           date NOT NULL,
    planned       int  NOT NULL CHECK (planned > 0),
    clear         int  NOT NULL CHECK (clear >= 0),
    failed        int  NOT NULL CHECK (failed >= 0),
    spoiled       int  NOT NULL CHECK (spoiled >= 0),
    in_doubt      int  NOT NULL CHECK (in_doubt >= 0),
    reduced       int  NOT NULL CHECK (reduced >= 0),
    not_presented int  NOT NULL CHECK (not_presented >= 0),
    difference    int  NOT NULL GENERATED ALWAYS AS (planned - clear - failed - spoiled - in_doubt - reduced - not_presented) STORED -- 0: it balances
);
CREATE INDEX day_balance_day ON day_balance (day);

CREATE INDEX perso_attempt_order ON perso_attempt (work_order_id);

-- An order that moves is deleted, which asks for its cards.
CREATE INDEX card_order ON card (work_order_id) WHERE work_order_id IS NOT NULL;

-- An order that was taken back holds no slots: it does not keep its day from
-- having less.
ALTER TABLE work_order DROP CONSTRAINT work_order_check;
ALTER TABLE work_order ADD CONSTRAINT work_order_check CHECK (state = 'revoked' OR upper(slots) - 1 <= capacity);

-- Who ranks after a request is asked for each new one.
CREATE INDEX request_rank ON request (disposition_date, ticket) WHERE state IN ('accepted', 'scheduled', 'in_progress');

GRANT SELECT ON plan_parameter, placement, station_downtime, day_command, day_balance TO sifilma_read;
GRANT INSERT, UPDATE ON plan_parameter TO sifilma_scheduler;
GRANT INSERT, UPDATE, DELETE ON placement, station_downtime TO sifilma_portal;
GRANT INSERT ON day_command TO sifilma_portal;
GRANT UPDATE ON day_command TO sifilma_scheduler;
GRANT INSERT, DELETE ON day_balance TO sifilma_scheduler;
