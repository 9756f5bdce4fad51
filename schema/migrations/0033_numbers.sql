-- The templates of PCID and manifest number are data that two people approve, as all
-- that cards are personalised by.
ALTER TABLE recipe DROP CONSTRAINT recipe_kind_check;
ALTER TABLE recipe ADD CONSTRAINT recipe_kind_check CHECK (kind IN ('profile', 'key_code', 'sam_type', 'numbers'));

-- A number is one whatever its letters' case, as the register has it.
CREATE UNIQUE INDEX card_number_upper ON card_number (kind, upper(value));
