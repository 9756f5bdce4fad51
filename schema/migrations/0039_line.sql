-- What the line keeps besides the cards: which chip a listed card has, why attempts
-- ended, and which lots wait for people.

-- The chip of the card by the list itself, where the list has a column for it; empty
-- where the chip is only known once it is presented.
ALTER TABLE listed_card ADD COLUMN uid text NOT NULL DEFAULT '' CHECK (uid ~ '^[0-9A-F]{0,64}$');
CREATE INDEX listed_card_uid ON listed_card (uid) WHERE uid <> '';

-- Why an attempt failed, in words that are the same for the same cause.
ALTER TABLE perso_attempt ADD COLUMN cause text NOT NULL DEFAULT '';
GRANT SELECT (cause) ON perso_attempt TO sifilma_read;

-- A lot is the part of a request that one work order is. While a hold is open, no
-- further card of it is begun: its first card waits for approval, its cards fail one
-- after the other for the same cause, or one said that all would.
CREATE TABLE lot_hold (
    id             uuid PRIMARY KEY,
    work_order_id  uuid        NOT NULL REFERENCES work_order,
    kind           text        NOT NULL CHECK (kind IN ('first_card', 'equal_failures', 'status_word')),
    card_id        uuid        NOT NULL REFERENCES card, -- the first card, or the last that failed
    cause          text        NOT NULL DEFAULT '',
    station        text        NOT NULL CHECK (station <> ''),
    office_at      timestamptz NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    lifted_by      text CHECK (lifted_by <> ''),
    lifted_reason  text CHECK (lifted_reason <> ''),
    lifted_office_at timestamptz,
    lifted_at      timestamptz,
    CHECK ((lifted_by IS NULL) = (lifted_reason IS NULL) AND (lifted_by IS NULL) = (lifted_at IS NULL) AND (lifted_by IS NULL) = (lifted_office_at IS NULL))
);
CREATE UNIQUE INDEX lot_hold_first ON lot_hold (work_order_id) WHERE kind = 'first_card';
CREATE UNIQUE INDEX lot_hold_open ON lot_hold (work_order_id, kind) WHERE lifted_by IS NULL;

CREATE FUNCTION lot_hold_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.lifted_by IS NOT NULL
        OR (NEW.id, NEW.work_order_id, NEW.kind, NEW.at) IS DISTINCT FROM (OLD.id, OLD.work_order_id, OLD.kind, OLD.at) THEN
        RAISE EXCEPTION 'lot hold %: what was decided stays', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'lot_hold_kept';
    END IF;
    -- Only a card that is clear can be looked at and approved.
    IF NEW.kind = 'first_card' AND NEW.lifted_by IS NOT NULL
        AND NOT EXISTS (SELECT FROM card c WHERE c.id = NEW.card_id AND c.state = 'clear') THEN
        RAISE EXCEPTION 'lot hold %: its first card is not clear', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'lot_hold_first_clear';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lot_hold_kept BEFORE UPDATE OR DELETE ON lot_hold FOR EACH ROW EXECUTE FUNCTION lot_hold_kept();

GRANT SELECT ON lot_hold TO sifilma_read;
GRANT INSERT, UPDATE (card_id, station, office_at) ON lot_hold TO sifilma_perso_station;
GRANT UPDATE (lifted_by, lifted_reason, lifted_office_at, lifted_at) ON lot_hold TO sifilma_portal;

-- A trial is of a content, by somebody; those of before do not say so, and count for
-- no approval.
ALTER TABLE recipe_trial ADD COLUMN content_sha256 bytea NOT NULL DEFAULT '', ADD COLUMN tried_by text NOT NULL DEFAULT '';

-- A profile is approved after it has passed a trial of this very content; what came
-- with the program and the set-up itself put in force was tried before it was shipped.
CREATE FUNCTION recipe_tried() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.kind = 'profile' AND NEW.state = 'active' AND OLD.state <> 'active'
        AND NOT (NEW.shipped AND NEW.authors = ARRAY[NEW.approved_by])
        AND NOT EXISTS (SELECT FROM recipe_trial t WHERE t.profile_id = NEW.id AND t.passed AND t.content_sha256 = NEW.content_sha256 AND t.tried_by <> '') THEN
        RAISE EXCEPTION 'recipe %/%: it has not passed a trial', NEW.code, NEW.edition USING ERRCODE = 'check_violation', CONSTRAINT = 'recipe_tried';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER recipe_tried BEFORE UPDATE ON recipe FOR EACH ROW EXECUTE FUNCTION recipe_tried();
