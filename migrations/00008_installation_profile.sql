-- Whether the consent page told the user that the app learns their name and e-mail address. Rows of before have 0: they were
-- approved on a page that did not name them, so the app does not learn them until the user approves it again.

-- +goose Up
ALTER TABLE installations ADD COLUMN profile BIGINT NOT NULL DEFAULT 0;
