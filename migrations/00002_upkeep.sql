-- The sweep finds ended rows by the time of their end. The conditions (> 0 is true of every time) prevent other statements
-- from using these indexes, such as look-ups by key that also compare the time.

-- +goose Up
CREATE INDEX requests_expired ON requests (expires_at) WHERE expires_at > 0;
CREATE INDEX codes_expired ON codes (expires_at) WHERE expires_at > 0;
CREATE INDEX sessions_expired ON sessions (expires_at) WHERE expires_at > 0;
CREATE INDEX expiring_tokens_expired ON expiring_tokens (expires_at) WHERE expires_at > 0;
CREATE INDEX refresh_tokens_expired ON refresh_tokens (expires_at) WHERE expires_at > 0;
CREATE INDEX tokens_revoked ON tokens (revoked_at) WHERE revoked_at > 0;
CREATE INDEX client_secrets_revoked ON client_secrets (revoked_at) WHERE revoked_at > 0;
CREATE INDEX client_secrets_expired ON client_secrets (expires_at) WHERE expires_at > 0;
CREATE INDEX families_ended ON families (ended_at) WHERE ended_at > 0;

-- All refresh tokens of a family. They are deleted together.
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id) WHERE family_id <> '';
