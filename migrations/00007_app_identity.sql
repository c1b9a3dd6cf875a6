-- What an operator vouched for ends when an app's developer changes it, and people approve each place that they are sent to.

-- +goose Up
ALTER TABLE apps ADD COLUMN unverified_at BIGINT; -- when the verification last ended; NULL while verified, or never verified
ALTER TABLE apps ADD COLUMN unverified_for TEXT NOT NULL DEFAULT ''; -- what a developer had changed; '' when an operator took it back

-- The origins of redirect URIs that the user approved with the app, separated by spaces. Rows of before have none, so that
-- their users are asked once more.
ALTER TABLE installations ADD COLUMN redirects TEXT NOT NULL DEFAULT '';

-- What the app was when the consent page showed it; '' is not compared.
ALTER TABLE requests ADD COLUMN app_seen TEXT NOT NULL DEFAULT '';

-- All verified apps, whose names no other app may imitate.
CREATE INDEX apps_verified ON apps (verified_at) WHERE verified_at > 0;
