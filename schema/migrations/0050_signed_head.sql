-- The ends of the audit chain that the office has signed: for a day sheet, whose id is the
-- subject, and for each day that is over, whose date is. Printed and exported, they show
-- that the chain before them was not rewritten.
CREATE TABLE audit_head (
    subject   text        PRIMARY KEY CHECK (subject <> ''),
    day       date        NOT NULL,
    seq       bigint      NOT NULL CHECK (seq >= 0),
    hash      bytea       NOT NULL CHECK (octet_length(hash) = 32),
    unsealed  bigint      NOT NULL CHECK (unsealed >= 0), -- rows that waited for the sealer
    at        timestamptz NOT NULL CHECK (date_trunc('minute', at) = at), -- as it is printed
    key_id    text        NOT NULL CHECK (key_id <> ''),
    signature bytea       NOT NULL CHECK (octet_length(signature) = 64) -- ES256: r and s
);
CREATE INDEX audit_head_order ON audit_head (seq);
CREATE TRIGGER audit_head_immutable BEFORE UPDATE OR DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION refuse_change();
GRANT SELECT ON audit_head TO sifilma_read;
GRANT INSERT ON audit_head TO sifilma_document_generator;
