-- API keys and bots of accounts, and the short-lived tokens that their secrets are exchanged for. The secrets are rows of
-- client_secrets, with client ids that start with key_ and bot_.

-- +goose Up
ALTER TABLE users ADD COLUMN bot INTEGER NOT NULL DEFAULT 0;

CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_id    TEXT NOT NULL, -- a key with roles acts for this user; '' without roles
    roles      TEXT NOT NULL, -- '': an account API key, which can only be exchanged for integration tokens
    name       TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX api_keys_account ON api_keys (account_id) WHERE account_id <> '' AND revoked_at IS NULL;

-- A bot is also a row of users, which is the one that ends it. These are its other columns.
CREATE TABLE bots (
    id         TEXT PRIMARY KEY REFERENCES users (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    api_key    TEXT NOT NULL UNIQUE,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX bots_account ON bots (account_id);

-- Integration tokens. Short-lived. They end with the secrets that they were exchanged for.
CREATE TABLE integration_tokens (
    id         BYTEA PRIMARY KEY,
    hash       BYTEA NOT NULL,
    key_id     TEXT NOT NULL,
    key_secret BYTEA NOT NULL,
    bot_id     TEXT NOT NULL, -- '' for an account-wide token
    bot_secret BYTEA,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX integration_tokens_expired ON integration_tokens (expires_at) WHERE expires_at > 0;
