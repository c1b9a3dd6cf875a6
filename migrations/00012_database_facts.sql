-- Facts about the database. On Postgres the server writes "transaction_id" and "database_oid", which show whether the rows
-- were restored from a dump. A migration that contracts the schema writes "oldest_version": a release that does not know the
-- migration of that number must not use the database any more.

-- +goose Up
CREATE TABLE database_facts (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
