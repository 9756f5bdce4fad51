-- An order about today is given once: while it waits, whoever gives it again is
-- answered with the one that waits.
UPDATE day_command c SET done_at = ordered_at, outcome = 'Tidak dilaksanakan: perintah yang sama sudah menunggu.'
WHERE done_at IS NULL AND EXISTS (
    SELECT FROM day_command b WHERE b.done_at IS NULL AND b.id < c.id AND b.day = c.day AND b.verb = c.verb
       AND b.request_id IS NOT DISTINCT FROM c.request_id);
CREATE UNIQUE INDEX day_command_waiting ON day_command (day, verb, request_id) NULLS NOT DISTINCT WHERE done_at IS NULL;
