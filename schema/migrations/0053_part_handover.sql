-- Cards leave the office in parts, so a handover may be prepared by mistake: it is taken
-- back before they change hands. What was handed over never changes.

ALTER TABLE handover
    ADD cancelled_at  timestamptz,
    ADD cancel_reason text NOT NULL DEFAULT '',
    ADD CHECK ((state = 'cancelled') = (cancelled_at IS NOT NULL) AND (cancelled_at IS NULL) = (cancel_reason = '')),
    ADD CHECK (cancelled_at IS NULL OR delivered_on IS NULL);

-- The cards of a handover that was taken back, each with who had scanned it into the tray.
CREATE TABLE handover_taken_back (
    handover_id uuid NOT NULL REFERENCES handover,
    card_id     uuid NOT NULL REFERENCES card,
    scanned_by  text,
    scanned_at  timestamptz,
    PRIMARY KEY (handover_id, card_id),
    CHECK ((scanned_by IS NULL) = (scanned_at IS NULL))
);
CREATE INDEX handover_taken_back_card ON handover_taken_back (card_id);
CREATE TRIGGER handover_taken_back_kept BEFORE UPDATE OR DELETE ON handover_taken_back FOR EACH ROW EXECUTE FUNCTION kept_for_ever();

-- What is handed over is clear, of the handover's own request, and goes in while it is prepared.
CREATE OR REPLACE FUNCTION handover_card_clear() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN card c ON c.id = a.card_id JOIN handover h ON h.id = a.handover_id
               WHERE c.state <> 'clear' OR c.request_id <> h.request_id OR h.state <> 'prepared') THEN
        RAISE EXCEPTION 'a card that is not clear is not handed over' USING ERRCODE = 'check_violation', CONSTRAINT = 'handover_card_clear';
    END IF;
    RETURN NULL;
END $$;

-- A card leaves a handover only when that is taken back.
CREATE FUNCTION handover_card_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR EXISTS (SELECT FROM handover h WHERE h.id = OLD.handover_id AND h.state <> 'cancelled') THEN
        RAISE EXCEPTION 'card %: it is in a handover', OLD.card_id USING ERRCODE = 'check_violation', CONSTRAINT = 'handover_card_kept';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER handover_card_kept BEFORE UPDATE OR DELETE ON handover_card FOR EACH ROW EXECUTE FUNCTION handover_card_kept();
CREATE TRIGGER handover_scan_kept BEFORE UPDATE OR DELETE ON handover_scan FOR EACH ROW EXECUTE FUNCTION handover_card_kept();

-- Nor does what was said of it: how many it has from the first, to whom and when they went
-- from the delivery on.
CREATE FUNCTION handover_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.request_id, NEW.ordinal, NEW.quantity, NEW.created_at) IS DISTINCT FROM (OLD.request_id, OLD.ordinal, OLD.quantity, OLD.created_at)
       OR OLD.delivered_on IS NOT NULL AND (NEW.delivered_on, NEW.representative, NEW.representative_post, NEW.representative_of)
          IS DISTINCT FROM (OLD.delivered_on, OLD.representative, OLD.representative_post, OLD.representative_of) THEN
        RAISE EXCEPTION 'handover %: it is not changed so in state "%"', OLD.id, OLD.state USING ERRCODE = 'check_violation', CONSTRAINT = 'handover_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER handover_fixed BEFORE UPDATE ON handover FOR EACH ROW EXECUTE FUNCTION handover_fixed();

GRANT SELECT ON handover_taken_back TO sifilma_read;
GRANT INSERT ON handover_taken_back TO sifilma_portal;
GRANT DELETE ON handover_card, handover_scan TO sifilma_portal;
