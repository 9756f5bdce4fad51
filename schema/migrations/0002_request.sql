-- Who asks, what they ask for, and what was found in it.

CREATE TABLE institution (
    id             uuid PRIMARY KEY,
    kind           text        NOT NULL CHECK (kind IN ('produsen', 'lembaga', 'dinas', 'reseller')),
    name           text        NOT NULL UNIQUE CHECK (name <> ''),
    address        text        NOT NULL DEFAULT '',
    representative text        NOT NULL DEFAULT '',
    post           text        NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now()
);

-- Perjanjian kerja sama between a lembaga pengguna and Ditjen Dukcapil.
CREATE TABLE pks (
    id             uuid PRIMARY KEY,
    number         text NOT NULL UNIQUE CHECK (number <> ''),
    institution_id uuid NOT NULL REFERENCES institution,
    valid_from     date NOT NULL,
    valid_to       date NOT NULL,
    state          text NOT NULL CHECK (state IN ('in_force', 'withdrawn')),
    CHECK (valid_from <= valid_to)
);

CREATE TABLE machine_type (
    code           text PRIMARY KEY,
    name           text NOT NULL UNIQUE,
    uses_reader    bool NOT NULL,
    sam_pattern    text NOT NULL,
    reader_pattern text NOT NULL
);

CREATE TABLE account (
    id             uuid PRIMARY KEY,
    username       text        NOT NULL UNIQUE CHECK (username = lower(username) AND username <> ''),
    name           text        NOT NULL,
    role           text        NOT NULL CHECK (role IN
                       ('produsen', 'lembaga', 'dinas', 'persuratan', 'dirjen', 'direktur', 'kasubdit', 'operator')),
    institution_id uuid REFERENCES institution,
    password_hash  text        NOT NULL,
    active         bool        NOT NULL DEFAULT true,
    failures       int         NOT NULL DEFAULT 0,
    locked_until   timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((role IN ('produsen', 'lembaga', 'dinas')) = (institution_id IS NOT NULL))
);

CREATE TABLE session (
    token_sha256 bytea PRIMARY KEY,
    account_id   uuid        NOT NULL REFERENCES account,
    created_at   timestamptz NOT NULL DEFAULT now(),
    seen_at      timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);

CREATE TABLE api_key (
    id             text PRIMARY KEY,
    institution_id uuid        NOT NULL REFERENCES institution,
    label          text        NOT NULL,
    secret_sha256  bytea       NOT NULL CHECK (octet_length(secret_sha256) = 32),
    scopes         text[]      NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    revoked_at     timestamptz,
    last_used_at   timestamptz
);

-- Answers given to machine clients, by their own key (users.md E3).
CREATE TABLE idempotency (
    client      text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    status      int         NOT NULL,
    location    text        NOT NULL,
    body        jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client, key)
);

CREATE SEQUENCE ticket_number;

-- Permohonan personalisasi.
CREATE TABLE request (
    id               uuid PRIMARY KEY,
    ticket           text        NOT NULL UNIQUE,
    kind             text        NOT NULL CHECK (kind IN ('reader', 'rekam_cetak')),
    institution_id   uuid        NOT NULL REFERENCES institution,
    reference        text        NOT NULL CHECK (reference <> ''),
    title            text        NOT NULL CHECK (title <> ''),
    sam_function     text        NOT NULL CHECK (sam_function IN ('R', 'Rekam', 'Cetak')),
    card_count       int         NOT NULL CHECK (card_count > 0),
    machine_type     text        NOT NULL REFERENCES machine_type,
    pks_number       text        NOT NULL DEFAULT '',
    notes            text        NOT NULL DEFAULT '',
    letter_sender    text        NOT NULL,
    letter_post      text        NOT NULL,
    letter_number    text        NOT NULL,
    letter_date      date        NOT NULL,
    letter_subject   text        NOT NULL,
    state            text        NOT NULL,
    held_from        text,
    version          bigint      NOT NULL DEFAULT 1,
    submission       int         NOT NULL DEFAULT 1,
    disposition_date date,
    created_by       text        NOT NULL,
    created_at       timestamptz NOT NULL,
    UNIQUE (institution_id, reference),
    CHECK ((state = 'held') = (held_from IS NOT NULL)),
    CHECK (disposition_date IS NOT NULL OR state NOT IN ('accepted', 'scheduled', 'in_progress', 'done'))
);
CREATE INDEX request_state ON request (state, disposition_date, ticket);
CREATE TRIGGER request_transition BEFORE INSERT OR UPDATE ON request
    FOR EACH ROW EXECUTE FUNCTION check_transition('request');

-- One line per lembaga pengguna.
CREATE TABLE request_line (
    request_id uuid NOT NULL REFERENCES request,
    line       int  NOT NULL CHECK (line > 0),
    lembaga    text NOT NULL CHECK (lembaga <> ''),
    quantity   int  NOT NULL CHECK (quantity > 0),
    remarks    text NOT NULL DEFAULT '',
    PRIMARY KEY (request_id, line)
);

CREATE TABLE purchase_order (
    request_id   uuid NOT NULL REFERENCES request,
    line         int  NOT NULL CHECK (line > 0),
    number       text NOT NULL CHECK (number <> ''),
    buyer        text NOT NULL CHECK (buyer <> ''),
    seller       text NOT NULL CHECK (seller <> ''),
    reader_count int  NOT NULL CHECK (reader_count > 0),
    PRIMARY KEY (request_id, line)
);

CREATE TABLE request_file (
    request_id uuid        NOT NULL REFERENCES request,
    kind       text        NOT NULL CHECK (kind IN ('letter', 'purchase_order', 'pks', 'card_list')),
    submission int         NOT NULL,
    blob_id    uuid        NOT NULL REFERENCES blob,
    name       text        NOT NULL,
    PRIMARY KEY (request_id, kind, submission, blob_id)
);

-- The facts that together make a request registered, in any order; and the
-- Direktur's disposition, which Kasubdit KI confirms.
CREATE TABLE request_fact (
    request_id uuid        NOT NULL REFERENCES request,
    fact       text        NOT NULL CHECK (fact IN ('validated', 'letter_received', 'blanks_counted', 'compared', 'disposed')),
    detail     jsonb       NOT NULL,
    actor      text        NOT NULL,
    office_at  timestamptz NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, fact)
);

-- What the validator found in a submission.
CREATE TABLE finding (
    request_id uuid NOT NULL REFERENCES request,
    submission int  NOT NULL,
    ordinal    int  NOT NULL,
    code       text NOT NULL,
    severity   text NOT NULL CHECK (severity IN ('error', 'warning')),
    pointer    text NOT NULL,
    detail     text NOT NULL,
    PRIMARY KEY (request_id, submission, ordinal)
);

-- The rows of the card list as the produsen sent them.
CREATE TABLE listed_card (
    id            uuid PRIMARY KEY,
    request_id    uuid NOT NULL REFERENCES request,
    row           int  NOT NULL CHECK (row > 0),
    serial        text NOT NULL CHECK (serial <> ''),
    reader_serial text NOT NULL DEFAULT '',
    remarks       text NOT NULL DEFAULT '',
    line          int  NOT NULL DEFAULT 1,
    replaces      uuid UNIQUE REFERENCES listed_card,
    UNIQUE (request_id, serial),
    UNIQUE (request_id, row)
);

-- A serial is in at most one live request, and for ever in the one that
-- personalised it.
CREATE TABLE live_serial (
    serial     text PRIMARY KEY,
    request_id uuid NOT NULL REFERENCES request,
    card_id    uuid NOT NULL UNIQUE REFERENCES listed_card ON DELETE CASCADE
);
CREATE INDEX live_serial_request ON live_serial (request_id);
CREATE INDEX listed_card_request ON listed_card (request_id);
