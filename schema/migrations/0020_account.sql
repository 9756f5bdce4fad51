-- A password for once is good for a while only, and people look after what is
-- known of themselves.

ALTER TABLE account
    ADD COLUMN password_expires_at timestamptz, -- of a password for once; NULL: never
    ADD COLUMN email   text NOT NULL DEFAULT '',
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN phone   text NOT NULL DEFAULT '',
    ADD COLUMN photo   uuid REFERENCES blob; -- NULL: none
-- Those that were given out before have as long as the portal's default.
UPDATE account SET password_expires_at = now() + interval '72 hours' WHERE must_change;
ALTER TABLE account ADD CONSTRAINT account_expires_once CHECK (must_change OR password_expires_at IS NULL);
