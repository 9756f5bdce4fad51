-- What stations say of cards whose result is not known: what a reader showed, or what
-- a journal knows. Each stays as it was said, whatever is decided.
CREATE TABLE card_observation (
    id           uuid PRIMARY KEY,
    card_id      uuid        NOT NULL REFERENCES card,
    attempt_id   uuid        NOT NULL REFERENCES perso_attempt,
    card_version bigint      NOT NULL, -- of the card when it was observed
    card_state   text        NOT NULL,
    source       text        NOT NULL CHECK (source IN ('card', 'journal')),
    station      text        NOT NULL CHECK (station <> ''),
    reader       text        NOT NULL,
    proposal     text        NOT NULL CHECK (proposal IN ('complete', 'resume', 'spoil')),
    reading      text        NOT NULL CHECK (reading ~ '^[0-9a-f]{64}$'), -- two alike say the same
    observed     jsonb       NOT NULL, -- no secrets
    contradicts  bool        NOT NULL, -- what is decided for good; it changes nothing and asks for people
    office_at    timestamptz NOT NULL,
    at           timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX card_observation_card ON card_observation (card_id, id);
CREATE UNIQUE INDEX card_observation_contradiction ON card_observation (attempt_id, source, reading) WHERE contradicts;
CREATE TRIGGER card_observation_kept BEFORE UPDATE OR DELETE ON card_observation FOR EACH ROW EXECUTE FUNCTION kept_for_ever();

-- What people did about a contradiction.
CREATE TABLE contradiction_answer (
    observation_id uuid PRIMARY KEY REFERENCES card_observation,
    answered_by    text        NOT NULL CHECK (answered_by <> ''),
    reason         text        NOT NULL CHECK (reason <> ''),
    office_at      timestamptz NOT NULL,
    at             timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER contradiction_answer_kept BEFORE UPDATE OR DELETE ON contradiction_answer FOR EACH ROW EXECUTE FUNCTION kept_for_ever();

-- The present reading of an attempt's card: what people decide on. Decisions on another
-- one are void, and stay.
ALTER TABLE perso_attempt ADD COLUMN reading text NOT NULL DEFAULT '';
ALTER TABLE card_resolution ADD COLUMN reading text NOT NULL DEFAULT '', ADD COLUMN voided_at timestamptz;
DROP INDEX card_resolution_open;
CREATE UNIQUE INDEX card_resolution_open ON card_resolution (card_id) WHERE confirmed_by IS NULL AND voided_at IS NULL;

-- The cards that people may have to look after, among all that are done.
CREATE INDEX card_doubtful ON card (state) WHERE state IN ('in_doubt', 'claimed', 'writing', 'written');

GRANT SELECT ON card_observation, contradiction_answer TO sifilma_read;
GRANT SELECT (reading) ON perso_attempt TO sifilma_read;
GRANT INSERT ON card_observation TO sifilma_perso_station;
GRANT UPDATE (voided_at) ON card_resolution TO sifilma_perso_station;
GRANT INSERT ON contradiction_answer TO sifilma_portal;
