-- "SAM 2018 0001" in the old register and "SAM-2018-0001" on a list are one card:
-- lists were typed by many hands. What two ways of writing a serial have in common
-- are its letters and digits. The cost is not what a call takes but what it takes to
-- ask for every row of the register: with it the planner goes by the indexes also
-- before the server has counted the rows. Starting workers for a lookup would take
-- longer than the lookup.
CREATE FUNCTION serial_key(serial text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE COST 10000
    SET search_path = public, pg_temp AS $$
BEGIN
    RETURN upper(regexp_replace(serial, '[^A-Za-z0-9]', '', 'g'));
END $$;

CREATE INDEX register_entry_serial_alike ON register_entry (serial_key(serial)) WHERE standing AND serial IS NOT NULL;
CREATE INDEX register_entry_reader_alike ON register_entry (serial_key(reader_serial)) WHERE standing AND reader_serial IS NOT NULL;
