-- A change of an account that gives power in the office takes effect when a second
-- keeper confirms it: who could make, revive or take over any account alone could
-- be both people of every rule of two.

CREATE TABLE account_change (
    id            uuid PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind IN ('create', 'change', 'activate', 'reset')),
    account_id    uuid        NOT NULL, -- of a new account: the one it will have
    username      text        NOT NULL,
    detail        jsonb       NOT NULL, -- the account as it was seen and as it will be
    proposed_by   uuid        NOT NULL REFERENCES account,
    proposed_at   timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    confirmed_by  uuid REFERENCES account,
    confirmed_at  timestamptz,
    gave_password bool        NOT NULL DEFAULT false, -- whoever confirmed it saw a password for once
    refused_by    uuid REFERENCES account,
    refused_at    timestamptz,
    reason        text        NOT NULL DEFAULT '', -- why it was refused
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK ((refused_by IS NULL) = (refused_at IS NULL)),
    CHECK (confirmed_by IS NULL OR refused_by IS NULL),
    CHECK (refused_by IS NULL OR reason <> ''),
    CHECK (confirmed_by IS NOT NULL OR NOT gave_password),
    CONSTRAINT account_change_in_time CHECK (confirmed_at < expires_at),
    CONSTRAINT account_change_two_people CHECK (confirmed_by NOT IN (proposed_by, account_id))
);
CREATE INDEX account_change_waiting ON account_change (id) WHERE confirmed_at IS NULL AND refused_at IS NULL;
CREATE INDEX account_change_password ON account_change (account_id, confirmed_by) WHERE gave_password;

CREATE FUNCTION account_change_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.kind, NEW.account_id, NEW.username, NEW.detail, NEW.proposed_by, NEW.proposed_at, NEW.expires_at) IS DISTINCT FROM
       (OLD.id, OLD.kind, OLD.account_id, OLD.username, OLD.detail, OLD.proposed_by, OLD.proposed_at, OLD.expires_at)
       OR OLD.confirmed_at IS NOT NULL OR OLD.refused_at IS NOT NULL THEN
        RAISE EXCEPTION 'account change %: it is decided once and not changed', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_change_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_change_fixed BEFORE UPDATE ON account_change FOR EACH ROW EXECUTE FUNCTION account_change_guard();

GRANT SELECT, INSERT, UPDATE ON account_change TO sifilma_portal;

-- Attempts to sign in are counted before they are judged, so that many at once are
-- no more than many in turn, and for each name whether it is anybody's or not, so
-- that no answer tells. A name is kept as its hash: some type their password there.
CREATE TABLE login_attempt (
    name_sha256 bytea       NOT NULL,
    source      text        NOT NULL, -- the network, the browser, a session; * for all networks together
    attempts    int         NOT NULL CHECK (attempts >= 0),
    ends_at     timestamptz NOT NULL, -- then the count begins anew
    PRIMARY KEY (name_sha256, source)
);
CREATE INDEX login_attempt_ends ON login_attempt (ends_at);

-- Browsers in which somebody has signed in: they are counted by themselves, so that
-- a stranger's wrong passwords lock nobody out of their own.
CREATE TABLE known_browser (
    token_sha256 bytea       NOT NULL,
    account_id   uuid        NOT NULL REFERENCES account,
    seen_at      timestamptz NOT NULL,
    PRIMARY KEY (token_sha256, account_id)
);
CREATE INDEX known_browser_account ON known_browser (account_id, seen_at);
CREATE INDEX known_browser_seen ON known_browser (seen_at);

ALTER TABLE account DROP COLUMN failures, DROP COLUMN locked_until;

GRANT SELECT, INSERT, UPDATE, DELETE ON login_attempt, known_browser TO sifilma_portal;
GRANT SELECT, DELETE ON login_attempt, known_browser TO sifilma_scheduler; -- it clears away what is over
