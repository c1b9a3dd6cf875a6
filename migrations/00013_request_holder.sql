-- The holder under which requests are counted and limited, so that one client cannot fill the table: a keyed hash of the
-- client's network while the request waits for a log-in, and a hash of the session once a consent page shows it.

-- +goose Up
ALTER TABLE requests ADD COLUMN holder TEXT NOT NULL DEFAULT '';
CREATE INDEX requests_holder ON requests (holder, created_at) WHERE holder <> '';
