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
