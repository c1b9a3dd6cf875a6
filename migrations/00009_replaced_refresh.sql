-- A refresh token stays good until its successor is used. When it is presented again before that, a new successor takes
-- the place of the unused one, whose row keeps the time: presented later, it is refused and ends nothing.

-- +goose Up
ALTER TABLE refresh_tokens ADD COLUMN replaced_at BIGINT;
ALTER TABLE user_refresh_tokens ADD COLUMN replaced_at BIGINT;
