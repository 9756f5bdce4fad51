-- Papers and the handover of cards.

-- Pejabat: who signs what, for a period of office.
CREATE TABLE signatory (
    id         uuid PRIMARY KEY,
    post_code  text NOT NULL CHECK (post_code IN ('dirjen', 'direktur_fpddk', 'kasubdit_ki')),
    name       text NOT NULL CHECK (name <> ''),
    nip        text NOT NULL DEFAULT '',
    rank       text NOT NULL DEFAULT '', -- pangkat dan golongan
    post       text NOT NULL CHECK (post <> ''),
    address    text NOT NULL DEFAULT '',
    valid_from date NOT NULL,
    valid_to   date,
    EXCLUDE USING gist (post_code WITH =, daterange(valid_from, valid_to, '[]') WITH &&)
);

-- Serah terima; a request may have several.
CREATE TABLE handover (
    id                  uuid PRIMARY KEY,
    request_id          uuid        NOT NULL REFERENCES request,
    ordinal             int         NOT NULL CHECK (ordinal > 0),
    state               text        NOT NULL,
    version             bigint      NOT NULL DEFAULT 1,
    quantity            int         NOT NULL CHECK (quantity > 0),
    representative      text        NOT NULL DEFAULT '',
    representative_post text        NOT NULL DEFAULT '',
    delivered_on        date,
    received            int CHECK (received BETWEEN 0 AND quantity),
    received_on         date,
    created_at          timestamptz NOT NULL,
    UNIQUE (request_id, ordinal)
);
CREATE TRIGGER handover_transition BEFORE INSERT OR UPDATE ON handover
    FOR EACH ROW EXECUTE FUNCTION check_transition('handover');

-- A card is handed over once.
CREATE TABLE handover_card (
    card_id     uuid PRIMARY KEY REFERENCES card,
    handover_id uuid NOT NULL REFERENCES handover
);
CREATE INDEX handover_card_handover ON handover_card (handover_id);

CREATE TABLE document (
    id           uuid PRIMARY KEY,
    kind         text        NOT NULL CHECK (kind IN ('bast', 'reply_letter', 'completion_letter', 'result_list')),
    subject_id   uuid        NOT NULL,
    request_id   uuid        NOT NULL REFERENCES request,
    state        text        NOT NULL,
    version      bigint      NOT NULL DEFAULT 1,
    number       text CHECK (number <> ''),
    dated        date,
    signatory    jsonb       NOT NULL DEFAULT '{}',
    template_sha256 bytea,
    docx_blob    uuid REFERENCES blob,
    pdf_blob     uuid REFERENCES blob,
    xlsx_blob    uuid REFERENCES blob,
    scan_blob    uuid REFERENCES blob,
    signed_on    date,
    created_at   timestamptz NOT NULL,
    CHECK (state IN ('drafted', 'void') OR number IS NOT NULL OR kind = 'result_list'),
    CHECK (number IS NULL OR dated IS NOT NULL),
    CHECK (state NOT IN ('awaiting_signature') OR pdf_blob IS NOT NULL),
    CHECK (state <> 'issued' OR scan_blob IS NOT NULL OR kind = 'result_list')
);
-- A number is given once in a year, over all kinds: the office's numbers start
-- again each year and need not say which (400.8.2.15/2350/Dukcapil).
CREATE UNIQUE INDEX document_number ON document (number, (extract(year FROM dated)));
-- One living paper of a kind for its subject.
CREATE UNIQUE INDEX document_living ON document (kind, subject_id) WHERE state NOT IN ('void', 'replaced');
CREATE INDEX document_request ON document (request_id);
CREATE TRIGGER document_transition BEFORE INSERT OR UPDATE ON document
    FOR EACH ROW EXECUTE FUNCTION check_transition('document');

-- Gap-free counter per kind and year: the row is locked until the number's
-- transaction commits.
CREATE TABLE document_counter (
    kind text NOT NULL,
    year int  NOT NULL,
    last int  NOT NULL,
    PRIMARY KEY (kind, year)
);
