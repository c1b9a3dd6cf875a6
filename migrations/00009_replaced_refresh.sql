-- A rotated refresh token stays valid until its successor is used. If it is presented again before that, a new successor
-- replaces the unused one, whose row gets the time in replaced_at: presented later, it is refused and does not end the family.

-- +goose Up
ALTER TABLE refresh_tokens ADD COLUMN replaced_at BIGINT;
ALTER TABLE user_refresh_tokens ADD COLUMN replaced_at BIGINT;
