-- In which form an official signs: the holder of the post, or somebody for a while
-- (Plt., Plh.) or by delegation (a.n., u.b.), during whose period the holder stays.
ALTER TABLE signatory
    ADD version   bigint NOT NULL DEFAULT 1,
    ADD form      text   NOT NULL DEFAULT 'definitif' CHECK (form IN ('definitif', 'plt', 'plh', 'an', 'ub')),
    ADD principal text   NOT NULL DEFAULT '', -- on whose behalf, for a.n. and u.b.
    ADD through   text   NOT NULL DEFAULT '', -- whose order is passed on, for u.b.
    ADD CHECK ((form IN ('an', 'ub')) = (principal <> '') AND (form = 'ub') = (through <> '')),
    ADD CHECK (valid_to IS NULL OR valid_to >= valid_from),
    DROP CONSTRAINT signatory_post_code_daterange_excl;
-- One holder at a time, and beside the holder one other.
ALTER TABLE signatory ADD CONSTRAINT signatory_one_at_a_time
    EXCLUDE USING gist (post_code WITH =, (CASE form WHEN 'definitif' THEN 0 ELSE 1 END) WITH =, daterange(valid_from, valid_to, '[]') WITH &&);

GRANT INSERT, UPDATE ON signatory TO sifilma_portal;
