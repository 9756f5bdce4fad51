-- A signed scan is one paper's own: who brings one in is asked whether its content is
-- another paper's already, by its hash.

CREATE INDEX blob_sha256 ON blob (sha256);
CREATE INDEX document_scan ON document (scan_blob) WHERE scan_blob IS NOT NULL;
CREATE INDEX document_pdf ON document (pdf_blob) WHERE pdf_blob IS NOT NULL;
