package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"xenoauth/migrations"
)

const (
	// versionTable records the applied migrations. The name is this program's own, because other programs that migrate with
	// goose may share the database.
	versionTable = "xenoauth_migrations"
	// formerVersionTable is goose's default name, which releases before migration 12 used.
	formerVersionTable = "goose_db_version"
)

// migrationFile is one embedded migration.
type migrationFile struct {
	version int64
	name    string
	tables  []string // created by it
	indexes []string
}

var (
	createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)
	createIndex = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE )?INDEX (\w+)`)
)

// migrationFiles reads the embedded migrations in order.
func migrationFiles() ([]migrationFile, error) {
	entries, err := fs.ReadDir(migrations.FS, ".")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var files []migrationFile
	for _, e := range entries {
		content, err := fs.ReadFile(migrations.FS, e.Name())
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		number, _, _ := strings.Cut(e.Name(), "_")
		f := migrationFile{name: e.Name()}
		if f.version, err = strconv.ParseInt(number, 10, 64); err != nil {
			return nil, fmt.Errorf("read migrations: %s has no number: %w", e.Name(), err)
		}
		for _, found := range createTable.FindAllSubmatch(content, -1) {
			f.tables = append(f.tables, string(found[1]))
		}
		for _, found := range createIndex.FindAllSubmatch(content, -1) {
			f.indexes = append(f.indexes, string(found[1]))
		}
		files = append(files, f)
	}
	return files, nil
}

// schema is the state of a database's migrations.
type schema struct {
	files     []migrationFile
	relations map[string]bool     // tables, indexes and other relations in the schema for new tables
	table     string              // the record of applied migrations; "": there is none yet
	applied   map[int64]time.Time // by version
	oldest    int64               // a release must know this migration to use the database; 0: any release may
}

// readSchema reads the state of the migrations.
func (s *Store) readSchema(ctx context.Context) (*schema, error) {
	files, err := migrationFiles()
	if err != nil {
		return nil, err
	}
	now := &schema{files: files, relations: map[string]bool{}, applied: map[int64]time.Time{}}
	err = s.read().rows(ctx, s.dialect.relations, nil, func(scan scanner) error {
		var name string
		err := scan(&name)
		now.relations[name] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	switch {
	case now.relations[versionTable]:
		now.table = versionTable
	case now.relations[formerVersionTable] && now.has(files[0].tables):
		now.table = formerVersionTable
	default:
		return now, nil
	}
	err = s.read().rows(ctx, `SELECT version_id, tstamp FROM `+now.table+` WHERE version_id > 0`, nil, func(scan scanner) error {
		var version int64
		var at time.Time
		err := scan(&version, &at)
		now.applied[version] = at
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", now.table, err)
	}
	if now.table == formerVersionTable && !now.ours() {
		now.table, now.applied = "", map[int64]time.Time{}
	}
	if _, found := now.applied[factsVersion]; found {
		err := s.read().row(ctx, selectFact, []any{"oldest_version"}, &now.oldest)
		if err != nil && !notFound(err) {
			return nil, fmt.Errorf("read the oldest release that may use the database: %w", err)
		}
	}
	return now, nil
}

// factsVersion is the migration that creates database_facts.
const factsVersion = 12

const selectFact = `SELECT value FROM database_facts WHERE name = $1`

// has reports whether all of the tables exist.
func (now *schema) has(tables []string) bool {
	return !slices.ContainsFunc(tables, func(table string) bool { return !now.relations[table] })
}

// ours reports whether a former table of versions is this program's: the tables of all migrations that it records exist.
func (now *schema) ours() bool {
	if _, found := now.applied[now.files[0].version]; !found {
		return false
	}
	for _, f := range now.files {
		if _, found := now.applied[f.version]; found && !now.has(f.tables) {
			return false
		}
	}
	return true
}

// missing returns the migrations to apply.
func (now *schema) missing() []migrationFile {
	return slices.DeleteFunc(slices.Clone(now.files), func(f migrationFile) bool {
		_, found := now.applied[f.version]
		return found
	})
}

func (now *schema) pending() bool { return len(now.missing()) > 0 }

// newer returns the applied migrations that this release does not know.
func (now *schema) newer() []int64 {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(now.applied)), func(v int64) bool {
		return slices.ContainsFunc(now.files, func(f migrationFile) bool { return f.version == v })
	})
}

// usable returns an error if this release must not use the database any more.
func (now *schema) usable() error {
	if latest := now.files[len(now.files)-1].version; now.oldest > latest {
		return fmt.Errorf("the schema has been contracted for newer releases: it needs one that knows migration %d, and this one knows migrations up to %d. Run the newer release", now.oldest, latest)
	}
	return nil
}

// foreign returns the existing tables and indexes that a pending migration would create.
func (now *schema) foreign() []string {
	var names []string
	for _, f := range now.missing() {
		for _, name := range slices.Concat(f.tables, f.indexes) {
			if now.relations[name] {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// mayMigrate returns the reason why the pending migrations cannot be applied, or nil.
func (s *Store) mayMigrate(ctx context.Context, now *schema) error {
	if err := now.usable(); err != nil {
		return err
	}
	foreign := now.foreign()
	if s.dialect.placement == "" {
		if len(foreign) > 0 {
			return fmt.Errorf("the file holds tables of another program that have the names of Xenoauth's: %s. Nothing was changed. Give Xenoauth a file of its own",
				strings.Join(foreign, ", "))
		}
		return nil
	}
	var place, role, path string
	var creates bool
	if err := s.read().row(ctx, s.dialect.placement, nil, &place, &role, &path, &creates); err != nil {
		return fmt.Errorf("read the schema's rights: %w", err)
	}
	if place == "" {
		own := ownSchema(path)
		return fmt.Errorf("there is no schema to create tables in: search_path is %s, and role %s may use none of it. As a superuser or the owner of the database, run: CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s; or, if the schema exists: GRANT CREATE, USAGE ON SCHEMA %s TO %s",
			path, role, identifier(own), identifier(role), identifier(own), identifier(role))
	}
	if len(foreign) > 0 {
		return fmt.Errorf("schema %s of this database holds tables of another program that have the names of Xenoauth's: %s. Nothing was changed. Give Xenoauth another database, or a schema of its own: run CREATE SCHEMA xenoauth AUTHORIZATION %s, and add search_path=xenoauth to the parameters of the URL",
			place, strings.Join(foreign, ", "), identifier(role))
	}
	if !creates {
		return fmt.Errorf(`role %s may not create tables in schema %s. As a superuser or the owner of the schema, run: GRANT CREATE, USAGE ON SCHEMA %s TO %s; or run "xenoauth migrate up" as the role that owns the tables, and serve with --migrate off`,
			role, place, identifier(place), identifier(role))
	}
	return nil
}

// ownSchema returns the first schema of a search_path that an operator can have meant.
func ownSchema(path string) string {
	for name := range strings.SplitSeq(path, ",") {
		name = strings.Trim(strings.TrimSpace(name), `"`)
		if name != "" && name != "$user" {
			return name
		}
	}
	return "xenoauth"
}

var plainIdentifier = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// identifier quotes a name for a statement if that is necessary.
func identifier(name string) string {
	if plainIdentifier.MatchString(name) {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}

// unbound is the migrations with the statement timeout switched off in each transaction. A connection through a pooler has
// the timeouts of its role.
type unbound struct{ fs.FS }

const gooseUp = "-- +goose Up\n"

// Open implements fs.FS.
func (u unbound) Open(name string) (fs.File, error) {
	f, err := u.FS.Open(name)
	if err != nil || name == "." {
		return f, err
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	content = bytes.Replace(content, []byte(gooseUp), []byte(gooseUp+"SET LOCAL statement_timeout = 0;\nSET LOCAL idle_in_transaction_session_timeout = 0;\n"), 1)
	return unboundFile{f, bytes.NewReader(content)}, nil
}

type unboundFile struct {
	fs.File
	content io.Reader
}

// Read implements fs.File.
func (f unboundFile) Read(p []byte) (int, error) { return f.content.Read(p) }
