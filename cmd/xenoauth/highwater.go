package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"xenoauth/store"
	"xenoauth/store/sqlstore"
)

// highWaterInterval is how often a server reads the newest audit event. A crash loses no more than this.
const highWaterInterval = 10 * time.Second

// highWater records, outside the database, the newest audit event that a server has seen. A database whose newest event is older was
// restored from a backup, which undoes later revocations.
type highWater struct {
	path  string // "": in memory only
	store *sqlstore.Store
	keep  time.Duration // retention of audit events; 0: no end
	log   *slog.Logger

	mark   time.Time // of the newest event seen
	warned bool
}

// restored returns the evidence that the database is older than the one that was served, and the time of its newest event.
func (h *highWater) restored(ctx context.Context) (why string, newest time.Time, err error) {
	// The mark is read first: a running server may advance it at the same time, but never past the database's newest event.
	if h.mark, err = h.read(); err != nil {
		return "", newest, err
	}
	if newest, err = h.store.NewestEvent(ctx); err != nil {
		return "", newest, err
	}
	if h.older(newest) {
		return fmt.Sprintf("its newest audit event is of %s, and a server has seen one of %s (%s)", jsonTime(newest), jsonTime(h.mark), h.path), newest, nil
	}
	why, err = h.store.Origin(ctx)
	return why, newest, err
}

// older reports whether a database with that newest event lacks one that was seen and that retention has not deleted.
func (h *highWater) older(newest time.Time) bool {
	return newest.Before(h.mark) && (h.keep == 0 || h.store.Now().Sub(h.mark) < h.keep)
}

// check refuses a database that seems to have been restored. If the operator accepts it, an audit event records that.
func (h *highWater) check(ctx context.Context, accept bool) error {
	why, newest, err := h.restored(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("check whether the database was restored: %w", err)
	case why == "":
		err = h.store.RecordOrigin(ctx)
		if errors.Is(err, store.ErrReadOnly) {
			err = nil
		}
	case !accept:
		return fmt.Errorf(`the database is not the one that was served: %s.
It seems to be restored or copied. What was revoked, removed, disabled or changed since it was saved (its newest audit event is of %s UTC) is
undone: such tokens, installations, secrets, users and passwords are valid again. End again what has to end ("xenoauth token revoke",
"app suspend", "user disable", ... work on it), and then start once with --accept-restored-database. A database that was moved as a
whole while no server ran, by pg_upgrade, replication or a dump, has lost nothing`, why, jsonTime(newest))
	default:
		h.log.WarnContext(ctx, "serving a restored database: credentials revoked after its newest audit event are valid again", "reason", why, "newest_event", newest)
		err = h.store.AcceptOrigin(ctx, operator(), why)
		h.mark = time.Time{}
	}
	if err == nil {
		err = h.look(ctx)
	}
	return err
}

// look updates the mark, also in the file. If the database becomes older while the server runs, it logs that once.
func (h *highWater) look(ctx context.Context) error {
	newest, err := h.store.NewestEvent(ctx)
	switch {
	case err != nil:
		return err
	case newest.After(h.mark):
		h.mark, h.warned = newest, false
		return h.write()
	case h.older(newest) && !h.warned:
		h.warned = true
		h.log.ErrorContext(ctx, "the database has lost changes that were acknowledged: was it restored, or did a failover lose them? Credentials revoked since are valid again", "newest_event", newest, "seen_event", h.mark)
	}
	return nil
}

// follow updates the mark until the returned function is called.
func (h *highWater) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(highWaterInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			h.note(ctx)
		}
	}()
	return func() {
		cancel()
		<-done
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		h.note(last)
	}
}

// note is look in the background. It does not log that the database is unavailable, because every request does.
func (h *highWater) note(ctx context.Context) {
	if err := h.look(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
		h.log.WarnContext(ctx, "the newest change of the database is not recorded", "error", err)
	}
}

// read returns the mark in the file, or zero if there is none.
func (h *highWater) read() (time.Time, error) {
	if h.path == "" {
		return time.Time{}, nil
	}
	content, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read the high-water file: %w", err)
	}
	mark, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(content)))
	if err != nil {
		return time.Time{}, fmt.Errorf("the high-water file %s does not contain a time: delete it, or, if it belongs to another program, name another file with --high-water", h.path)
	}
	return mark, nil
}

// write replaces the whole file, so that a reader never sees a partial one.
func (h *highWater) write() error {
	if h.path == "" {
		return nil
	}
	temporary := h.path + ".new"
	err := os.WriteFile(temporary, []byte(h.mark.UTC().Format(time.RFC3339Nano)+"\n"), 0o600)
	if err == nil {
		err = os.Rename(temporary, h.path)
	}
	if err != nil {
		return fmt.Errorf("write the high-water file: %w", err)
	}
	return nil
}

// checkRestored finds a database that is older than the one that was served.
func (r *report) checkRestored(ctx context.Context) error {
	if len(r.Pending) > 0 {
		return nil
	}
	h := &highWater{path: r.serve.highWater, store: r.store, keep: r.serve.options.Retention.Audit}
	why, newest, err := h.restored(ctx)
	if err != nil {
		return err
	}
	if why != "" {
		r.attend("The database is not the one that was served: %s. Credentials revoked after %s (UTC) are valid again: end them again, and start serve once with --accept-restored-database.", why, jsonTime(newest))
	}
	if r.serve.acceptRestored {
		r.attend("--accept-restored-database is set: serve would accept any restored database. Remove the setting: it is for a single start.")
	}
	return nil
}
