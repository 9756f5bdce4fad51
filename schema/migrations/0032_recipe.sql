-- How SAM cards are personalised, as data: profiles, Kode Kunci and SAM types, each
-- in versions that two people approve. What a card is written with can be told for
-- ever: a version never changes once it was proposed, and a work order never changes
-- its versions.

CREATE TABLE recipe (
    id             uuid   PRIMARY KEY,
    kind           text   NOT NULL CHECK (kind IN ('profile', 'key_code', 'sam_type')),
    code           text   NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
    edition        int    NOT NULL CHECK (edition > 0),
    content        bytea  NOT NULL CHECK (length(content) BETWEEN 1 AND 65536),
    content_sha256 bytea  NOT NULL CHECK (content_sha256 = sha256(content)),
    state          text   NOT NULL,
    version        bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    authors        text[] NOT NULL CHECK (cardinality(authors) > 0), -- whoever wrote on the content
    proposed_by    text   CHECK (proposed_by <> ''),
    approved_by    text   CHECK (approved_by <> ''),
    shipped        bool   NOT NULL DEFAULT false, -- came with the program
    written_at     timestamptz NOT NULL,
    UNIQUE (kind, code, edition),
    CONSTRAINT recipe_proposed CHECK (state IN ('draft', 'discarded') OR proposed_by IS NOT NULL),
    CONSTRAINT recipe_approved CHECK ((approved_by IS NOT NULL) = (state IN ('active', 'superseded', 'withdrawn'))),
    -- Only what came with the program may be approved by whoever wrote it: by the set-up.
    CONSTRAINT recipe_two_people CHECK (approved_by IS NULL
        OR (approved_by <> proposed_by AND NOT approved_by = ANY (authors))
        OR (shipped AND authors = ARRAY[approved_by] AND proposed_by = approved_by))
);
CREATE UNIQUE INDEX recipe_active ON recipe (kind, code) WHERE state = 'active';
CREATE INDEX recipe_sha256 ON recipe (content_sha256);
CREATE TRIGGER recipe_transition BEFORE INSERT OR UPDATE ON recipe
    FOR EACH ROW EXECUTE FUNCTION check_transition('recipe');

CREATE FUNCTION recipe_frozen() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE'
        OR (NEW.id, NEW.kind, NEW.code, NEW.edition, NEW.shipped) IS DISTINCT FROM (OLD.id, OLD.kind, OLD.code, OLD.edition, OLD.shipped)
        OR (OLD.state <> 'draft' AND (NEW.content, NEW.authors, NEW.proposed_by) IS DISTINCT FROM (OLD.content, OLD.authors, OLD.proposed_by))
        OR (OLD.approved_by IS NOT NULL AND NEW.approved_by IS DISTINCT FROM OLD.approved_by)
        OR NOT OLD.authors <@ NEW.authors THEN
        RAISE EXCEPTION 'recipe %/%: a version that was proposed never changes', OLD.code, OLD.edition
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recipe_frozen';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER recipe_frozen BEFORE UPDATE OR DELETE ON recipe FOR EACH ROW EXECUTE FUNCTION recipe_frozen();

-- The versions with which the cards of a work order are written, fixed by its first
-- claim.
CREATE TABLE order_recipe (
    work_order_id uuid PRIMARY KEY REFERENCES work_order,
    sam_type_id   uuid NOT NULL REFERENCES recipe,
    profile_id    uuid NOT NULL REFERENCES recipe,
    key_code_id   uuid NOT NULL REFERENCES recipe,
    office_at     timestamptz NOT NULL,
    at            timestamptz NOT NULL DEFAULT now(),
    UNIQUE (work_order_id, profile_id)
);
CREATE TRIGGER order_recipe_kept BEFORE UPDATE OR DELETE ON order_recipe FOR EACH ROW EXECUTE FUNCTION kept_for_ever();

-- What is not approved is never written with.
CREATE FUNCTION order_recipe_approved() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM recipe r WHERE r.state = 'active' AND (r.kind, r.id) IN
            (('sam_type', NEW.sam_type_id), ('profile', NEW.profile_id), ('key_code', NEW.key_code_id))) <> 3 THEN
        RAISE EXCEPTION 'work order %: its SAM type, profile or Kode Kunci is not approved', NEW.work_order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_recipe_approved';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER order_recipe_approved BEFORE INSERT ON order_recipe FOR EACH ROW EXECUTE FUNCTION order_recipe_approved();

-- Each attempt is made with the versions of its order. Attempts of before have none.
ALTER TABLE perso_attempt ADD COLUMN profile_id uuid,
    ADD CONSTRAINT perso_attempt_of_its_order FOREIGN KEY (work_order_id, profile_id) REFERENCES order_recipe (work_order_id, profile_id);

CREATE FUNCTION perso_attempt_has_profile() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM recipe r WHERE r.id = NEW.profile_id AND r.state <> 'withdrawn' AND r.content_sha256 = NEW.profile_sha256) THEN
        RAISE EXCEPTION 'attempt %: its profile is not one that may be written with', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'perso_attempt_has_profile';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER perso_attempt_has_profile BEFORE INSERT ON perso_attempt FOR EACH ROW EXECUTE FUNCTION perso_attempt_has_profile();

-- A profile that was run on a test card, to see that it does what it says.
CREATE TABLE recipe_trial (
    id          uuid PRIMARY KEY,
    profile_id  uuid        NOT NULL REFERENCES recipe,
    key_code_id uuid        NOT NULL REFERENCES recipe,
    station     text        NOT NULL CHECK (station <> ''),
    chip_id     text        NOT NULL,
    passed      bool        NOT NULL,
    report      jsonb       NOT NULL, -- no secrets
    office_at   timestamptz NOT NULL,
    at          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recipe_trial_profile ON recipe_trial (profile_id, id);
CREATE TRIGGER recipe_trial_kept BEFORE UPDATE OR DELETE ON recipe_trial FOR EACH ROW EXECUTE FUNCTION kept_for_ever();

GRANT SELECT ON recipe, order_recipe, recipe_trial TO sifilma_read;
GRANT SELECT (profile_id) ON perso_attempt TO sifilma_read;
GRANT INSERT (id, kind, code, edition, content, content_sha256, state, version, authors, proposed_by, written_at),
    UPDATE (content, content_sha256, state, version, authors, proposed_by, approved_by, written_at) ON recipe TO sifilma_portal;
GRANT INSERT ON order_recipe, recipe_trial TO sifilma_perso_station;
