-- The intake shows an applicant the whole of his own requests, names in the
-- timeline included, takes a request back, and voids the facts about a letter that
-- a correction replaces.
GRANT SELECT (id, username, name, role, institution_id, active) ON account TO sifilma_intake;
GRANT DELETE ON live_serial, request_fact TO sifilma_intake;

-- People who have signed in at the portal fill requests in at the intake.
GRANT SELECT, UPDATE (seen_at) ON session TO sifilma_intake;
