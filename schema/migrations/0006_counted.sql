-- The planner must know which cards have left their work order already: a card
-- that two people settled after a doubt is on the line again without a place.
GRANT SELECT (counted) ON perso_attempt TO sifilma_read;
