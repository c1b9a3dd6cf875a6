-- The catalogue of scopes that the servers use, so that commands can read it without the file. At most one row. An empty
-- text is the catalogue that is built into the program.

-- +goose Up
CREATE TABLE catalogue (
    id    INTEGER PRIMARY KEY,
    text  TEXT NOT NULL,
    hash  TEXT NOT NULL,
    since BIGINT NOT NULL
);

-- The running servers, each with the catalogue that it started with.
CREATE TABLE servers (
    id        TEXT PRIMARY KEY,
    catalogue TEXT NOT NULL,
    seen_at   BIGINT NOT NULL
);
