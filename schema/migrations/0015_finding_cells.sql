-- A finding names every cell that it concerns, as ranges of the card list ("B7:B20",
-- "B25"): the pointer goes from the first to the last and has holes.
ALTER TABLE finding ADD COLUMN cells text[] NOT NULL DEFAULT '{}';
