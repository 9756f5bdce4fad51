-- A signed reduction (pengurangan): cards are taken off a request because of a letter
-- of whoever asked for them. The letter and the cards it took are kept for ever.

CREATE TABLE card_reduction (
    id            uuid PRIMARY KEY,
    request_id    uuid        NOT NULL REFERENCES request,
    letter_number text        NOT NULL CHECK (letter_number <> ''),
    letter_date   date        NOT NULL,
    signer        text        NOT NULL CHECK (signer <> ''), -- of the letter
    signer_post   text        NOT NULL CHECK (signer_post <> ''),
    reason        text        NOT NULL CHECK (reason <> ''),
    scan_blob     uuid        NOT NULL REFERENCES blob,      -- of the letter
    decided_by    text        NOT NULL,                      -- in the office
    office_at     timestamptz NOT NULL,
    at            timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX card_reduction_request ON card_reduction (request_id, id);
CREATE TRIGGER card_reduction_immutable BEFORE UPDATE OR DELETE ON card_reduction FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE reduced_card (
    card_id      uuid PRIMARY KEY REFERENCES card,
    reduction_id uuid NOT NULL REFERENCES card_reduction,
    was          text NOT NULL CHECK (was IN ('listed', 'failed', 'spoiled'))
);
CREATE INDEX reduced_card_reduction ON reduced_card (reduction_id);
CREATE TRIGGER reduced_card_immutable BEFORE UPDATE OR DELETE ON reduced_card FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- No card is taken off without a letter.
CREATE FUNCTION card_reduced_by_letter() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM reduced_card r WHERE r.card_id = NEW.id) THEN
        RAISE EXCEPTION 'card %: reduced without a letter', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'card_reduced_by_letter';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER card_reduced_by_letter AFTER UPDATE OF state ON card DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'reduced' AND OLD.state <> 'reduced') EXECUTE FUNCTION card_reduced_by_letter();

GRANT SELECT ON card_reduction, reduced_card TO sifilma_read;
GRANT INSERT ON card_reduction, reduced_card TO sifilma_portal;
