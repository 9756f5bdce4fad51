-- The day board asks what became of the cards of each work order.
CREATE INDEX perso_attempt_order ON perso_attempt (work_order_id);
