-- Both databases accept this text. Times are BIGINT, Unix microseconds in UTC, NULL for never. Booleans are INTEGER 0 or 1.
-- Scopes are separated by spaces. A lookup id has 16 bytes and is time-ordered, so that new rows are stored side by side.
-- Tables of credentials have no foreign keys, and only partial indexes beside their primary key.
--
-- The condition of a partial index also names its first column: c <> '' is true for every indexed row, and prevents
-- statements without that condition from using the index. Otherwise Postgres scans a whole partial index while it is small,
-- and keeps that plan when the table has grown.

-- +goose Up
CREATE TABLE users (
    id          TEXT PRIMARY KEY,
    email       TEXT NOT NULL UNIQUE, -- also of deleted users: an address is never reused
    name        TEXT NOT NULL,
    password    TEXT NOT NULL,
    operator    INTEGER NOT NULL,
    created_at  BIGINT NOT NULL,
    password_at BIGINT,
    disabled_at BIGINT,
    deleted_at  BIGINT
);

CREATE TABLE accounts (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    plan        TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT,
    deleted_at  BIGINT
);

CREATE TABLE members (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_id    TEXT NOT NULL REFERENCES users (id),
    role       TEXT NOT NULL,
    joined_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE apps (
    id            TEXT PRIMARY KEY, -- the client id; deleted apps keep theirs
    account_id    TEXT NOT NULL REFERENCES accounts (id),
    created_by    TEXT NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    homepage      TEXT NOT NULL,
    logo_url      TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    confidential  INTEGER NOT NULL,
    expiring      INTEGER NOT NULL,
    pkce_required INTEGER NOT NULL,
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    verified_at   BIGINT,
    suspended_at  BIGINT,
    deleted_at    BIGINT
);
CREATE INDEX apps_account ON apps (account_id) WHERE account_id <> '' AND deleted_at IS NULL;

CREATE TABLE app_redirect_uris (
    app_id   TEXT NOT NULL REFERENCES apps (id),
    position INTEGER NOT NULL,
    uri      TEXT NOT NULL,
    PRIMARY KEY (app_id, position)
);

CREATE TABLE resource_servers (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    removed_at BIGINT
);

-- Secrets of apps and of resource servers.
CREATE TABLE client_secrets (
    id         BYTEA PRIMARY KEY,
    client_id  TEXT NOT NULL,
    hash       BYTEA NOT NULL,
    hint       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX client_secrets_client ON client_secrets (client_id) WHERE client_id <> '' AND revoked_at IS NULL;

-- Authorization requests that wait for the user. Short-lived.
CREATE TABLE requests (
    id            BYTEA PRIMARY KEY,
    hash          BYTEA NOT NULL,
    session       BYTEA,
    app_id        TEXT NOT NULL,
    redirect_uri  TEXT NOT NULL,
    redirect_sent INTEGER NOT NULL,
    scope         TEXT NOT NULL,
    scope_asked   TEXT NOT NULL,
    state         TEXT NOT NULL,
    challenge     TEXT NOT NULL,
    resource      TEXT NOT NULL,
    prompt        TEXT NOT NULL,
    fault         TEXT NOT NULL,
    fault_detail  TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    decided_at    BIGINT
);

CREATE TABLE installations (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    app_id     TEXT NOT NULL REFERENCES apps (id),
    scopes     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE UNIQUE INDEX installations_live ON installations (user_id, account_id, app_id) WHERE user_id <> '' AND removed_at IS NULL;
CREATE INDEX installations_account ON installations (account_id) WHERE account_id <> '' AND removed_at IS NULL;
CREATE INDEX installations_app ON installations (app_id) WHERE app_id <> '' AND removed_at IS NULL;

-- Authorization codes. Short-lived. A row names the token or family that its code produced, so that a replay finds it by key.
CREATE TABLE codes (
    id              BYTEA PRIMARY KEY,
    hash            BYTEA NOT NULL,
    app_id          TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    account_id      TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    redirect_uri    TEXT NOT NULL,
    redirect_sent   INTEGER NOT NULL,
    scope           TEXT NOT NULL,
    scope_asked     TEXT NOT NULL,
    challenge       TEXT NOT NULL,
    resource        TEXT NOT NULL,
    tries           INTEGER NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    ended_at        BIGINT,
    consumed_at     BIGINT,
    token_id        BYTEA,
    family_id       BYTEA
);
CREATE INDEX codes_user ON codes (user_id) WHERE user_id <> '' AND consumed_at IS NULL AND ended_at IS NULL;

-- Access tokens that never expire. Long-lived.
CREATE TABLE tokens (
    id              BYTEA PRIMARY KEY,
    hash            BYTEA NOT NULL,
    app_id          TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    scope           TEXT NOT NULL,
    resource        TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    revoked_at      BIGINT
);
CREATE INDEX tokens_installation ON tokens (installation_id) WHERE installation_id <> '' AND revoked_at IS NULL;

-- Access tokens that expire. Short-lived. Client-credentials tokens have neither an installation nor a family.
CREATE TABLE expiring_tokens (
    id              BYTEA PRIMARY KEY,
    hash            BYTEA NOT NULL,
    app_id          TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    family_id       BYTEA,
    scope           TEXT NOT NULL,
    resource        TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    revoked_at      BIGINT
);
CREATE INDEX expiring_tokens_installation ON expiring_tokens (installation_id) WHERE installation_id <> '';

-- A family is the chain of refresh tokens that starts with one redeemed code.
CREATE TABLE families (
    id              BYTEA PRIMARY KEY,
    app_id          TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    scope           TEXT NOT NULL,
    scope_asked     TEXT NOT NULL,
    resource        TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    ended_at        BIGINT
);
CREATE INDEX families_installation ON families (installation_id) WHERE installation_id <> '' AND ended_at IS NULL;

CREATE TABLE refresh_tokens (
    id           BYTEA PRIMARY KEY,
    hash         BYTEA NOT NULL,
    family_id    BYTEA NOT NULL,
    previous_id  BYTEA, -- the token that this one replaced
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    rotated_at   BIGINT,
    sealed       BYTEA,
    sealed_until BIGINT
);
-- Unique: a family has at most one current token.
CREATE UNIQUE INDEX refresh_tokens_current ON refresh_tokens (family_id) WHERE family_id <> '' AND rotated_at IS NULL;

CREATE TABLE sessions (
    id         BYTEA PRIMARY KEY,
    user_id    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    user_agent TEXT NOT NULL,
    ip         TEXT NOT NULL,
    data       BYTEA
);
CREATE INDEX sessions_user ON sessions (user_id);

-- When a credential was last used. A table of its own, so that using a credential does not write its row.
CREATE TABLE last_used (
    id      BYTEA PRIMARY KEY,
    used_at BIGINT NOT NULL
);

CREATE TABLE audit_events (
    id              BYTEA PRIMARY KEY,
    at              BIGINT NOT NULL,
    kind            TEXT NOT NULL,
    actor_kind      TEXT NOT NULL,
    actor_id        TEXT NOT NULL,
    actor_ip        TEXT NOT NULL,
    account_id      TEXT NOT NULL,
    app_id          TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    subject         TEXT NOT NULL,
    detail          TEXT NOT NULL
);
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_account ON audit_events (account_id, at) WHERE account_id <> '';
CREATE INDEX audit_events_app ON audit_events (app_id, at) WHERE app_id <> '';

-- The symmetric keys of the server itself.
CREATE TABLE server_keys (
    name       TEXT PRIMARY KEY,
    value      BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
