-- Answers to forms, repeated if the form is sent twice, and values that a page shows once. Short-lived.

-- +goose Up

-- The user that the consent page was shown to; "allow ACCOUNT" or "deny" once it was decided; and the address to which the
-- browser was sent then, sealed under the page's own id.
ALTER TABLE requests ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN decision TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN answer BYTEA;

-- A completed form (id is a hash of the form, its values and its session; subject is the id of the object that it created
-- or ended), or a secret to show once (sealed under a key that only the browser has).
CREATE TABLE page_values (
    id         BYTEA PRIMARY KEY,
    subject    TEXT NOT NULL,
    sealed     BYTEA,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX page_values_expired ON page_values (expires_at) WHERE expires_at > 0;
