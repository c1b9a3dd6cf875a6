-- What a database knows of itself. "transaction_id" and "database_oid" are written by the server on Postgres and tell
-- whether the rows came here by a dump. "oldest_version" is written by a migration that contracts the schema: a release that
-- does not know the migration of that number must not use the database any more.

-- +goose Up
CREATE TABLE database_facts (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
