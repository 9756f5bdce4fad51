-- Bells that were lost are rung again by one scheduler at a time; what failed is
-- put right by people; what nobody needs any more is pruned.

-- Work that one process of many does at a time. It is the holder's until
-- expires_at, by this database's clock.
CREATE TABLE lease (
    name       text PRIMARY KEY,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Bells that the sweeper rang again: how often for this version of the row, and
-- when last.
CREATE TABLE sweep (
    type    text        NOT NULL,
    subject uuid        NOT NULL,
    version bigint      NOT NULL,
    rings   int         NOT NULL CHECK (rings > 0),
    rung_at timestamptz NOT NULL,
    PRIMARY KEY (type, subject)
);

-- How a row of the shelf was closed: put into the outbox again, or laid aside
-- with a reason.
ALTER TABLE shelf ADD COLUMN replayed bool NOT NULL DEFAULT false;
ALTER TABLE shelf ADD COLUMN note text NOT NULL DEFAULT '';
ALTER TABLE shelf ADD CHECK (closed_at IS NOT NULL OR NOT replayed AND note = '');
CREATE INDEX shelf_subject ON shelf (consumer, type, subject);

CREATE INDEX idempotency_age ON idempotency (created_at);

GRANT SELECT ON lease, sweep TO sifilma_read;
GRANT INSERT, UPDATE, DELETE ON lease, sweep TO sifilma_scheduler;
-- Housekeeping sees when a row was written, not what is in it.
GRANT SELECT (client, key, created_at), DELETE ON idempotency TO sifilma_scheduler;
GRANT SELECT (seen_at, expires_at), DELETE ON session TO sifilma_scheduler;
