package scope

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The default catalogue: four scopes, and the matrix of 40 rows.
//
//go:embed catalogue.json
var defaultFile string

const maxFile = 1 << 20

// Default parses and returns the embedded catalogue. Call it once.
func Default() *Catalogue {
	c, err := LoadCatalogue(strings.NewReader(defaultFile))
	if err != nil {
		panic(fmt.Sprintf("scope: the embedded catalogue: %v", err))
	}
	return c
}

// file is a decoded scopes file. A part that is absent is nil.
type file struct {
	scopes []Scope
	roles  []RoleInfo
	matrix []Row
	faults faults
}

// LoadCatalogue reads a scopes file (docs/scopes-file.md). "scopes" is required.
// "roles" and "matrix" default to those of the embedded catalogue, so that a file
// that adds a scope need not copy them.
//
// The error joins all faults, each with the scope or row and the field: unknown or
// duplicate fields, wrong types, names that are not scope tokens or are already
// taken (by a scope, an alias or a role), implied scopes that are unknown or form a
// cycle, unknown permissions, roles that do not cascade.
func LoadCatalogue(r io.Reader) (*Catalogue, error) {
	f, err := readFile(r)
	if err != nil {
		return nil, err
	}
	if f.roles == nil || f.matrix == nil {
		standard, err := readFile(strings.NewReader(defaultFile))
		if err != nil {
			return nil, err
		}
		if f.roles == nil {
			f.roles = standard.roles
		}
		if f.matrix == nil {
			f.matrix = standard.matrix
		}
	}
	f.checkScopes()
	f.checkImplied()
	f.checkRoles()
	f.checkMatrix()
	if err := errors.Join(f.faults...); err != nil {
		return nil, err
	}
	return f.catalogue(), nil
}

// catalogue builds the indexes of a file without faults.
func (f *file) catalogue() *Catalogue {
	c := &Catalogue{
		scopes: f.scopes, roles: f.roles, matrix: f.matrix,
		numbering:   newNumbering(),
		index:       map[string]int{},
		scopeGrants: make([]permissionSet, len(f.scopes)),
		roleGrants:  make([]permissionSet, len(Roles())+1),
	}
	for i, s := range f.scopes {
		c.index[s.Name] = i
		for _, alias := range s.Aliases {
			c.index[alias] = i
		}
	}
	for i, s := range f.scopes {
		for _, name := range c.Expand(Set{[]string{s.Name}}).names {
			c.scopeGrants[i] |= c.numbering.set(f.scopes[c.index[name]].Permissions)
		}
	}
	for _, row := range f.matrix {
		for _, role := range row.Roles {
			c.roleGrants[role.Rank()] |= c.numbering.set(row.Permissions)
		}
	}
	return c
}

// faults collects the errors of a file.
type faults []error

func (f *faults) add(where, field, format string, args ...any) {
	if field != "" {
		where += ": " + field
	}
	*f = append(*f, fmt.Errorf("scope catalogue: %s: %s", where, fmt.Sprintf(format, args...)))
}

// readFile decodes field by field, so that one wrong field does not hide the
// next. It returns an error only for text that is not JSON.
func readFile(r io.Reader) (*file, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read scope catalogue: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("read scope catalogue: more than %d bytes", maxFile)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("read scope catalogue: not UTF-8")
	}
	var top json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
			return nil, fmt.Errorf("read scope catalogue: line %d: %w", line, err)
		}
		return nil, fmt.Errorf("read scope catalogue: %w", err)
	}
	f := &file{}
	var scopes, roles, matrix []json.RawMessage
	f.object("file", top, map[string]any{"scopes": &scopes, "roles": &roles, "matrix": &matrix})
	if roles != nil { // an empty list is an error and does not select the default
		f.roles = []RoleInfo{}
	}
	if matrix != nil {
		f.matrix = []Row{}
	}
	for i, raw := range scopes {
		f.readScope(i, raw)
	}
	for i, raw := range roles {
		var info RoleInfo
		f.object(fmt.Sprintf("role %d", i+1), raw, map[string]any{
			"name": (*string)(&info.Role), "title": &info.Title, "description": &info.Description,
		})
		f.roles = append(f.roles, info)
	}
	for i, raw := range matrix {
		f.readRow(i, raw)
	}
	return f, nil
}

func (f *file) readScope(i int, raw json.RawMessage) {
	var s Scope
	var permissions []string
	f.object(nameOf(raw, "name", "scope", i), raw, map[string]any{
		"name": &s.Name, "title": &s.Title, "description": &s.Description,
		"sensitivity": (*string)(&s.Sensitivity), "aliases": &s.Aliases, "implies": &s.Implies,
		"needs_user": &s.NeedsUser, "permissions": &permissions, "note": &s.Note,
	})
	for _, p := range permissions {
		s.Permissions = append(s.Permissions, Permission(p))
	}
	f.scopes = append(f.scopes, s)
}

func (f *file) readRow(i int, raw json.RawMessage) {
	var row Row
	var permissions, roles []string
	f.object(nameOf(raw, "row", "row", i), raw, map[string]any{
		"row": &row.Name, "permissions": &permissions, "roles": &roles,
	})
	for _, p := range permissions {
		row.Permissions = append(row.Permissions, Permission(p))
	}
	for _, r := range roles {
		row.Roles = append(row.Roles, Role(r))
	}
	f.matrix = append(f.matrix, row)
}

// nameOf identifies an entry in error messages, before the entry is validated.
func nameOf(raw json.RawMessage, key, what string, i int) string {
	var fields map[string]json.RawMessage
	var name string
	if json.Unmarshal(raw, &fields) == nil && json.Unmarshal(fields[key], &name) == nil {
		return entry(what, name, i)
	}
	return entry(what, "", i)
}

func entry(what, name string, i int) string {
	if name == "" {
		return fmt.Sprintf("%s %d (unnamed)", what, i+1)
	}
	return fmt.Sprintf("%s %q", what, name)
}

// object decodes the fields of one JSON object into targets. The caller has
// checked the syntax. Unlike encoding/json it matches field names by case and
// reports duplicates.
func (f *file) object(where string, raw json.RawMessage, targets map[string]any) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		f.faults.add(where, "", "must be an object")
		return
	}
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			f.faults.add(where, "", "%v", err)
			return
		}
		key := fmt.Sprint(tok)
		target, known := targets[key]
		switch {
		case !known:
			f.faults.add(where, fmt.Sprintf("%q", key), "unknown field")
		case seen[key]:
			f.faults.add(where, key, "duplicate field")
		case json.Unmarshal(value, target) != nil:
			f.faults.add(where, key, "must be %s", shape(target))
		}
		seen[key] = true
	}
}

func shape(target any) string {
	switch target.(type) {
	case *string:
		return "a string"
	case *bool:
		return "true or false"
	case *[]string:
		return "a list of strings"
	}
	return "a list"
}
