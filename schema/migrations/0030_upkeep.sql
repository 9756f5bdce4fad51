-- A closing order covers the cards that are in a station's hands. What was not
-- presented is in the queue again while the station stays away; the order tells of
-- it until it is settled.
ALTER TABLE work_order ADD COLUMN returned int NOT NULL DEFAULT 0 CHECK (returned >= 0);
UPDATE work_order o SET remaining = least(o.remaining, held.n), returned = o.remaining - least(o.remaining, held.n)
FROM (SELECT w.id, (SELECT count(*)::int FROM card c WHERE c.work_order_id = w.id AND c.state IN ('claimed', 'writing', 'written', 'verified')
                    AND NOT EXISTS (SELECT FROM perso_attempt a WHERE a.card_id = c.id AND a.attempt = c.attempt AND a.counted)) AS n
      FROM work_order w WHERE w.state = 'closing') held
WHERE held.id = o.id;
ALTER TABLE work_order ADD CHECK (returned = 0 OR state = 'closing');
ALTER TABLE work_order ADD CHECK (remaining + returned <= upper(slots) - lower(slots));

-- What people changed of the plan's inputs and the planner has not looked at yet. Its
-- bell tells of it at once; when that is lost, the scheduler's next ticks find it here.
CREATE TABLE plan_due (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bell       text NOT NULL, -- the type of the message that was rung
    subject    uuid,          -- and its subject, where that says what was changed
    request_id uuid           -- to look at
);

CREATE FUNCTION plan_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'day_change' THEN
        INSERT INTO plan_due (bell, subject) VALUES (CASE NEW.kind WHEN 'holiday' THEN 'calendar.changed'
            WHEN 'downtime' THEN 'station.downtime_changed' ELSE 'capacity.changed' END, NEW.id);
    ELSIF TG_TABLE_NAME = 'request' THEN
        INSERT INTO plan_due (bell, request_id) VALUES (CASE NEW.state WHEN 'held' THEN 'request.held'
            WHEN 'cancelled' THEN 'request.cancelled' WHEN 'rejected' THEN 'request.cancelled' ELSE 'request.released' END, NEW.id);
    ELSIF TG_TABLE_NAME IN ('listed_card', 'card_reduction') THEN
        INSERT INTO plan_due (bell, request_id) VALUES (TG_ARGV[0], NEW.request_id);
    ELSE
        INSERT INTO plan_due (bell) VALUES (TG_ARGV[0]);
    END IF;
    RETURN NULL;
END $$;
-- Whoever writes them; what they mean for people is in day_change.
CREATE TRIGGER holiday_due AFTER INSERT OR UPDATE OR DELETE ON holiday FOR EACH ROW EXECUTE FUNCTION plan_due('calendar.changed');
CREATE TRIGGER capacity_setting_due AFTER INSERT OR UPDATE OR DELETE ON capacity_setting FOR EACH ROW EXECUTE FUNCTION plan_due('capacity.changed');
CREATE TRIGGER placement_due AFTER INSERT OR UPDATE OR DELETE ON placement FOR EACH ROW EXECUTE FUNCTION plan_due('capacity.changed');
CREATE TRIGGER station_downtime_due AFTER INSERT OR UPDATE OR DELETE ON station_downtime FOR EACH ROW EXECUTE FUNCTION plan_due('station.downtime_changed');
CREATE TRIGGER day_change_due AFTER INSERT ON day_change FOR EACH ROW EXECUTE FUNCTION plan_due();
CREATE TRIGGER request_due AFTER UPDATE OF state ON request FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND (NEW.state IN ('held', 'cancelled', 'rejected') OR OLD.state = 'held')) EXECUTE FUNCTION plan_due();
CREATE TRIGGER listed_card_due AFTER INSERT ON listed_card FOR EACH ROW
    WHEN (NEW.replaces IS NOT NULL) EXECUTE FUNCTION plan_due('replacement.registered');
CREATE TRIGGER card_reduction_due AFTER INSERT ON card_reduction FOR EACH ROW EXECUTE FUNCTION plan_due('cards.reduced');

-- What each tick of the scheduler asks.
CREATE INDEX request_accepted ON request (id) WHERE state = 'accepted';
CREATE INDEX work_order_closing ON work_order (id) WHERE state = 'closing';
-- And the look at the stage clocks between their sweeps.
CREATE INDEX request_unfinished ON request (id) WHERE state NOT IN ('done', 'cancelled', 'rejected');

GRANT SELECT ON plan_due TO sifilma_read;
GRANT DELETE ON plan_due TO sifilma_scheduler;
