-- Addresses at which people subscribe to the dates of a request. Who has the address
-- may read; it is kept as a hash only, and is as good as its account.
CREATE TABLE request_feed (
    id           uuid        PRIMARY KEY,
    request_id   uuid        NOT NULL REFERENCES request,
    account_id   uuid        NOT NULL REFERENCES account,
    token_sha256 bytea       NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
    created_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    revoked_by   text        NOT NULL DEFAULT '',
    CHECK ((revoked_at IS NULL) = (revoked_by = ''))
);
CREATE UNIQUE INDEX request_feed_live ON request_feed (request_id, account_id) WHERE revoked_at IS NULL;

GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_by) ON request_feed TO sifilma_portal;
