-- When any token of an installation was last used. The row stays when that token is deleted.

-- +goose Up
CREATE TABLE installation_uses (
    installation_id TEXT PRIMARY KEY,
    used_at         BIGINT NOT NULL
);
