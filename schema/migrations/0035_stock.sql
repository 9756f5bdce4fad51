-- Blanks (blangko): what cannot be told from the cards. What came in with the request
-- is its fact blanks_counted, and what became of each listed card is its state; here
-- is what came later, what was drawn for tests, what went back, and which failed and
-- spoiled cards a berita acara tells of.

-- One line of the book of a request's blanks. A line is never changed: a mistake is
-- taken back by a line of its own, and the day that it was booked on stays as it was.
CREATE TABLE blank_movement (
    id         uuid PRIMARY KEY,
    request_id uuid        NOT NULL REFERENCES request,
    ordinal    int         NOT NULL CHECK (ordinal > 0), -- so that two who book at once do not both see the same blanks
    kind       text        NOT NULL CHECK (kind IN ('receipt', 'test', 'return')),
    -- spare: not in the card list; reduced: of cards that a letter took off before they
    -- were presented; list: of a request that ended before its cards were made.
    source     text        NOT NULL DEFAULT 'spare' CHECK (source IN ('spare', 'reduced', 'list')),
    quantity   int         NOT NULL CHECK (quantity > 0),
    happened   date        NOT NULL,
    party      text        NOT NULL, -- who brought or took them, of the produsen
    reason     text        NOT NULL CHECK (reason <> ''),
    reverses   uuid UNIQUE REFERENCES blank_movement,
    booked_by  text        NOT NULL CHECK (booked_by <> ''),
    office_at  timestamptz NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (request_id, ordinal),
    CHECK (kind = 'return' OR source = 'spare'),
    CHECK (kind = 'test' OR party <> '')
);
CREATE INDEX blank_movement_booked ON blank_movement (office_at);
CREATE TRIGGER blank_movement_immutable BEFORE UPDATE OR DELETE ON blank_movement FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Replacements of before came in when they were registered.
INSERT INTO blank_movement (id, request_id, ordinal, kind, quantity, happened, party, reason, booked_by, office_at)
SELECT gen_random_uuid(), l.request_id, 1, 'receipt', count(*), (max(h.office_at) AT TIME ZONE 'Asia/Jakarta')::date, 'produsen',
       'Diterima bersama pendaftaran kartu pengganti, sebelum blangko dibukukan.', 'sifilma', max(h.office_at)
FROM listed_card l JOIN history h ON h.machine = 'card' AND h.subject = l.id AND h.version = 1
WHERE l.replaces IS NOT NULL GROUP BY l.request_id;

-- The blanks of a request that are in the office and not in a card's place.
CREATE FUNCTION blank_pools(of_request uuid, OUT spare bigint, OUT reduced bigint, OUT list bigint)
    LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH booked AS (
        SELECT kind, source, sum(CASE WHEN reverses IS NULL THEN quantity ELSE -quantity END) AS n
        FROM blank_movement WHERE request_id = $1 GROUP BY kind, source)
    SELECT coalesce((SELECT sum(CASE kind WHEN 'receipt' THEN n ELSE -n END) FROM booked WHERE source = 'spare'), 0)::bigint
               - (SELECT count(*) FROM listed_card WHERE request_id = $1 AND replaces IS NOT NULL),
           (SELECT count(*) FROM reduced_card c JOIN listed_card l ON l.id = c.card_id WHERE l.request_id = $1 AND c.was = 'listed')
               - coalesce((SELECT n FROM booked WHERE source = 'reduced'), 0)::bigint,
           coalesce((SELECT (f.detail->>'count')::bigint FROM request_fact f JOIN request r ON r.id = f.request_id
                     WHERE f.request_id = $1 AND f.fact = 'blanks_counted' AND r.state IN ('rejected', 'cancelled')), 0)
               - coalesce((SELECT n FROM booked WHERE source = 'list'), 0)::bigint
$$;

-- Nobody draws, gives back or puts in a card's place a blank that is not there. It is
-- looked at when the transaction ends, under the request's lock, so that two who take
-- the last one see each other.
CREATE FUNCTION blanks_are_there() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    pools record;
BEGIN
    PERFORM FROM request WHERE id = NEW.request_id FOR UPDATE;
    SELECT * INTO pools FROM blank_pools(NEW.request_id);
    IF least(pools.spare, pools.reduced, pools.list) < 0 THEN
        RAISE EXCEPTION 'request %: more blanks are taken than there are (spare %, reduced %, list %)',
            NEW.request_id, pools.spare, pools.reduced, pools.list
            USING ERRCODE = 'check_violation', CONSTRAINT = 'blanks_are_there';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER blanks_are_there AFTER INSERT ON blank_movement DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION blanks_are_there();

-- A line is taken back as it was, and once; what is taken back does not come again.
CREATE FUNCTION blank_movement_reversal() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM blank_movement b WHERE b.id = NEW.reverses AND b.reverses IS NULL
                   AND (b.request_id, b.kind, b.source, b.quantity) = (NEW.request_id, NEW.kind, NEW.source, NEW.quantity)) THEN
        RAISE EXCEPTION 'line %: it takes back another than it says', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'blank_movement_reversal';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER blank_movement_reversal BEFORE INSERT ON blank_movement
    FOR EACH ROW WHEN (NEW.reverses IS NOT NULL) EXECUTE FUNCTION blank_movement_reversal();

CREATE CONSTRAINT TRIGGER blanks_are_there AFTER INSERT ON listed_card DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.replaces IS NOT NULL) EXECUTE FUNCTION blanks_are_there();

-- Berita acara kartu rusak: cards that two people destroyed. One that was drawn up
-- wrongly is void; its cards can stand in another.
CREATE TABLE destruction (
    id          uuid PRIMARY KEY,
    request_id  uuid        NOT NULL REFERENCES request,
    ordinal     int         NOT NULL CHECK (ordinal > 0),
    destroyed   date        NOT NULL,
    method      text        NOT NULL CHECK (method <> ''),
    reason      text        NOT NULL CHECK (reason <> ''),
    first_name  text        NOT NULL CHECK (first_name <> ''),
    first_post  text        NOT NULL CHECK (first_post <> ''),
    second_name text        NOT NULL CHECK (second_name <> ''),
    second_post text        NOT NULL CHECK (second_post <> ''),
    drawn_by    text        NOT NULL CHECK (drawn_by <> ''),
    office_at   timestamptz NOT NULL,
    voided_at   timestamptz, -- by the office's clock
    at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (request_id, ordinal),
    CONSTRAINT destruction_two_people CHECK (lower(first_name) <> lower(second_name))
);
CREATE TABLE destroyed_card (
    card_id        uuid NOT NULL REFERENCES card,
    destruction_id uuid NOT NULL REFERENCES destruction,
    was            text NOT NULL CHECK (was IN ('failed', 'spoiled')),
    cause          text NOT NULL,
    void           bool NOT NULL DEFAULT false,
    PRIMARY KEY (destruction_id, card_id)
);
CREATE UNIQUE INDEX destroyed_card_once ON destroyed_card (card_id) WHERE NOT void;

CREATE FUNCTION destruction_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR to_jsonb(NEW) - ARRAY['voided_at', 'void'] <> to_jsonb(OLD) - ARRAY['voided_at', 'void']
        OR (TG_TABLE_NAME = 'destruction' AND to_jsonb(OLD)->>'voided_at' IS NOT NULL)
        OR (TG_TABLE_NAME = 'destroyed_card' AND (to_jsonb(OLD)->>'void')::bool) THEN
        RAISE EXCEPTION '% rows are only ever voided, once', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER destruction_kept BEFORE UPDATE OR DELETE ON destruction FOR EACH ROW EXECUTE FUNCTION destruction_kept();
CREATE TRIGGER destroyed_card_kept BEFORE UPDATE OR DELETE ON destroyed_card FOR EACH ROW EXECUTE FUNCTION destruction_kept();

-- Only a card that failed or is spoiled is destroyed, also after a letter took it off.
CREATE FUNCTION destroyed_card_is_lost() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM card c JOIN destruction d ON d.request_id = c.request_id LEFT JOIN reduced_card r ON r.card_id = c.id
                   WHERE c.id = NEW.card_id AND d.id = NEW.destruction_id AND d.voided_at IS NULL
                     AND CASE c.state WHEN 'reduced' THEN r.was ELSE c.state END = NEW.was) THEN
        RAISE EXCEPTION 'card %: it is no % card of the request', NEW.card_id, NEW.was
            USING ERRCODE = 'check_violation', CONSTRAINT = 'destroyed_card_is_lost';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER destroyed_card_is_lost BEFORE INSERT ON destroyed_card FOR EACH ROW EXECUTE FUNCTION destroyed_card_is_lost();

ALTER TABLE document DROP CONSTRAINT document_kind_check;
ALTER TABLE document ADD CONSTRAINT document_kind_check
    CHECK (kind IN ('bast', 'reply_letter', 'completion_letter', 'result_list', 'destruction_report'));

-- What is handed over is clear, and of the handover's own request.
CREATE FUNCTION handover_card_clear() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added a JOIN card c ON c.id = a.card_id JOIN handover h ON h.id = a.handover_id
               WHERE c.state <> 'clear' OR c.request_id <> h.request_id) THEN
        RAISE EXCEPTION 'a card that is not clear is not handed over' USING ERRCODE = 'check_violation', CONSTRAINT = 'handover_card_clear';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER handover_card_clear AFTER INSERT ON handover_card
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION handover_card_clear();

GRANT SELECT ON blank_movement, destruction, destroyed_card TO sifilma_read;
GRANT INSERT ON blank_movement, destruction, destroyed_card TO sifilma_portal;
GRANT UPDATE (voided_at) ON destruction TO sifilma_portal;
GRANT UPDATE (void) ON destroyed_card TO sifilma_portal;
