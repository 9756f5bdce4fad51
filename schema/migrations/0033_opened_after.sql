-- The last close of a day that had run when an order was released, or opened again for
-- overtime: no close but a later one ends it. So a close that runs twice, because the
-- office clock was set back over it, ends each order once.
ALTER TABLE work_order ADD COLUMN opened_after timestamptz;
