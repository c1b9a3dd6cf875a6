package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/internal/secret"
	"xenoauth/store"
)

// builtinScopes is the value of --scopes for the built-in catalogue. Without --scopes, the stored catalogue is used.
const builtinScopes = "builtin"

// scopesChoice is the value of --scopes.
type scopesChoice struct {
	given     bool
	text      string // compact JSON; "" for the built-in catalogue
	catalogue *scope.Catalogue
}

func (c scopesChoice) hash() string { return store.CatalogueHash(c.text) }

// catalogue is the built-in catalogue of scopes or the one in a file.
func (s *settings) catalogue() scopesChoice {
	path := s.text("scopes")
	if path == "" || path == builtinScopes {
		return scopesChoice{given: path != "", catalogue: scope.Default()}
	}
	content, err := readAtMost(path, 2<<20)
	if err != nil {
		s.fault("scopes", "cannot read the catalogue: %v (for the scopes of one app, use --scope)", err)
		return scopesChoice{}
	}
	c, err := parseCatalogue(content)
	if err != nil {
		s.fault("scopes", "the catalogue %s is invalid:\n    %s", path, strings.ReplaceAll(err.Error(), "\n", "\n    "))
	}
	return c
}

func readAtMost(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most))
}

// parseCatalogue reads a catalogue. White space makes no difference when catalogues are compared.
func parseCatalogue(content []byte) (scopesChoice, error) {
	c, err := scope.LoadCatalogue(bytes.NewReader(content))
	if err != nil {
		return scopesChoice{}, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, content); err != nil {
		return scopesChoice{}, err
	}
	return scopesChoice{given: true, text: compact.String(), catalogue: c}, nil
}

// storedCatalogue returns the catalogue in force; found is false if no server has stored one.
func storedCatalogue(ctx context.Context, st store.Catalogues) (c scopesChoice, since time.Time, found bool, err error) {
	stored, err := st.Catalogue(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return scopesChoice{catalogue: scope.Default()}, time.Time{}, false, nil
	case err != nil:
		return scopesChoice{}, time.Time{}, false, err
	case stored.Text == "":
		return scopesChoice{catalogue: scope.Default()}, stored.Since, true, nil
	}
	if c, err = parseCatalogue([]byte(stored.Text)); err != nil {
		return c, stored.Since, true, fmt.Errorf("the catalogue of scopes in force is invalid for this release: start serve with another one (--scopes): %w", err)
	}
	return c, stored.Since, true, nil
}

// knownCatalogue returns the catalogue in force, which commands use. --scopes may only name the same one, unless no server has
// stored any: with another catalogue, a command could register scopes that the server does not know.
func knownCatalogue(ctx context.Context, st store.Catalogues, c scopesChoice) (*scope.Catalogue, error) {
	stored, since, found, err := storedCatalogue(ctx, st)
	switch {
	case found && c.given && c.hash() != stored.hash() && err == nil:
		return nil, fmt.Errorf("--scopes names another catalogue than the one in force since %s UTC (%s): leave it out, or start serve with it first",
			jsonTime(since), compareScopes(stored.catalogue, c.catalogue))
	case err != nil:
		return nil, err
	case found:
		return stored.catalogue, nil
	}
	return c.catalogue, nil
}

// serverCatalogue returns the catalogue that --scopes names, and otherwise the one in force, so that a server without the file does
// not change it. changes is empty if the catalogue is already in force.
func serverCatalogue(ctx context.Context, st store.Catalogues, c scopesChoice, log *slog.Logger) (chosen scopesChoice, changes string, err error) {
	stored, since, found, err := storedCatalogue(ctx, st)
	switch {
	case err != nil && (!c.given || errors.Is(err, store.ErrUnavailable)):
		return c, "", err
	case err != nil:
		return c, "the former one could not be read", nil
	case !found:
		return c, compareScopes(stored.catalogue, c.catalogue), nil
	case !c.given && stored.text != "":
		log.InfoContext(ctx, "the catalogue of scopes is the one kept in the database, because --scopes names none", "since", since,
			"scopes", strings.Join(stored.catalogue.Names(), " "))
		return stored, "", nil
	case !c.given || c.hash() == stored.hash():
		return c, "", nil
	}
	return c, compareScopes(stored.catalogue, c.catalogue), nil
}

// putInForce stores the catalogue for commands and for other servers.
func putInForce(ctx context.Context, st store.Catalogues, c scopesChoice, changes string, log *slog.Logger) error {
	if changes == "" {
		return nil
	}
	changed, err := st.SetCatalogue(ctx, operator(), c.text, changes)
	if err != nil {
		return fmt.Errorf("store the catalogue of scopes: %w", err)
	}
	if changed {
		log.InfoContext(ctx, "the catalogue of scopes has changed; restart the servers that run with another one", "changes", changes)
	}
	return nil
}

// compareScopes returns the scopes that only one of two catalogues has.
func compareScopes(from, to *scope.Catalogue) string {
	missing := func(in, from *scope.Catalogue) (names []string) {
		for _, name := range from.Names() {
			if !slices.Contains(in.Names(), name) {
				names = append(names, name)
			}
		}
		return names
	}
	var changes []string
	if added := missing(from, to); len(added) > 0 {
		changes = append(changes, "scopes added: "+strings.Join(added, " "))
	}
	if removed := missing(to, from); len(removed) > 0 {
		changes = append(changes, "scopes removed: "+strings.Join(removed, " "))
	}
	if len(changes) == 0 {
		return "the same scopes, with another description or permissions"
	}
	return strings.Join(changes, "; ")
}

const (
	// seenEvery is how often a server records that it is running.
	seenEvery = time.Minute
	// seenWithin is the maximum age of a running server's record.
	seenWithin = 3 * seenEvery
)

// watchCatalogue records, until ctx ends, that this server runs with a catalogue, and logs when another one comes into force. The
// server keeps its own: a page that a user has read must not change its meaning when the user submits it.
func watchCatalogue(ctx context.Context, st store.Catalogues, c scopesChoice, every time.Duration, log *slog.Logger) {
	id, seen := secret.NewPublicID("srv_"), c.hash()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = st.EndServer(ctx, id) // the record expires
	}()
	for {
		if inForce, err := st.SeenServer(ctx, id, c.hash()); err == nil && inForce != seen {
			if seen = inForce; inForce != c.hash() {
				log.WarnContext(ctx, "another catalogue of scopes is in force than this server has: restart it, with the same --scopes as the others or without")
			}
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}
