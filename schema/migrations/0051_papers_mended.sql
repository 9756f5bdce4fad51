-- People read 012 and 12 as one number: leading zeros of a running number, capitals and
-- spaces make no other one. Behind a full stop digits are a classification code, which
-- keeps its zeros. What was typed stays what is printed.
CREATE FUNCTION number_key(number text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT regexp_replace(upper(regexp_replace(number, '\s', '', 'g')), '(^|[^0-9.])0+([0-9])', '\1\2', 'g')
$$;

-- Two papers that have one number by now keep it, the later of them marked.
ALTER TABLE document ADD number_twin boolean NOT NULL DEFAULT false;
ALTER TABLE document DISABLE TRIGGER USER;
UPDATE document d SET number_twin = true
WHERE EXISTS (SELECT FROM document o WHERE o.id < d.id AND number_key(o.number) = number_key(d.number) AND extract(year FROM o.dated) = extract(year FROM d.dated));
ALTER TABLE document ENABLE TRIGGER USER;

DROP INDEX document_number;
CREATE UNIQUE INDEX document_number ON document (number_key(number), (extract(year FROM dated))) WHERE NOT number_twin;
CREATE INDEX document_number_twin ON document (number_key(number)) WHERE number_twin;

-- The address at which the portal says it is reached. Papers carry it as a QR code: whoever
-- makes them compares it with what it was told itself.
CREATE TABLE portal_address (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    address text        NOT NULL CHECK (address <> ''),
    said_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT ON portal_address TO sifilma_read;
GRANT INSERT, UPDATE ON portal_address TO sifilma_portal;
