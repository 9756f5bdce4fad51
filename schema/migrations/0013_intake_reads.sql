-- The intake shows an applicant the whole of his own requests, names in the
-- timeline included, takes a request back, and voids the facts about a letter that
-- a correction replaces.
GRANT SELECT (username, name, role, institution_id) ON account TO sifilma_intake;
GRANT DELETE ON live_serial, request_fact TO sifilma_intake;
