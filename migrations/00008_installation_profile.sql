-- Whether the consent page listed name and e-mail address among the data that the app receives. Older rows have 0: the page
-- that the user approved did not list them, so the app does not receive them until the user approves it again.

-- +goose Up
ALTER TABLE installations ADD COLUMN profile BIGINT NOT NULL DEFAULT 0;
