package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Catalogue is a catalogue of scopes as text.
type Catalogue struct {
	Text  string // JSON; "" is the one that is built into the program
	Hash  string // CatalogueHash of the text
	Since time.Time
}

// CatalogueHash identifies a catalogue by its text.
func CatalogueHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// RunningServer is a server that runs, or that stopped without removing its row.
type RunningServer struct {
	ID        string
	Catalogue string // the hash of the catalogue that it uses
	SeenAt    time.Time
}

// Catalogues stores the catalogue of scopes that is in force, for commands and for servers that have no file of their own, and
// the catalogue that each running server uses.
type Catalogues interface {
	// Catalogue returns the catalogue in force. ErrNotFound: no server has set one yet.
	Catalogue(ctx context.Context) (Catalogue, error)
	// SetCatalogue puts a catalogue in force and reports whether another one was in force before. The audit event, which has the
	// detail, is omitted when the first catalogue is the built-in one.
	SetCatalogue(ctx context.Context, by Principal, text, detail string) (changed bool, err error)
	// SeenServer records that a server runs with the catalogue of that hash, and returns the hash of the one in force.
	SeenServer(ctx context.Context, id, hash string) (inForce string, err error)
	// EndServer records that a server has stopped.
	EndServer(ctx context.Context, id string) error
	// RunningServers lists the servers that were seen since that time.
	RunningServers(ctx context.Context, since time.Time) ([]RunningServer, error)
}
