-- Activation of readers (features.md J01 to J15, N2, N8, N9, N33): the letter of a
-- lembaga pengguna, and one row for each reader that it names.

CREATE SEQUENCE activation_ticket;
CREATE SEQUENCE activation_manifest_serial;

-- Surat permohonan aktivasi. A produsen may prepare it; the lembaga submits it (N8).
CREATE TABLE activation_letter (
    id            uuid PRIMARY KEY,
    ticket        text        NOT NULL UNIQUE,
    lembaga_id    uuid        NOT NULL REFERENCES institution,
    produsen_id   uuid        NOT NULL REFERENCES institution, -- who installs the manifests (N9)
    number        text        NOT NULL CHECK (number <> ''),
    dated         date        NOT NULL,
    subject       text        NOT NULL CHECK (subject <> ''),
    leader        text        NOT NULL CHECK (leader <> ''),      -- who signed it, with the post (J07)
    leader_post   text        NOT NULL CHECK (leader_post <> ''),
    notes         text        NOT NULL DEFAULT '',
    scan_blob     uuid REFERENCES blob,
    draft         jsonb       NOT NULL DEFAULT '[]', -- the lines while it is a draft
    state         text        NOT NULL,
    version       bigint      NOT NULL DEFAULT 1,
    received_on   date,                              -- the letter on paper
    created_by    text        NOT NULL,
    created_at    timestamptz NOT NULL,
    submitted_by  text        NOT NULL DEFAULT '',
    submitted_at  timestamptz,
    traceparent   text        NOT NULL DEFAULT '',
    CHECK (lembaga_id <> produsen_id),
    CHECK ((state = 'submitted') = (submitted_at IS NOT NULL)),
    CHECK (submitted_at IS NULL OR (scan_blob IS NOT NULL AND submitted_by <> '' AND draft = '[]'))
);
-- A lembaga's letter is taken in once.
CREATE UNIQUE INDEX activation_letter_number ON activation_letter (lembaga_id, number) WHERE state = 'submitted';
CREATE INDEX activation_letter_of_lembaga ON activation_letter (lembaga_id, id);
CREATE INDEX activation_letter_of_produsen ON activation_letter (produsen_id, id);
CREATE TRIGGER activation_letter_transition BEFORE INSERT OR UPDATE ON activation_letter
    FOR EACH ROW EXECUTE FUNCTION check_transition('activation_letter');

-- What was submitted is what was signed: a letter changes only while it is a draft.
CREATE FUNCTION activation_letter_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.ticket, NEW.lembaga_id, NEW.created_by, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.ticket, OLD.lembaga_id, OLD.created_by, OLD.created_at)
       OR OLD.state <> 'drafted' AND (NEW.produsen_id, NEW.number, NEW.dated, NEW.subject, NEW.leader, NEW.leader_post, NEW.notes, NEW.scan_blob, NEW.submitted_by, NEW.submitted_at)
          IS DISTINCT FROM (OLD.produsen_id, OLD.number, OLD.dated, OLD.subject, OLD.leader, OLD.leader_post, OLD.notes, OLD.scan_blob, OLD.submitted_by, OLD.submitted_at) THEN
        RAISE EXCEPTION 'activation letter %: it is not changed in state "%"', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'activation_letter_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER activation_letter_fixed BEFORE UPDATE ON activation_letter FOR EACH ROW EXECUTE FUNCTION activation_letter_fixed();

-- The lines that were accepted at once: they are told in one surat balasan (J10).
CREATE TABLE activation_reply (
    id          uuid PRIMARY KEY,
    letter_id   uuid        NOT NULL REFERENCES activation_letter,
    ordinal     int         NOT NULL CHECK (ordinal > 0),
    accepted_on date        NOT NULL,
    accepted_by text        NOT NULL CHECK (accepted_by <> ''),
    UNIQUE (letter_id, ordinal)
);
CREATE TRIGGER activation_reply_immutable BEFORE UPDATE OR DELETE ON activation_reply FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A bundle of manifests that somebody of the produsen took (J11, N9).
CREATE TABLE activation_delivery (
    id            uuid PRIMARY KEY,
    produsen_id   uuid        NOT NULL REFERENCES institution,
    receiver      text        NOT NULL CHECK (receiver <> ''),
    receiver_post text        NOT NULL CHECK (receiver_post <> ''),
    delivered_on  date        NOT NULL,
    delivered_by  text        NOT NULL CHECK (delivered_by <> ''),
    bundle_blob   uuid REFERENCES blob,
    office_at     timestamptz NOT NULL
);
CREATE TRIGGER activation_delivery_immutable BEFORE UPDATE OR DELETE ON activation_delivery FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- One reader.
CREATE TABLE activation (
    id              uuid PRIMARY KEY,
    letter_id       uuid   NOT NULL REFERENCES activation_letter,
    line            int    NOT NULL CHECK (line > 0),
    submission      int    NOT NULL DEFAULT 1,
    reader_serial   text   NOT NULL CHECK (reader_serial <> ''),
    sam_serial      text   NOT NULL CHECK (sam_serial <> ''),
    origin_no       text   NOT NULL CHECK (origin_no <> ''), -- nomor asal SAM (J06)
    perso_no        text   NOT NULL CHECK (perso_no <> ''),  -- nomor SAM hasil perso (J06)
    pcid            text   NOT NULL CHECK (pcid <> ''),
    machine_type    text   NOT NULL REFERENCES machine_type,
    mode            text   NOT NULL CHECK (mode IN ('online', 'offline')), -- N33
    address         text   NOT NULL CHECK (address <> ''),
    region          text   NOT NULL CHECK (region <> ''),   -- wilayah penggunaan
    card_id         uuid REFERENCES card,                   -- known once it was checked
    state           text   NOT NULL,
    version         bigint NOT NULL DEFAULT 1,
    suspended_from  text,
    cause           text   NOT NULL DEFAULT '',             -- why it is suspended or revoked, as a code
    disposed_on     date,
    accepted_on     date,
    reply_id        uuid REFERENCES activation_reply,
    manifest_serial text UNIQUE CHECK (manifest_serial <> ''),
    delivery_id     uuid REFERENCES activation_delivery,
    installed_on    date,
    replaces        uuid UNIQUE REFERENCES activation,
    UNIQUE (letter_id, line),
    CHECK ((state = 'suspended') = (suspended_from IS NOT NULL)),
    CHECK (state IN ('submitted', 'returned', 'rejected', 'cancelled') OR card_id IS NOT NULL),
    CHECK (state NOT IN ('accepted', 'manifest_ready', 'delivered', 'active', 'suspended', 'revoked')
           OR (accepted_on IS NOT NULL AND reply_id IS NOT NULL AND manifest_serial IS NOT NULL)),
    CHECK (state NOT IN ('delivered', 'active') OR delivery_id IS NOT NULL),
    CHECK (state <> 'active' OR installed_on IS NOT NULL)
);
-- One living activation for a card, and one for a reader: from the check until it
-- comes back or ends.
CREATE UNIQUE INDEX activation_card ON activation (card_id)
    WHERE state IN ('validated', 'registered', 'approved', 'accepted', 'manifest_ready', 'delivered', 'active', 'suspended');
CREATE UNIQUE INDEX activation_reader ON activation (reader_serial)
    WHERE state IN ('validated', 'registered', 'approved', 'accepted', 'manifest_ready', 'delivered', 'active', 'suspended');
CREATE INDEX activation_of_card ON activation (card_id) WHERE card_id IS NOT NULL;
CREATE INDEX activation_of_reader ON activation (reader_serial);
CREATE INDEX activation_state ON activation (state, id) WHERE state NOT IN ('rejected', 'cancelled');
CREATE TRIGGER activation_transition BEFORE INSERT OR UPDATE ON activation
    FOR EACH ROW EXECUTE FUNCTION check_transition('activation');

-- What was checked is what is activated: a line changes on its way back only, but
-- for where the reader stands; its manifest's serial is given once.
CREATE FUNCTION activation_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.letter_id, NEW.line, NEW.replaces) IS DISTINCT FROM (OLD.id, OLD.letter_id, OLD.line, OLD.replaces)
       OR OLD.manifest_serial IS NOT NULL AND NEW.manifest_serial IS DISTINCT FROM OLD.manifest_serial
       OR OLD.reply_id IS NOT NULL AND NEW.reply_id IS DISTINCT FROM OLD.reply_id
       OR OLD.delivery_id IS NOT NULL AND NEW.delivery_id IS DISTINCT FROM OLD.delivery_id
       OR OLD.state NOT IN ('submitted', 'returned') AND NEW.card_id IS DISTINCT FROM OLD.card_id
       OR OLD.state <> 'returned' AND (NEW.submission, NEW.reader_serial, NEW.sam_serial, NEW.origin_no, NEW.perso_no, NEW.pcid, NEW.machine_type, NEW.mode)
          IS DISTINCT FROM (OLD.submission, OLD.reader_serial, OLD.sam_serial, OLD.origin_no, OLD.perso_no, OLD.pcid, OLD.machine_type, OLD.mode)
       OR OLD.state NOT IN ('returned', 'accepted', 'manifest_ready', 'delivered', 'active', 'suspended')
          AND (NEW.address, NEW.region) IS DISTINCT FROM (OLD.address, OLD.region) THEN
        RAISE EXCEPTION 'activation %: it is not changed so in state "%"', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'activation_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER activation_fixed BEFORE UPDATE ON activation FOR EACH ROW EXECUTE FUNCTION activation_fixed();

-- A manifest is for a card that is clear and in the produsen's hands.
CREATE FUNCTION activation_card_handed_over() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM card c JOIN handover_card o ON o.card_id = c.id JOIN handover h ON h.id = o.handover_id
                   WHERE c.id = NEW.card_id AND c.state = 'clear' AND h.state IN ('delivered', 'received', 'closed')) THEN
        RAISE EXCEPTION 'activation %: its card is not clear and handed over', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'activation_card_handed_over';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER activation_card_handed_over BEFORE INSERT OR UPDATE ON activation
    FOR EACH ROW WHEN (NEW.state IN ('validated', 'accepted')) EXECUTE FUNCTION activation_card_handed_over();

-- What was found in a line of a submission.
CREATE TABLE activation_finding (
    activation_id uuid NOT NULL REFERENCES activation,
    submission    int  NOT NULL,
    ordinal       int  NOT NULL,
    field         text NOT NULL CHECK (field <> ''),
    code          text NOT NULL CHECK (code <> ''),
    detail        text NOT NULL CHECK (detail <> ''),
    PRIMARY KEY (activation_id, submission, ordinal)
);

-- The manifest of a reader: an opaque payload and its detached signature. Written once.
CREATE TABLE activation_manifest (
    activation_id uuid PRIMARY KEY REFERENCES activation,
    key_id        text        NOT NULL CHECK (key_id <> ''),
    payload_blob  uuid        NOT NULL REFERENCES blob,
    jws           text        NOT NULL CHECK (jws <> ''),
    sha256        bytea       NOT NULL CHECK (octet_length(sha256) = 32), -- of the payload
    valid_from    date        NOT NULL,
    valid_to      date        NOT NULL,
    made_at       timestamptz NOT NULL,
    CHECK (valid_from <= valid_to)
);
CREATE TRIGGER activation_manifest_immutable BEFORE UPDATE OR DELETE ON activation_manifest FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Which reader a card went into, where the card list did not say: told by the
-- produsen or recorded by the office.
CREATE TABLE reader_pairing (
    card_id       uuid PRIMARY KEY REFERENCES card,
    reader_serial text        NOT NULL UNIQUE CHECK (reader_serial <> ''),
    told_by       text        NOT NULL CHECK (told_by <> ''),
    told_at       timestamptz NOT NULL
);

GRANT SELECT ON activation_letter, activation, activation_reply, activation_delivery, activation_finding, activation_manifest, reader_pairing TO sifilma_read;
GRANT INSERT, UPDATE ON activation_letter, activation TO sifilma_intake, sifilma_portal;
GRANT UPDATE ON activation_letter, activation TO sifilma_validator, sifilma_document_generator;
GRANT INSERT ON activation_finding TO sifilma_validator;
GRANT INSERT ON activation_reply, activation_delivery TO sifilma_portal;
GRANT INSERT ON activation_manifest TO sifilma_document_generator;
GRANT INSERT, UPDATE ON reader_pairing TO sifilma_portal;
GRANT USAGE ON SEQUENCE activation_ticket TO sifilma_intake, sifilma_portal;
GRANT USAGE ON SEQUENCE activation_manifest_serial TO sifilma_portal;

-- A surat balasan aktivasi belongs to no request of cards.
ALTER TABLE document ALTER COLUMN request_id DROP NOT NULL;
ALTER TABLE document DROP CONSTRAINT document_kind_check;
ALTER TABLE document ADD CONSTRAINT document_kind_check
    CHECK (kind IN ('bast', 'reply_letter', 'completion_letter', 'result_list', 'destruction_report', 'activation_reply'));
ALTER TABLE document ADD CONSTRAINT document_of_request CHECK (request_id IS NOT NULL OR kind = 'activation_reply');
