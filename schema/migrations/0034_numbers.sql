-- The templates of PCID and manifest number are data that two people approve, as all
-- that cards are personalised by.
ALTER TABLE recipe DROP CONSTRAINT recipe_kind_check;
ALTER TABLE recipe ADD CONSTRAINT recipe_kind_check CHECK (kind IN ('profile', 'key_code', 'sam_type', 'numbers'));

-- A number is one whatever its letters' case, as the register has it.
CREATE UNIQUE INDEX card_number_upper ON card_number (kind, upper(value));

-- Numbers that were wiped are burnt, and their card is given others.
ALTER TABLE card_number DROP CONSTRAINT card_number_kind_card_id_key;
CREATE INDEX card_number_card ON card_number (card_id);

-- How the cards of a request are personalised: at a station, or by hand in another
-- tool. Without a row: at a station.
CREATE TABLE order_mode (
    request_id uuid   PRIMARY KEY REFERENCES request,
    mode       text   NOT NULL CHECK (mode IN ('station', 'manual')),
    reason     text   NOT NULL CHECK (reason <> ''),
    set_by     text   NOT NULL CHECK (set_by <> ''),
    set_at     timestamptz NOT NULL,
    version    bigint NOT NULL DEFAULT 1 CHECK (version > 0)
);

-- An order keeps its mode once it was released.
CREATE FUNCTION work_order_mode_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'work order %: its mode is kept once it was released', NEW.id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'work_order_mode_kept';
END $$;
CREATE TRIGGER work_order_mode_kept BEFORE UPDATE OF mode ON work_order
    FOR EACH ROW WHEN (NEW.mode <> OLD.mode AND OLD.state <> 'planned') EXECUTE FUNCTION work_order_mode_kept();

-- A card that is personalised by hand may have no chip that the office knows.
ALTER TABLE card ADD COLUMN by_hand bool NOT NULL DEFAULT false;
ALTER TABLE card DROP CONSTRAINT card_check;
ALTER TABLE card ADD CONSTRAINT card_chip_known CHECK (state IN ('listed', 'spoiled', 'reduced') OR chip_id IS NOT NULL OR by_hand);
ALTER TABLE card ADD CONSTRAINT card_by_hand CHECK (NOT by_hand OR state IN ('numbered', 'claimed', 'clear', 'failed', 'reduced'));
ALTER TABLE perso_attempt ADD COLUMN by_hand bool NOT NULL DEFAULT false;

-- The numbers of a card stay its own, until they are wiped whole.
CREATE FUNCTION card_numbers_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.state = 'numbered' AND NEW.state = 'listed' AND NEW.pcid IS NULL AND NEW.manifest_no IS NULL THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'card %: its numbers are kept', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'card_numbers_kept';
END $$;
CREATE TRIGGER card_numbers_kept BEFORE UPDATE OF pcid, manifest_no ON card FOR EACH ROW
    WHEN (OLD.pcid IS NOT NULL AND (NEW.pcid, NEW.manifest_no) IS DISTINCT FROM (OLD.pcid, OLD.manifest_no)) EXECUTE FUNCTION card_numbers_kept();

-- What people found of cards that were personalised by hand: one enters it, another
-- confirms it.
CREATE TABLE hand_result (
    id           uuid PRIMARY KEY,
    card_id      uuid NOT NULL,
    attempt      int  NOT NULL,
    result       text NOT NULL CHECK (result IN ('clear', 'failed')),
    reason       text NOT NULL,
    entered_by   text NOT NULL CHECK (entered_by <> ''),
    entered_at   timestamptz NOT NULL,
    confirmed_by text CHECK (confirmed_by <> ''),
    confirmed_at timestamptz,
    withdrawn_by text CHECK (withdrawn_by <> ''),
    withdrawn_at timestamptz,
    UNIQUE (card_id, attempt),
    FOREIGN KEY (card_id, attempt) REFERENCES perso_attempt (card_id, attempt),
    CONSTRAINT hand_result_reason CHECK (result <> 'failed' OR reason <> ''),
    CONSTRAINT hand_result_two_people CHECK (confirmed_by <> entered_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK ((withdrawn_by IS NULL) = (withdrawn_at IS NULL)),
    CHECK (confirmed_by IS NULL OR withdrawn_by IS NULL)
);
CREATE INDEX hand_result_open ON hand_result (card_id) WHERE confirmed_by IS NULL AND withdrawn_by IS NULL;

CREATE FUNCTION hand_result_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.confirmed_by IS NOT NULL OR OLD.withdrawn_by IS NOT NULL
        OR (NEW.id, NEW.card_id, NEW.attempt, NEW.result, NEW.reason, NEW.entered_by, NEW.entered_at)
           IS DISTINCT FROM (OLD.id, OLD.card_id, OLD.attempt, OLD.result, OLD.reason, OLD.entered_by, OLD.entered_at) THEN
        RAISE EXCEPTION 'result %: what was entered is kept', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'hand_result_kept';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hand_result_kept BEFORE UPDATE OR DELETE ON hand_result FOR EACH ROW EXECUTE FUNCTION hand_result_kept();

-- Stations have the cards of station orders, people those of manual ones, and no card
-- is in the hands of both.
CREATE FUNCTION perso_attempt_of_its_mode() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM work_order o JOIN card c ON c.id = NEW.card_id
                   WHERE o.id = NEW.work_order_id AND c.by_hand = NEW.by_hand AND o.mode = CASE WHEN NEW.by_hand THEN 'manual' ELSE 'station' END) THEN
        RAISE EXCEPTION 'attempt %: not of the mode of its work order', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'perso_attempt_of_its_mode';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER perso_attempt_by_hand BEFORE INSERT ON perso_attempt FOR EACH ROW EXECUTE FUNCTION perso_attempt_of_its_mode();

-- An attempt by hand is made with no profile of ours.
DROP TRIGGER perso_attempt_has_profile ON perso_attempt;
CREATE TRIGGER perso_attempt_has_profile BEFORE INSERT ON perso_attempt
    FOR EACH ROW WHEN (NOT NEW.by_hand) EXECUTE FUNCTION perso_attempt_has_profile();

-- A result that was not proven by a station is one that two people gave to a card of
-- a manual order.
CREATE FUNCTION card_result_by_two() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM hand_result h JOIN perso_attempt a ON a.card_id = h.card_id AND a.attempt = h.attempt
                   WHERE h.card_id = NEW.id AND h.attempt = NEW.attempt AND h.result = NEW.state AND h.confirmed_by IS NOT NULL AND a.by_hand) THEN
        RAISE EXCEPTION 'card %: no result that two people gave', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'card_result_by_two';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER card_result_by_two BEFORE UPDATE OF state ON card FOR EACH ROW
    WHEN (OLD.state = 'claimed' AND (NEW.state = 'clear' OR NEW.state = 'failed' AND NEW.by_hand)) EXECUTE FUNCTION card_result_by_two();

GRANT SELECT ON order_mode, hand_result TO sifilma_read;
GRANT SELECT (by_hand) ON perso_attempt TO sifilma_read;
GRANT INSERT, UPDATE ON order_mode TO sifilma_portal;
GRANT INSERT (id, card_id, attempt, result, reason, entered_by, entered_at),
    UPDATE (confirmed_by, confirmed_at, withdrawn_by, withdrawn_at) ON hand_result TO sifilma_portal;
GRANT INSERT ON card_number TO sifilma_portal;
GRANT UPDATE ON number_counter TO sifilma_portal;
GRANT INSERT (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, by_hand) ON perso_attempt TO sifilma_portal;
