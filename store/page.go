package store

import (
	"context"
	"time"
)

// FormKept is how long a form that was carried out is remembered.
const FormKept = time.Hour

// PageValue is a small value that pages keep for one browser. Its id is a hash of what only that browser knows.
type PageValue struct {
	ID        []byte
	Subject   string // such as the id of the thing that a form made
	Sealed    []byte // sealed under the browser's secret; nil for a form that was carried out
	CreatedAt time.Time
	ExpiresAt time.Time
}

// PageValues keeps values for pages. Values for forms are kept by the writes that the forms cause (Principal.WithForm).
type PageValues interface {
	// KeepPageValue stores v. ErrConflict: there is one of that id.
	KeepPageValue(ctx context.Context, v PageValue) error
	// PageValueByID returns an unexpired value, else ErrNotFound.
	PageValueByID(ctx context.Context, id []byte) (PageValue, error)
	// TakePageValue takes an unexpired sealed value that was not taken, else ErrNotFound. Of any number of concurrent calls one
	// succeeds. It expires at until, if not sooner.
	TakePageValue(ctx context.Context, id []byte, until time.Time) (PageValue, error)
	// ReturnPageValue lets a value be taken again that has not expired. No such value is no error.
	ReturnPageValue(ctx context.Context, id []byte) error
}
