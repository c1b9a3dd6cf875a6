package secret

import (
	"fmt"
	"log/slog"
)

// Text is a string that must not appear in logs: a password, a shared secret,
// a credential in a form. It decodes from JSON like any string and
// encodes as "[redacted]".
//
// Keep it in exported fields: fmt calls no methods on unexported ones. It must
// not be the key of a map that is encoded, nor an operand of %w or %p, which
// go vet reports.
type Text string

// Reveal returns the string itself.
func (t Text) Reveal() string { return string(t) }

// String returns "[redacted]".
func (Text) String() string { return redacted }

// GoString returns "[redacted]".
func (Text) GoString() string { return redacted }

// Format prints "[redacted]" whatever the verb.
func (Text) Format(s fmt.State, _ rune) { writeRedacted(s) }

// LogValue logs "[redacted]".
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", and so do JSON and XML.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
