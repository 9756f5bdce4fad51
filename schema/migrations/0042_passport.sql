-- A card is looked for by any of its numbers, also one of a list whose request has
-- ended: live_serial and live_reader do not have those any more.
CREATE INDEX listed_card_serial ON listed_card (serial);
CREATE INDEX listed_card_reader ON listed_card (reader_serial) WHERE reader_serial <> '';
