-- migrate:up
-- alter table customers add column note text;

-- migrate:down
-- alter table customers drop column note;
