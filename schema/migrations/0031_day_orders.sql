-- An order about today is given once: while it waits, whoever gives it again is
-- answered with the one that waits.
UPDATE day_command c SET done_at = ordered_at, outcome = 'Tidak dilaksanakan: perintah yang sama sudah menunggu.'
WHERE done_at IS NULL AND EXISTS (
    SELECT FROM day_command b WHERE b.done_at IS NULL AND b.id < c.id AND b.day = c.day AND b.verb = c.verb
       AND b.request_id IS NOT DISTINCT FROM c.request_id);
CREATE UNIQUE INDEX day_command_waiting ON day_command (day, verb, request_id) NULLS NOT DISTINCT WHERE done_at IS NULL;

-- The cause of an estimate's move is read by its produsen: it does not say any more
-- which station stands still.
ALTER TABLE estimate_move DISABLE TRIGGER estimate_move_kept;
UPDATE estimate_move SET cause = regexp_replace(cause, '(^|[:;] )stasiun [^;]* berhenti (?=\d{1,2} [A-Z][a-z]+ \d{4})', '\1satu stasiun berhenti ', 'g') WHERE cause ~ 'stasiun .* berhenti \d';
ALTER TABLE estimate_move ENABLE TRIGGER estimate_move_kept;
UPDATE estimate SET cause = regexp_replace(cause, '(^|[:;] )stasiun [^;]* berhenti (?=\d{1,2} [A-Z][a-z]+ \d{4})', '\1satu stasiun berhenti ', 'g') WHERE cause ~ 'stasiun .* berhenti \d';

-- Two people may take a card away from a station that is not heard of any more.
ALTER TABLE card_resolution DROP CONSTRAINT card_resolution_decision_check;
ALTER TABLE card_resolution ADD CONSTRAINT card_resolution_decision_check CHECK (decision IN ('complete', 'resume', 'spoil', 'doubt'));
GRANT UPDATE (counted) ON perso_attempt TO sifilma_portal;
