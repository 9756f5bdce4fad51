-- What a produsen needs to use its cards leaves the office as age files, made when the
-- card is written: for the produsen's own key and for the office's escrow key. The
-- office keeps public keys and files that it cannot open.

-- Public keys of those to whom cards are handed over. One person of theirs offers, one
-- of the office's confirms after hearing the fingerprint in another way.
CREATE TABLE secret_recipient (
    id             uuid PRIMARY KEY,
    institution_id uuid        NOT NULL REFERENCES institution,
    edition        int         NOT NULL CHECK (edition > 0),
    recipient      text        NOT NULL CHECK (recipient ~ '^age1[02-9ac-hj-np-z]{58}$'), -- never a private key
    fingerprint    text        NOT NULL CHECK (fingerprint ~ '^[0-9A-F]{32}$'),
    state          text        NOT NULL DEFAULT 'offered' CHECK (state IN ('offered', 'confirmed', 'declined', 'withdrawn', 'ended')),
    offered_by     text        NOT NULL CHECK (offered_by <> ''),
    offered_at     timestamptz NOT NULL,
    confirmed_by   text CHECK (confirmed_by <> ''),
    confirmed_at   timestamptz, -- from then on cards are written for it
    ended_by       text CHECK (ended_by <> ''),
    ended_at       timestamptz, -- until then
    reason         text        NOT NULL DEFAULT '',
    UNIQUE (institution_id, edition),
    CONSTRAINT secret_recipient_two_people CHECK (confirmed_by <> offered_by),
    CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL)),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CHECK (CASE state WHEN 'offered' THEN confirmed_at IS NULL AND ended_at IS NULL
                      WHEN 'confirmed' THEN confirmed_at IS NOT NULL AND ended_at IS NULL
                      WHEN 'ended' THEN confirmed_at IS NOT NULL AND ended_at IS NOT NULL
                      ELSE confirmed_at IS NULL AND ended_at IS NOT NULL END),
    CHECK (state <> 'declined' OR reason <> '')
);
CREATE UNIQUE INDEX secret_recipient_in_force ON secret_recipient (institution_id) WHERE state = 'confirmed';
CREATE UNIQUE INDEX secret_recipient_offered ON secret_recipient (institution_id) WHERE state = 'offered';
-- Nobody's key becomes somebody else's, and one that was given up is not taken up again.
CREATE UNIQUE INDEX secret_recipient_once ON secret_recipient (recipient) WHERE state IN ('offered', 'confirmed', 'ended');

-- The office's own key, for a produsen that has lost its own. Its private half is in two
-- parts with two people, and nowhere else.
CREATE TABLE escrow_key (
    id          uuid PRIMARY KEY,
    edition     int         NOT NULL UNIQUE CHECK (edition > 0),
    recipient   text        NOT NULL UNIQUE CHECK (recipient ~ '^age1[02-9ac-hj-np-z]{58}$'),
    fingerprint text        NOT NULL CHECK (fingerprint ~ '^[0-9A-F]{32}$'),
    custodians  text[]      NOT NULL CHECK (cardinality(custodians) = 2 AND custodians[1] <> custodians[2]),
    place       text        NOT NULL,
    recorded_by text        NOT NULL CHECK (recorded_by <> ''),
    office_at   timestamptz NOT NULL,
    ended_at    timestamptz -- another one took its place; what was made for it is still opened with it
);
CREATE UNIQUE INDEX escrow_key_in_force ON escrow_key ((true)) WHERE ended_at IS NULL;

-- Two people opened files with the escrow key, for a key that the produsen has now.
CREATE TABLE secret_recovery (
    id           uuid PRIMARY KEY,
    escrow_id    uuid        NOT NULL REFERENCES escrow_key,
    recipient_id uuid        NOT NULL REFERENCES secret_recipient,
    handover_id  uuid REFERENCES handover, -- or one card
    card_id      uuid REFERENCES card,
    people       text[]      NOT NULL CHECK (cardinality(people) = 2 AND people[1] <> people[2] AND '' <> ALL (people)),
    reason       text        NOT NULL CHECK (reason <> ''),
    files        int         NOT NULL CHECK (files > 0),
    recorded_by  text        NOT NULL CHECK (recorded_by <> ''),
    office_at    timestamptz NOT NULL,
    CHECK ((handover_id IS NULL) <> (card_id IS NULL))
);

-- The file of an attempt; it is there before the first byte goes to the card. A later
-- edition is for another key, by a recovery.
CREATE TABLE card_secret (
    attempt_id   uuid        NOT NULL REFERENCES perso_attempt,
    edition      int         NOT NULL CHECK (edition > 0),
    card_id      uuid        NOT NULL REFERENCES card,
    recipient_id uuid        NOT NULL REFERENCES secret_recipient,
    escrow_id    uuid        NOT NULL REFERENCES escrow_key,
    recovery_id  uuid REFERENCES secret_recovery,
    body         bytea       NOT NULL CHECK (substr(body, 1, 22) = 'age-encryption.org/v1'::bytea || '\x0a'::bytea),
    sha256       bytea       NOT NULL CHECK (sha256 = sha256(body)),
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (attempt_id, edition),
    CHECK ((edition = 1) = (recovery_id IS NULL))
);
CREATE INDEX card_secret_card ON card_secret (card_id);

-- Who of the produsen took the files of a handover.
CREATE TABLE secret_download (
    id           uuid PRIMARY KEY,
    handover_id  uuid        NOT NULL REFERENCES handover,
    username     text        NOT NULL CHECK (username <> ''),
    name         text        NOT NULL CHECK (name <> ''),
    files        int         NOT NULL CHECK (files > 0),
    size         bigint      NOT NULL CHECK (size > 0),
    sha256       bytea       NOT NULL CHECK (length(sha256) = 32), -- of the zip
    office_at    timestamptz NOT NULL
);
CREATE INDEX secret_download_handover ON secret_download (handover_id);

CREATE FUNCTION secret_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%: rows are only added', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = 'secret_kept';
END $$;
CREATE TRIGGER secret_kept BEFORE UPDATE OR DELETE ON card_secret FOR EACH ROW EXECUTE FUNCTION secret_kept();
CREATE TRIGGER secret_kept BEFORE UPDATE OR DELETE ON secret_recovery FOR EACH ROW EXECUTE FUNCTION secret_kept();
CREATE TRIGGER secret_kept BEFORE UPDATE OR DELETE ON secret_download FOR EACH ROW EXECUTE FUNCTION secret_kept();
CREATE TRIGGER secret_kept BEFORE DELETE ON secret_recipient FOR EACH ROW EXECUTE FUNCTION secret_kept();
CREATE TRIGGER secret_kept BEFORE DELETE ON escrow_key FOR EACH ROW EXECUTE FUNCTION secret_kept();

-- A key is what it was offered as, and what was decided stays decided.
CREATE FUNCTION secret_recipient_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.institution_id, NEW.edition, NEW.recipient, NEW.fingerprint, NEW.offered_by, NEW.offered_at) IS DISTINCT FROM
       (OLD.id, OLD.institution_id, OLD.edition, OLD.recipient, OLD.fingerprint, OLD.offered_by, OLD.offered_at)
       OR NOT (OLD.state = 'offered' AND NEW.state IN ('confirmed', 'declined', 'withdrawn')
            OR OLD.state = 'confirmed' AND NEW.state = 'ended' AND (NEW.confirmed_by, NEW.confirmed_at) = (OLD.confirmed_by, OLD.confirmed_at)) THEN
        RAISE EXCEPTION 'key %: % does not become %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'secret_recipient_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER secret_recipient_fixed BEFORE UPDATE ON secret_recipient FOR EACH ROW EXECUTE FUNCTION secret_recipient_fixed();

CREATE FUNCTION escrow_key_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR to_jsonb(NEW) - 'ended_at' IS DISTINCT FROM to_jsonb(OLD) - 'ended_at' THEN
        RAISE EXCEPTION 'escrow key %: it is only ended', OLD.edition USING ERRCODE = 'check_violation', CONSTRAINT = 'escrow_key_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER escrow_key_fixed BEFORE UPDATE ON escrow_key FOR EACH ROW EXECUTE FUNCTION escrow_key_fixed();

GRANT SELECT ON secret_recipient, escrow_key, secret_recovery, secret_download TO sifilma_read;
-- The files themselves are for who hands them out.
GRANT SELECT (attempt_id, edition, card_id, recipient_id, escrow_id, recovery_id, sha256, at) ON card_secret TO sifilma_read;
GRANT SELECT ON card_secret TO sifilma_portal;
GRANT INSERT ON card_secret TO sifilma_perso_station;
GRANT INSERT, UPDATE ON secret_recipient TO sifilma_portal;
GRANT INSERT ON secret_download TO sifilma_portal;
