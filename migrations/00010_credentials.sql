-- The hints of credentials, the end of user tokens, and whether an e-mail address is verified. The default of each new column
-- is right for the rows of the previous version, and for the rows that it adds while both versions run.

-- +goose Up

-- How many characters of a secret follow its hint. The previous version stored the four characters before the checksum.
ALTER TABLE client_secrets ADD COLUMN hint_after INTEGER NOT NULL DEFAULT 6;

ALTER TABLE user_families ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
ALTER TABLE user_families ADD COLUMN ip TEXT NOT NULL DEFAULT '';
ALTER TABLE user_families ADD COLUMN ends_at BIGINT; -- NULL: 90 days after created_at
CREATE INDEX user_families_user ON user_families (user_id) WHERE user_id <> '' AND ended_at IS NULL;

-- NULL: the address is not verified. Addresses that the operator entered count as verified, as far as the audit log still
-- shows it; only the command line creates users with access to the operator's pages.
ALTER TABLE users ADD COLUMN email_verified_at BIGINT;
UPDATE users SET email_verified_at = created_at
WHERE bot = 0 AND (operator = 1 OR id IN (SELECT e.subject FROM audit_events e WHERE e.kind = 'user.created' AND e.actor_kind = 'operator'));
