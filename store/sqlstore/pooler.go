package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"xenoauth/store"
)

// ErrPooler is a kind of store.ErrUnavailable: the connection goes through a pooler in transaction mode, and the URL does not
// declare it.
var ErrPooler = fmt.Errorf("%w: %w: there seems to be a pooler such as PgBouncer in front of Postgres: set --pooler transaction (XENOAUTH_POOLER=transaction)", store.ErrUnavailable, ErrRefused)

// ErrRights is a kind of store.ErrUnavailable: the role lacks a privilege in the database.
var ErrRights = fmt.Errorf("%w: the role lacks a right", store.ErrUnavailable)

// poolerParameter of a Postgres URL is "transaction" if the URL leads to a pooler, such as PgBouncer, that assigns a server
// connection for one transaction at a time. It is not sent to the server.
const poolerParameter = "pooler"

// passedOn are the parameters that PgBouncer applies to each server connection that it assigns.
var passedOn = []string{"application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings"}

// configurePooler reads and removes the parameter. Behind a pooler, prepared statements and settings of a session are lost:
// statements are described once and sent without a name in the extended protocol, and the timeouts are those of the role.
func configurePooler(conn *pgx.ConnConfig) (pooler bool, err error) {
	mode, set := conn.RuntimeParams[poolerParameter]
	delete(conn.RuntimeParams, poolerParameter)
	switch {
	case !set, mode == "none":
		return false, nil
	case mode != "transaction":
		return false, errors.New("open database: pooler in the Postgres URL must be none or transaction")
	}
	for _, name := range slices.Sorted(maps.Keys(conn.RuntimeParams)) {
		if !slices.Contains(passedOn, strings.ToLower(name)) {
			return false, fmt.Errorf("open database: a pooler does not pass on %s in the Postgres URL: set it for the role instead, with ALTER ROLE … IN DATABASE … SET %s = …", name, name)
		}
	}
	if conn.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		conn.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	conn.StatementCacheCapacity = 0
	return true, nil
}

// poolerError recognises errors that only a pooler causes.
func poolerError(pg *pgconn.PgError) error {
	switch {
	case pg.Code == "42P05", pg.Code == "26000", // a prepared statement exists already, or does not exist
		strings.HasPrefix(pg.Message, "unsupported startup parameter"):
		return fmt.Errorf("%w (%s, SQLSTATE %s)", ErrPooler, pg.Message, pg.Code)
	}
	return nil
}

// Pooler reports whether the URL names a pooler in transaction mode.
func (s *Store) Pooler() bool {
	d, isPostgres := s.db.(*postgresDB)
	return isPostgres && d.pooler
}

// MissingTimeouts returns the timeouts that the database's connections should have but do not: behind a pooler those of the
// role, otherwise those that this program set and a pooler ignored. Postgres only.
func (s *Store) MissingTimeouts(ctx context.Context) (list []string, err error) {
	defer wrapErr(&err, "read the connection's timeouts")
	d, isPostgres := s.db.(*postgresDB)
	if !isPostgres {
		return nil, nil
	}
	settings := postgresSettings(d.timeout)
	asked := d.pool.Config().ConnConfig.RuntimeParams
	err = s.read().rows(ctx, `SELECT name, setting FROM pg_settings WHERE name LIKE '%\_timeout' AND setting = '0' ORDER BY name`, nil, func(scan scanner) error {
		var name, value string
		err := scan(&name, &value)
		if _, ours := settings[name]; ours && asked[name] != "0" {
			list = append(list, name)
		}
		return err
	})
	return list, err
}
