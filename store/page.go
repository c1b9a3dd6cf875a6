package store

import (
	"context"
	"time"
)

// FormKept is how long the key of a form that was carried out is stored.
const FormKept = time.Hour

// PageValue is a small value that pages store for one browser. Its id is a hash of a value that only that browser has.
type PageValue struct {
	ID        []byte
	Subject   string // such as the id of the object that a form created
	Sealed    []byte // sealed under the browser's secret; nil for a form that was carried out
	CreatedAt time.Time
	ExpiresAt time.Time
}

// PageValues stores values for pages. The keys of forms are stored by the writes that the forms cause (Principal.WithForm).
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
