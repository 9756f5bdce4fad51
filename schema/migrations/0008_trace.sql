-- A request keeps the W3C traceparent of the call that made it: all that happens
-- to it later, by whom and how late ever, belongs to that trace. Requests from
-- before have none.
ALTER TABLE request ADD COLUMN traceparent text NOT NULL DEFAULT '';
