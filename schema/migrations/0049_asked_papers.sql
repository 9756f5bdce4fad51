-- Papers that somebody asks for, with what they tell as it was then: the receipt for
-- blanks that a produsen brought, and the sheet of a day, which is of no request.
CREATE TABLE asked_paper (
    id         uuid        PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('blank_receipt', 'day_sheet')),
    request_id uuid        REFERENCES request,
    dated      date        NOT NULL, -- of the receipt the day it is drawn up, of a sheet its day
    facts      jsonb       NOT NULL,
    asked_by   text        NOT NULL,
    office_at  timestamptz NOT NULL,
    CHECK ((kind = 'blank_receipt') = (request_id IS NOT NULL))
);
CREATE INDEX asked_paper_day ON asked_paper (kind, dated);
CREATE INDEX asked_paper_request ON asked_paper (request_id);

CREATE FUNCTION asked_paper_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'asked_paper rows are never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER asked_paper_kept BEFORE UPDATE OR DELETE ON asked_paper FOR EACH ROW EXECUTE FUNCTION asked_paper_kept();

ALTER TABLE document DROP CONSTRAINT document_kind_check;
ALTER TABLE document ADD CONSTRAINT document_kind_check
    CHECK (kind IN ('bast', 'reply_letter', 'completion_letter', 'result_list', 'destruction_report', 'activation_reply', 'blank_receipt', 'day_sheet'));
ALTER TABLE document DROP CONSTRAINT document_of_request;
ALTER TABLE document ADD CONSTRAINT document_of_request CHECK (request_id IS NOT NULL OR kind IN ('activation_reply', 'day_sheet'));
-- A day sheet has no number, as a result list has none, and is in force when it is printed.
ALTER TABLE document DROP CONSTRAINT document_check;
ALTER TABLE document ADD CONSTRAINT document_check
    CHECK (state IN ('drafted', 'void') OR number IS NOT NULL OR kind IN ('result_list', 'day_sheet'));
ALTER TABLE document DROP CONSTRAINT document_check3;
ALTER TABLE document ADD CONSTRAINT document_check3
    CHECK (state <> 'issued' OR scan_blob IS NOT NULL OR kind = 'result_list' OR kind = 'day_sheet' AND pdf_blob IS NOT NULL);

GRANT SELECT ON asked_paper TO sifilma_read;
GRANT INSERT ON asked_paper TO sifilma_portal;
