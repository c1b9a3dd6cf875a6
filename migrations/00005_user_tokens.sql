-- User tokens (docs/dialects.md, User tokens) and the keys that sign them.

-- +goose Up

-- A key signs from active_from until its successor does. The row stays after that, without the private key, so that an
-- expired token can be distinguished from one that this server never signed.
CREATE TABLE signing_keys (
    kid         TEXT PRIMARY KEY,
    follows     TEXT NOT NULL UNIQUE, -- the kid of the previous key, '' for the first: no key has two successors
    alg         TEXT NOT NULL,
    public_key  BYTEA NOT NULL,
    private_key BYTEA NOT NULL,       -- sealed; empty once retired
    created_at  BIGINT NOT NULL,
    active_from BIGINT NOT NULL,
    retire_at   BIGINT                -- NULL while it has no successor
);

-- A family is the chain of token pairs that starts with one log-in by a program. It ends with the user or the membership,
-- and with the credential of that log-in: the password, identified by the time when it was set, or the secret of a bot.
CREATE TABLE user_families (
    id          BYTEA PRIMARY KEY,
    user_id     TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    secret_id   BYTEA,
    password_at BIGINT NOT NULL, -- 0 for never
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX user_families_ended ON user_families (ended_at) WHERE ended_at > 0;

-- A token pair: the row of the refresh token also has the hash of the access token issued with it. Short-lived.
CREATE TABLE user_refresh_tokens (
    id           BYTEA PRIMARY KEY,
    hash         BYTEA NOT NULL,
    token_hash   BYTEA NOT NULL, -- of the access token
    family_id    BYTEA NOT NULL,
    previous_id  BYTEA,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    rotated_at   BIGINT,
    sealed       BYTEA,
    sealed_until BIGINT
);
-- Unique: a family has at most one current pair.
CREATE UNIQUE INDEX user_refresh_tokens_current ON user_refresh_tokens (family_id) WHERE family_id <> '' AND rotated_at IS NULL;
CREATE INDEX user_refresh_tokens_family ON user_refresh_tokens (family_id) WHERE family_id <> '';
CREATE INDEX user_refresh_tokens_expired ON user_refresh_tokens (expires_at) WHERE expires_at > 0;
