-- A verification ends when the developer changes the app that the operator verified, and users approve every origin to which the
-- app sends them.

-- +goose Up
ALTER TABLE apps ADD COLUMN unverified_at BIGINT; -- when the verification last ended; NULL while verified, or never verified
ALTER TABLE apps ADD COLUMN unverified_for TEXT NOT NULL DEFAULT ''; -- the fields that the developer changed; '' if an operator withdrew it

-- The origins of redirect URIs that the user approved with the app, separated by spaces. Older rows have none, so their
-- users are asked once more.
ALTER TABLE installations ADD COLUMN redirects TEXT NOT NULL DEFAULT '';

-- A fingerprint of the app as the consent page showed it; '' is not compared.
ALTER TABLE requests ADD COLUMN app_seen TEXT NOT NULL DEFAULT '';

-- All verified apps, whose names no other app may imitate.
CREATE INDEX apps_verified ON apps (verified_at) WHERE verified_at > 0;
