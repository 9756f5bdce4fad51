-- An attempt that one station began and another took up is in two journals. What
-- each of them knows is kept: the later word tells how far the card came.
ALTER TABLE lost_attempt DROP CONSTRAINT lost_attempt_pkey, ADD PRIMARY KEY (id, station);
