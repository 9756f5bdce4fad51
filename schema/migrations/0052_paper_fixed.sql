-- What was printed is what was signed: a paper's number is given once, its files are made
-- once, and what came back signed stays as it came, whoever writes to the table.
CREATE FUNCTION document_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.kind, NEW.subject_id, NEW.request_id, NEW.replaces, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.kind, OLD.subject_id, OLD.request_id, OLD.replaces, OLD.created_at)
       OR OLD.state <> 'drafted' AND (NEW.number, NEW.dated, NEW.signatory) IS DISTINCT FROM (OLD.number, OLD.dated, OLD.signatory)
       OR OLD.state NOT IN ('drafted', 'numbered') AND (NEW.docx_blob, NEW.pdf_blob, NEW.xlsx_blob, NEW.template_sha256, NEW.signatures)
          IS DISTINCT FROM (OLD.docx_blob, OLD.pdf_blob, OLD.xlsx_blob, OLD.template_sha256, OLD.signatures)
       OR OLD.state <> 'awaiting_signature' AND (NEW.scan_blob, NEW.signed_on, NEW.electronic) IS DISTINCT FROM (OLD.scan_blob, OLD.signed_on, OLD.electronic) THEN
        RAISE EXCEPTION 'document %: it is not changed so in state "%"', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'document_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER document_fixed BEFORE UPDATE ON document FOR EACH ROW EXECUTE FUNCTION document_fixed();

-- A signing that has ended stays ended: signing_once rests on it.
CREATE FUNCTION signing_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR (NEW.id, NEW.document_id, NEW.driver, NEW.asked_by) IS DISTINCT FROM (OLD.id, OLD.document_id, OLD.driver, OLD.asked_by) THEN
        RAISE EXCEPTION 'signing %: it is ended', OLD.id USING ERRCODE = 'check_violation', CONSTRAINT = 'signing_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signing_fixed BEFORE UPDATE ON signing FOR EACH ROW EXECUTE FUNCTION signing_fixed();
