-- The tables of steps, compiled. Each change of state and each line of the
-- timeline asks whether its step is in a table; a query for each row was a third
-- of what PostgreSQL spent on a message. The table transition stays the truth:
-- whoever writes it writes the functions anew, in the same transaction.

-- Says what the functions must be: legal_step, whether a machine can go from one
-- state to another; known_step, whether it ever could, by that verb.
CREATE FUNCTION compile_transitions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    legal text;
    known text;
BEGIN
    SELECT 'SELECT CASE machine WHEN '''' THEN false' ||
           coalesce(string_agg(format(' WHEN %L THEN (born, state) IN (%s)', machine, steps), '' ORDER BY machine), '') ||
           ' ELSE false END'
    INTO legal
    FROM (SELECT machine, string_agg(DISTINCT format('(%L, %L)', from_state, to_state), ', ') AS steps
          FROM transition WHERE active GROUP BY machine) AS m;
    SELECT 'SELECT CASE machine WHEN '''' THEN false' ||
           coalesce(string_agg(format(' WHEN %L THEN (born, verb, state) IN (%s)', machine, steps), '' ORDER BY machine), '') ||
           ' ELSE false END'
    INTO known
    FROM (SELECT machine, string_agg(format('(%L, %L, %L)', from_state, verb, to_state), ', '
                                     ORDER BY from_state, verb, to_state) AS steps
          FROM transition GROUP BY machine) AS m;
    IF legal IS DISTINCT FROM (SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('legal_step(text, text, text)')) THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION legal_step(machine text, born text, state text) RETURNS bool
                        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L', legal);
    END IF;
    IF known IS DISTINCT FROM (SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('known_step(text, text, text, text)')) THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION known_step(machine text, born text, verb text, state text) RETURNS bool
                        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L', known);
    END IF;
    RETURN NULL;
END $$;

-- Two who write the table at once compile one after the other; the second then
-- sees the rows of the first.
CREATE FUNCTION lock_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1374755331);
    RETURN NULL;
END $$;
CREATE TRIGGER transition_lock BEFORE INSERT OR UPDATE ON transition
    FOR EACH STATEMENT EXECUTE FUNCTION lock_transitions();
CREATE TRIGGER transition_compiled AFTER INSERT OR UPDATE ON transition
    FOR EACH STATEMENT EXECUTE FUNCTION compile_transitions();
UPDATE transition SET active = active WHERE false; -- compiles

-- The timeline may name a step for ever: steps are retired, never taken out.
CREATE TRIGGER transition_kept BEFORE DELETE OR UPDATE OF machine, from_state, verb, to_state ON transition
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transition_kept_whole BEFORE TRUNCATE ON transition
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE OR REPLACE FUNCTION check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    born text := '';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.state = OLD.state THEN
            RETURN NEW;
        END IF;
        born := OLD.state;
        IF NEW.version <> OLD.version + 1 THEN
            RAISE EXCEPTION '% %: version must go from % to %', TG_ARGV[0], NEW.id, OLD.version, OLD.version + 1
                USING ERRCODE = 'check_violation', CONSTRAINT = 'version_step';
        END IF;
    END IF;
    IF legal_step(TG_ARGV[0], born, NEW.state) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% %: no step leads from "%" to "%"', TG_ARGV[0], NEW.id, born, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'legal_transition';
END $$;

CREATE FUNCTION check_known_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF known_step(NEW.machine, NEW.from_state, NEW.verb, NEW.to_state) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% %: % from "%" to "%" is in no table', NEW.machine, NEW.subject, NEW.verb, NEW.from_state, NEW.to_state
        USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'known_step';
END $$;
ALTER TABLE history DROP CONSTRAINT history_machine_from_state_verb_to_state_fkey;
CREATE TRIGGER history_known_step BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION check_known_step();
