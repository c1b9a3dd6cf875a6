package sqlstore

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// Values travel as int64, string, []byte and NULL, which both drivers treat alike.

// at writes a time as a column holds it: microseconds, NULL for never.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// flag writes a truth value.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// optional writes a lookup id, NULL for the zero one.
func optional(id store.LookupID) any {
	if id == (store.LookupID{}) {
		return nil
	}
	return id[:]
}

// The scan functions return the destination of one column. Each destination is the field itself under a type that pgx
// fills from the binary value (ScanInt64, ScanText, ScanBytes) and database/sql from the driver's value (Scan), so that a
// row costs no allocation but those of its strings. All of them read NULL as the zero value.

type timeColumn time.Time

func scanTime(t *time.Time) *timeColumn { return (*timeColumn)(t) }

// ScanInt64 implements pgtype.Int64Scanner.
func (t *timeColumn) ScanInt64(v pgtype.Int8) error {
	if !v.Valid {
		*t = timeColumn{}
		return nil
	}
	*t = timeColumn(time.UnixMicro(v.Int64).UTC())
	return nil
}

// Scan implements sql.Scanner.
func (t *timeColumn) Scan(src any) error {
	v, err := int8Of(src)
	if err != nil {
		return err
	}
	return t.ScanInt64(v)
}

type boolColumn bool

func scanBool(b *bool) *boolColumn { return (*boolColumn)(b) }

// ScanInt64 implements pgtype.Int64Scanner.
func (b *boolColumn) ScanInt64(v pgtype.Int8) error {
	*b = v.Int64 != 0
	return nil
}

// Scan implements sql.Scanner.
func (b *boolColumn) Scan(src any) error {
	v, err := int8Of(src)
	if err != nil {
		return err
	}
	return b.ScanInt64(v)
}

type textColumn string

func scanText(s *string) *textColumn { return (*textColumn)(s) }

func scanRole(r *scope.Role) *textColumn { return (*textColumn)(r) }

// ScanText implements pgtype.TextScanner.
func (s *textColumn) ScanText(v pgtype.Text) error {
	*s = textColumn(v.String)
	return nil
}

// Scan implements sql.Scanner.
func (s *textColumn) Scan(src any) error {
	v, err := textOf(src)
	*s = textColumn(v)
	return err
}

type idColumn store.LookupID

func scanID(id *store.LookupID) *idColumn { return (*idColumn)(id) }

// ScanBytes implements pgtype.BytesScanner.
func (id *idColumn) ScanBytes(v []byte) error {
	if v == nil {
		*id = idColumn{}
		return nil
	}
	if len(v) != len(id) {
		return fmt.Errorf("a lookup id has %d bytes", len(v))
	}
	copy(id[:], v)
	return nil
}

// Scan implements sql.Scanner.
func (id *idColumn) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		return id.ScanBytes(nil)
	case []byte:
		return id.ScanBytes(v)
	}
	return fmt.Errorf("a lookup id is %T", src)
}

type scopesColumn scope.Set

func scanScopes(set *scope.Set) *scopesColumn { return (*scopesColumn)(set) }

// ScanText implements pgtype.TextScanner.
func (c *scopesColumn) ScanText(v pgtype.Text) error {
	set, err := scope.ParseSet(v.String)
	if err != nil {
		return fmt.Errorf("stored scopes: %w", err)
	}
	*c = scopesColumn(set)
	return nil
}

// Scan implements sql.Scanner.
func (c *scopesColumn) Scan(src any) error {
	v, err := textOf(src)
	if err != nil {
		return err
	}
	return c.ScanText(pgtype.Text{String: v, Valid: src != nil})
}

type rolesColumn []scope.Role

func scanRoles(roles *[]scope.Role) *rolesColumn { return (*rolesColumn)(roles) }

// ScanText implements pgtype.TextScanner.
func (c *rolesColumn) ScanText(v pgtype.Text) error {
	*c = nil
	for word := range strings.FieldsSeq(v.String) {
		*c = append(*c, scope.Role(word))
	}
	return nil
}

// Scan implements sql.Scanner.
func (c *rolesColumn) Scan(src any) error {
	v, err := textOf(src)
	if err != nil {
		return err
	}
	return c.ScanText(pgtype.Text{String: v, Valid: src != nil})
}

// int8Of reads an integer of SQLite's driver.
func int8Of(src any) (pgtype.Int8, error) {
	switch v := src.(type) {
	case nil:
		return pgtype.Int8{}, nil
	case int64:
		return pgtype.Int8{Int64: v, Valid: true}, nil
	}
	return pgtype.Int8{}, fmt.Errorf("an integer is %T", src)
}

// textOf reads a text of SQLite's driver.
func textOf(src any) (string, error) {
	switch v := src.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	}
	return "", fmt.Errorf("a text is %T", src)
}
