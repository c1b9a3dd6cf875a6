-- What repeats the answer of a form that is sent twice, and what a page shows once. Short-lived.

-- +goose Up

-- Who was shown a consent page; "allow ACCOUNT" or "deny" once it was answered; and the address to which the answer sent the
-- browser, sealed under the page's own id.
ALTER TABLE requests ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN decision TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN answer BYTEA;

-- A form that was carried out (id is a hash of the form, its values and its session; subject is the id of what it made or
-- ended), or a secret to show once (sealed under a key that only the browser has).
CREATE TABLE page_values (
    id         BYTEA PRIMARY KEY,
    subject    TEXT NOT NULL,
    sealed     BYTEA,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX page_values_expired ON page_values (expires_at) WHERE expires_at > 0;
