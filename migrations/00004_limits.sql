-- Counts of failed attempts by key, within a window that ends at until. A key holds no personal data in the clear.
-- Short-lived.

-- +goose Up
CREATE TABLE failures (
    key   TEXT PRIMARY KEY,
    n     BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX failures_until ON failures (until);
