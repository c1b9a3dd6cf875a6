package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	moderncsqlite "modernc.org/sqlite" // also the driver named sqlite
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// sqliteSettings apply to every connection. FULL: an acknowledged commit survives a power failure.
	sqliteSettings = "?_busy_timeout=2000&_foreign_keys=on&_synchronous=FULL&_dqs=0&_error_rc=1"
	sqliteReaders  = 4
)

// openSQLite opens the file at path. A file that it creates is readable for its owner only.
func openSQLite(ctx context.Context, path string, o Options, noteReadOnly func(context.Context, bool)) (_ *sqliteDB, err error) {
	if path == "" || path == ":memory:" {
		return nil, errors.New("open database: sqlite: needs the path of a file, such as sqlite:xenoauth.db")
	}
	path, err = filepath.Abs(strings.TrimPrefix(path, "//"))
	if err != nil {
		return nil, fmt.Errorf("open database: find SQLite file: %w", err)
	}
	d := &sqliteDB{path: path, noteReadOnly: noteReadOnly}
	defer func() {
		if err != nil {
			_ = d.close()
		}
	}()
	if err := makeFile(path); err != nil {
		return nil, fmt.Errorf("open database: SQLite file: %w", err)
	}
	if o.Lock {
		if d.lock, err = lockFile(path + ".lock"); err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
	}
	// The path is escaped as a URI, so that it may contain any character.
	uri := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + sqliteSettings
	if d.write, err = sql.Open("sqlite", uri+"&_txlock=immediate&_journal_mode=WAL"); err != nil {
		return nil, fmt.Errorf("open database: %w", classify(err))
	}
	keepOpen(d.write, 1)
	ctx, cancel := context.WithTimeout(ctx, sqliteTimeout)
	defer cancel()
	// The writer is opened first: it turns the file into a WAL database, which a reader cannot do.
	if err := d.write.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("open database: %w", classify(err))
	}
	if d.read, err = sql.Open("sqlite", uri+"&mode=ro&_query_only=on"); err != nil {
		return nil, fmt.Errorf("open database: %w", classify(err))
	}
	keepOpen(d.read, sqliteReaders)
	return d, nil
}

// makeFile creates an empty file unless there is one. SQLite gives its journal files the same permissions.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the directory %s does not exist", filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func keepOpen(db *sql.DB, conns int) {
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
}

// sqliteDB is an open SQLite file: one connection that writes, since SQLite allows one writer at a time, and a few that read.
type sqliteDB struct {
	path  string
	write *sql.DB
	read  *sql.DB
	lock  *os.File // nil: not locked

	refused      atomic.Bool // the last write failed because the file cannot be written
	noteReadOnly func(context.Context, bool)
}

func (d *sqliteDB) reader() querier { return sqliteConn{d.read} }

// readOnly reads, and after a refused write also tries a write that changes nothing. A file system that became read-only is
// detected without a write.
func (d *sqliteDB) readOnly(ctx context.Context) (bool, error) {
	var nothing bool
	if err := d.reader().row(ctx, sqlite.ping, nil, &nothing); err != nil {
		return false, err
	}
	if d.refused.Load() {
		_, err := d.exec(ctx, `DELETE FROM database_facts WHERE name = ''`)
		if d.refused.Load() {
			return true, nil
		}
		return false, err
	}
	const mayWrite = 2 // W_OK
	return errors.Is(syscall.Access(d.path, mayWrite), syscall.EROFS), nil
}

// wrote records whether a write failed because the file cannot be written.
func (d *sqliteDB) wrote(ctx context.Context, err error) {
	var lite *moderncsqlite.Error
	switch {
	case err == nil:
		d.refused.Store(false)
	case errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_READONLY:
		d.refused.Store(true)
		d.noteReadOnly(ctx, true)
	}
}

func (d *sqliteDB) close() error {
	var errs []error
	for _, db := range []*sql.DB{d.read, d.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

func (d *sqliteDB) transact(ctx context.Context, fn func(context.Context, querier) error) (err error) {
	defer func() { d.wrote(ctx, err) }()
	ctx, cancel := context.WithTimeout(ctx, sqliteTimeout)
	defer cancel()
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fn(ctx, sqliteConn{tx}); err != nil {
		return err
	}
	return tx.Commit()
}

// migrator uses the writer, under a lock file beside the database, since goose has no lock for SQLite.
func (d *sqliteDB) migrator(context.Context) (*migrator, error) {
	return &migrator{db: d.write, lock: func(ctx context.Context) (func() error, error) {
		f, err := waitForLock(ctx, d.path+".migrate.lock", time.Minute)
		if err != nil {
			return nil, err
		}
		return f.Close, nil
	}, release: func() error { return nil }}, nil
}

func (d *sqliteDB) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	n, err := sqliteConn{d.write}.exec(ctx, sql, args...)
	d.wrote(ctx, err)
	return n, err
}

func (d *sqliteDB) row(ctx context.Context, sql string, args []any, dest ...any) error {
	return sqliteConn{d.write}.row(ctx, sql, args, dest...)
}

func (d *sqliteDB) rows(ctx context.Context, sql string, args []any, each func(scanner) error) error {
	return sqliteConn{d.write}.rows(ctx, sql, args, each)
}

// sqliteConn runs statements on a sql.DB or in a sql.Tx.
type sqliteConn struct {
	c interface {
		ExecContext(ctx context.Context, sql string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, sql string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, sql string, args ...any) *sql.Row
	}
}

func (c sqliteConn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := checkText(args); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, sqliteTimeout)
	defer cancel()
	result, err := c.c.ExecContext(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c sqliteConn) row(ctx context.Context, sql string, args []any, dest ...any) error {
	if err := checkText(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sqliteTimeout)
	defer cancel()
	return c.c.QueryRowContext(ctx, sql, args...).Scan(dest...)
}

func (c sqliteConn) rows(ctx context.Context, sql string, args []any, each func(scanner) error) error {
	if err := checkText(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sqliteTimeout)
	defer cancel()
	rows, err := c.c.QueryContext(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	scan := scanner(rows.Scan)
	for rows.Next() {
		if err := each(scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
