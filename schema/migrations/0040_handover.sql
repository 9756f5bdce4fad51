-- What happens at the counter: when the produsen is expected, who came for it, which
-- pieces were in the tray, and what was counted of each lembaga (features.md G06 to G12,
-- I19 to I21, N25, N26).

ALTER TABLE handover
    ADD appointed_at      timestamptz,
    ADD appointment_note  text NOT NULL DEFAULT '',
    -- Whose person took the cards; nobody else's may (I20).
    ADD representative_of text NOT NULL DEFAULT '' CHECK (representative_of IN ('', 'produsen'));
UPDATE handover SET representative_of = 'produsen' WHERE delivered_on IS NOT NULL;
ALTER TABLE handover ADD CHECK (delivered_on IS NULL OR representative_of <> '');

-- The cards of a handover by line of the request, with what the produsen counted.
CREATE TABLE handover_line (
    handover_id uuid NOT NULL REFERENCES handover,
    line        int  NOT NULL CHECK (line > 0),
    quantity    int  NOT NULL CHECK (quantity > 0),
    received    int CHECK (received BETWEEN 0 AND quantity),
    PRIMARY KEY (handover_id, line)
);
INSERT INTO handover_line (handover_id, line, quantity)
SELECT h.handover_id, l.line, count(*) FROM handover_card h JOIN listed_card l ON l.id = h.card_id GROUP BY 1, 2;
-- Of a count of all lines together only what is certain is known by line.
UPDATE handover_line l SET received = CASE WHEN h.received = h.quantity THEN l.quantity WHEN l.quantity = h.quantity THEN h.received END
FROM handover h WHERE h.id = l.handover_id AND h.received IS NOT NULL;

-- A piece that was held under the scanner, or whose chip was read, before it went into
-- the tray.
CREATE TABLE handover_scan (
    card_id     uuid PRIMARY KEY REFERENCES handover_card,
    handover_id uuid        NOT NULL REFERENCES handover,
    method      text        NOT NULL CHECK (method IN ('barcode', 'chip')),
    scanned_by  text        NOT NULL CHECK (scanned_by <> ''),
    scanned_at  timestamptz NOT NULL
);
CREATE INDEX handover_scan_handover ON handover_scan (handover_id);

-- Fewer were counted than handed over: kept until somebody says what became of it.
CREATE TABLE handover_shortage (
    id          uuid PRIMARY KEY,
    handover_id uuid        NOT NULL REFERENCES handover,
    line        int         NOT NULL,
    missing     int         NOT NULL CHECK (missing > 0),
    noted_by    text        NOT NULL CHECK (noted_by <> ''),
    noted_at    timestamptz NOT NULL,
    outcome     text CHECK (outcome IN ('found', 'lost', 'miscounted')),
    finding     text        NOT NULL DEFAULT '',
    settled_by  text,
    settled_at  timestamptz,
    UNIQUE (handover_id, line),
    CHECK ((outcome IS NULL) = (settled_at IS NULL) AND (outcome IS NULL) = (settled_by IS NULL) AND (outcome IS NULL OR finding <> ''))
);

GRANT SELECT ON handover_line, handover_scan, handover_shortage TO sifilma_read;
GRANT INSERT, UPDATE ON handover_line, handover_shortage TO sifilma_portal;
GRANT INSERT ON handover_scan TO sifilma_portal;
