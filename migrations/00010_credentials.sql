-- What is shown of credentials, when user tokens end, and whether an e-mail address is proven. Each new column has a
-- value that is true of the rows of the version before, and of those that it adds while both versions run.

-- +goose Up

-- How many characters of a secret follow its hint. The version before stored the four characters before the checksum.
ALTER TABLE client_secrets ADD COLUMN hint_after INTEGER NOT NULL DEFAULT 6;

ALTER TABLE user_families ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
ALTER TABLE user_families ADD COLUMN ip TEXT NOT NULL DEFAULT '';
ALTER TABLE user_families ADD COLUMN ends_at BIGINT; -- NULL: 90 days after created_at
CREATE INDEX user_families_user ON user_families (user_id) WHERE user_id <> '' AND ended_at IS NULL;

-- NULL: only the person who signed up has stated the address. Proven are addresses that the operator entered, as far as
-- the audit trail still shows it; only the command line makes users who may use the operator's pages.
ALTER TABLE users ADD COLUMN email_verified_at BIGINT;
UPDATE users SET email_verified_at = created_at
WHERE bot = 0 AND (operator = 1 OR id IN (SELECT e.subject FROM audit_events e WHERE e.kind = 'user.created' AND e.actor_kind = 'operator'));
