package sqlstore

import (
	"fmt"
	"time"

	"xenoauth/internal/scope"
	"xenoauth/store"
)

// Values travel as int64, string, []byte and NULL, which both drivers treat alike. A destination below takes NULL as
// the zero value.

// at writes a time as a column has it: microseconds, NULL for never.
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

// destination reads one column.
type destination func(src any) error

func (d destination) Scan(src any) error { return d(src) }

func toTime(t *time.Time) destination {
	return func(src any) error {
		switch v := src.(type) {
		case nil:
			*t = time.Time{}
		case int64:
			*t = time.UnixMicro(v).UTC()
		default:
			return fmt.Errorf("a time is %T", src)
		}
		return nil
	}
}

func toBool(b *bool) destination {
	return func(src any) error {
		switch v := src.(type) {
		case nil:
			*b = false
		case int64:
			*b = v != 0
		default:
			return fmt.Errorf("a truth value is %T", src)
		}
		return nil
	}
}

func toText(s *string) destination {
	return func(src any) error {
		switch v := src.(type) {
		case nil:
			*s = ""
		case string:
			*s = v
		case []byte:
			*s = string(v)
		default:
			return fmt.Errorf("a text is %T", src)
		}
		return nil
	}
}

func toID(id *store.LookupID) destination {
	return func(src any) error {
		switch v := src.(type) {
		case nil:
			*id = store.LookupID{}
		case []byte:
			if len(v) != len(id) {
				return fmt.Errorf("a lookup id has %d bytes", len(v))
			}
			copy(id[:], v)
		default:
			return fmt.Errorf("a lookup id is %T", src)
		}
		return nil
	}
}

func toScopes(set *scope.Set) destination {
	return func(src any) error {
		var s string
		if err := toText(&s)(src); err != nil {
			return err
		}
		parsed, err := scope.ParseSet(s)
		if err != nil {
			return fmt.Errorf("stored scopes: %w", err)
		}
		*set = parsed
		return nil
	}
}

func toRole(r *scope.Role) destination {
	return func(src any) error {
		var s string
		if err := toText(&s)(src); err != nil {
			return err
		}
		*r = scope.Role(s)
		return nil
	}
}
