-- A role per daemon: each may write what its work needs and no more. They
-- cannot log in until `sifilma migrate` gives them a password.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sifilma_read', 'sifilma_intake', 'sifilma_validator', 'sifilma_scheduler',
                                'sifilma_perso_station', 'sifilma_document_generator', 'sifilma_portal'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I', name); -- roles are the cluster's: another database may have made them
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        IF name <> 'sifilma_read' THEN
            EXECUTE format('GRANT sifilma_read TO %I', name);
        END IF;
    END LOOP;
END $$;

-- Everybody reads the office's business; credentials are the web daemons' only.
GRANT SELECT ON schema_migration, transition, history, outbox, shelf, delivery_attempt, blob, blob_chunk, audit,
    institution, pks, machine_type, request, request_line, purchase_order, request_file, request_fact, finding,
    listed_card, live_serial, holiday, capacity_day, work_order, estimate, schedule_run, card, card_number,
    number_counter, card_resolution, chip_authentication, signatory, handover, handover_card, document,
    document_counter TO sifilma_read;
-- The sealed secrets of cards are the station's only.
GRANT SELECT (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, intent, proposal,
    observed, outcome, claimed_at, writing_at, ended_at) ON perso_attempt TO sifilma_read;

-- Each daemon writes history and audit, and relays messages.
GRANT INSERT ON history, audit TO sifilma_intake, sifilma_validator, sifilma_scheduler, sifilma_perso_station,
    sifilma_document_generator, sifilma_portal;
GRANT INSERT, UPDATE ON outbox TO sifilma_intake, sifilma_validator, sifilma_scheduler, sifilma_perso_station,
    sifilma_document_generator, sifilma_portal;
GRANT INSERT, UPDATE, DELETE ON delivery_attempt TO sifilma_validator, sifilma_scheduler, sifilma_perso_station,
    sifilma_document_generator;
GRANT INSERT, UPDATE ON shelf TO sifilma_validator, sifilma_scheduler, sifilma_perso_station, sifilma_document_generator,
    sifilma_portal;

GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO sifilma_intake;
GRANT SELECT, UPDATE (last_used_at) ON api_key TO sifilma_intake;
GRANT INSERT ON blob, blob_chunk TO sifilma_intake, sifilma_document_generator, sifilma_portal;
GRANT INSERT, UPDATE ON request TO sifilma_intake;
GRANT INSERT, DELETE ON request_line, purchase_order TO sifilma_intake;
GRANT INSERT ON request_file TO sifilma_intake;
GRANT USAGE ON SEQUENCE ticket_number TO sifilma_intake;

GRANT UPDATE ON request TO sifilma_validator, sifilma_scheduler, sifilma_portal;
GRANT INSERT, UPDATE, DELETE ON request_fact TO sifilma_validator, sifilma_portal;
GRANT INSERT, DELETE ON finding TO sifilma_validator;
GRANT INSERT, UPDATE, DELETE ON listed_card, live_serial TO sifilma_validator, sifilma_portal;

GRANT INSERT, UPDATE ON card TO sifilma_portal, sifilma_perso_station;
GRANT INSERT, UPDATE, DELETE ON card_resolution TO sifilma_portal;
GRANT UPDATE (proposal, outcome, ended_at) ON perso_attempt TO sifilma_portal;

GRANT INSERT, UPDATE, DELETE ON holiday, capacity_day, work_order, estimate TO sifilma_scheduler;
GRANT INSERT, UPDATE, DELETE ON schedule_run TO sifilma_scheduler;
GRANT DELETE ON live_serial TO sifilma_scheduler; -- serials of a cancelled or rejected request are free again
GRANT UPDATE (seq, prev_hash, hash) ON audit TO sifilma_scheduler;
GRANT DELETE ON outbox TO sifilma_scheduler;

GRANT UPDATE ON work_order TO sifilma_perso_station, sifilma_portal;
GRANT INSERT ON card_number TO sifilma_perso_station;
GRANT UPDATE ON number_counter TO sifilma_perso_station;
GRANT SELECT, INSERT, UPDATE ON perso_attempt TO sifilma_perso_station;
GRANT INSERT, UPDATE ON chip_authentication TO sifilma_perso_station;
GRANT UPDATE ON request TO sifilma_perso_station; -- locks the request's row while it claims

GRANT INSERT, UPDATE ON document, document_counter TO sifilma_document_generator, sifilma_portal;
GRANT UPDATE ON handover TO sifilma_document_generator;

GRANT SELECT, INSERT, UPDATE ON account TO sifilma_portal;
GRANT SELECT, INSERT, UPDATE, DELETE ON session TO sifilma_portal;
GRANT INSERT, UPDATE ON handover TO sifilma_portal;
GRANT INSERT ON handover_card TO sifilma_portal;
