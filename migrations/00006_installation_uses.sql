-- When a token of an installation was last used, whatever has become of that token.

-- +goose Up
CREATE TABLE installation_uses (
    installation_id TEXT PRIMARY KEY,
    used_at         BIGINT NOT NULL
);
