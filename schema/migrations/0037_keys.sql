-- The book of master keys: which key stands under which label in the token, who brought
-- it there, and whether it may still be used. Check values only, never a key. A station
-- compares what its token has with this book before it works on a card: two wrong
-- authentications are all that a chip gets.

CREATE TABLE master_key (
    label          text PRIMARY KEY CHECK (label ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    name           text NOT NULL CHECK (name <> ''), -- of all versions together
    version        int  NOT NULL CHECK (version > 0),
    algorithm      text NOT NULL CHECK (algorithm IN ('AES', 'DES')),
    bits           int  NOT NULL CHECK (bits IN (128, 192, 256)),
    kcv            text NOT NULL CHECK (kcv ~ '^[0-9A-F]{6}$'),
    origin         text NOT NULL CHECK (origin IN ('generated', 'components')),
    custodians     text[] NOT NULL CHECK (origin <> 'components' OR cardinality(custodians) >= 2),
    token_label    text NOT NULL,
    token_serial   text NOT NULL,
    place          text NOT NULL,
    recorded_by    text NOT NULL CHECK (recorded_by <> ''),
    office_at      timestamptz NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    retired_by     text CHECK (retired_by <> ''),
    retired_reason text CHECK (retired_reason <> ''),
    retired_at     timestamptz,
    UNIQUE (name, version),
    CHECK ((retired_at IS NULL) = (retired_by IS NULL) AND (retired_at IS NULL) = (retired_reason IS NULL))
);

-- The labels that a Kode Kunci names.
CREATE FUNCTION key_labels(content bytea) RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT ARRAY[c #>> '{transport,master}', c #>> '{final,master}', c ->> 'secret_wrap']
    FROM (SELECT convert_from(content, 'UTF8')::jsonb AS c) AS k
$$;

-- Why a key cannot be given up: what still has to be written, read or opened with it.
CREATE FUNCTION master_key_needs(wanted text) RETURNS TABLE (what text, which text) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH named AS (SELECT id, code || '/' || edition AS edition, state FROM recipe WHERE kind = 'key_code' AND wanted = ANY (key_labels(content))),
         tied AS (SELECT o.work_order_id FROM order_recipe o JOIN named n ON n.id = o.key_code_id)
    SELECT 'key_code', n.edition FROM named n WHERE n.state IN ('active', 'proposed')
    UNION ALL
    SELECT 'work_order', q.ticket || ', ' || w.day FROM tied t JOIN work_order w ON w.id = t.work_order_id JOIN request q ON q.id = w.request_id
    WHERE w.state NOT IN ('closed', 'revoked')
    UNION ALL
    SELECT 'card', c.serial FROM card c JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt JOIN tied t ON t.work_order_id = a.work_order_id
    WHERE c.state IN ('claimed', 'writing', 'written', 'verified', 'in_doubt')
    UNION ALL
    SELECT DISTINCT 'request', q.ticket FROM tied t JOIN work_order w ON w.id = t.work_order_id JOIN request q ON q.id = w.request_id
    WHERE q.state NOT IN ('done', 'rejected', 'cancelled')
    ORDER BY 1, 2
$$;

-- What was recorded stays so; a key is given up once, and only when nothing needs it.
CREATE FUNCTION master_key_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.retired_at IS NOT NULL
        OR to_jsonb(NEW) - '{retired_by,retired_reason,retired_at}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{retired_by,retired_reason,retired_at}'::text[] THEN
        RAISE EXCEPTION 'master key %: the book is only added to', OLD.label USING ERRCODE = 'check_violation', CONSTRAINT = 'master_key_kept';
    END IF;
    IF EXISTS (SELECT FROM master_key_needs(OLD.label)) THEN
        RAISE EXCEPTION 'master key %: it is needed', OLD.label USING ERRCODE = 'check_violation', CONSTRAINT = 'master_key_needed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER master_key_kept BEFORE UPDATE OR DELETE ON master_key FOR EACH ROW EXECUTE FUNCTION master_key_kept();

-- A key that was given up is not taken up again. The lock keeps whoever gives one up at
-- this moment apart; it needs the owner's rights.
CREATE FUNCTION recipe_keys_usable() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone text;
BEGIN
    PERFORM FROM master_key WHERE label = ANY (key_labels(NEW.content)) ORDER BY label FOR SHARE;
    SELECT label INTO gone FROM master_key WHERE label = ANY (key_labels(NEW.content)) AND retired_at IS NOT NULL ORDER BY label LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'recipe %/%: master key % was given up', NEW.code, NEW.edition, gone
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recipe_keys_usable';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER recipe_keys_usable BEFORE INSERT OR UPDATE ON recipe FOR EACH ROW
    WHEN (NEW.kind = 'key_code' AND NEW.state IN ('proposed', 'active')) EXECUTE FUNCTION recipe_keys_usable();

GRANT SELECT ON master_key TO sifilma_read;
