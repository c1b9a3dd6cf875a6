package sqlstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// CheckURL returns the first mistake in a postgres:// URL that can be found without connecting, or nil. The error contains no
// part of the URL that could be its password.
func CheckURL(databaseURL string) error {
	_, err := parsePostgres(databaseURL)
	return err
}

// parsePostgres reads a postgres:// URL.
func parsePostgres(databaseURL string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, urlFault(err)
	}
	if cutPassword(databaseURL) {
		return nil, errMalformedURL
	}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("default_query_exec_mode=simple_protocol is not supported")
	}
	return config, nil
}

// cutPassword reports whether a / ? or # in the password has ended the host, so that the rest of the password is parsed as
// the name of the database or of a parameter, which are not treated as secrets.
func cutPassword(databaseURL string) bool {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return false // the driver accepts more than net/url does
	}
	for name := range u.Query() {
		if strings.Contains(name, "@") {
			return true
		}
	}
	return strings.Contains(u.EscapedPath()+u.EscapedFragment(), "@")
}

var errMalformedURL = errors.New("the Postgres URL is malformed: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, " +
	"and percent-encode special characters in the password (p@ss/1 is p%40ss%2F1)")

// urlFault names the part of a URL that the driver cannot use. The driver's own text starts with the URL, including the
// password of a malformed one, and repeats it in the reason if it cannot be parsed at all.
func urlFault(err error) error {
	var fault *pgconn.ParseConfigError
	text := err.Error()
	at := strings.LastIndex(text, "`: ")
	if !errors.As(err, &fault) || at < 0 {
		return errMalformedURL
	}
	text = text[at+len("`: "):]
	switch name := faultyParameter(text); {
	case strings.HasPrefix(text, "failed to parse as"):
		return errMalformedURL
	case strings.HasPrefix(text, "invalid port"):
		if _, err := url.Parse(fault.ConnString); err != nil {
			return errors.New("the port in the Postgres URL is not a number; if that is a part of the password, percent-encode its special characters (/ is %2F)")
		}
		return errors.New("the port in the Postgres URL must be a number from 1 to 65535")
	case strings.Contains(text, "sslmode is invalid"):
		return errors.New("sslmode in the Postgres URL must be disable, allow, prefer, require, verify-ca or verify-full")
	case strings.HasPrefix(name, "pool_") && strings.HasSuffix(name, "conns"):
		return fmt.Errorf("%s in the Postgres URL must be a whole number of connections, 1 or more", name)
	case strings.HasPrefix(name, "pool_"):
		return fmt.Errorf("%s in the Postgres URL must be a time, such as 30m", name)
	}
	return fmt.Errorf("the Postgres URL cannot be used: %s", text)
}

// faultyParameter returns the parameter that the driver's text is about, if it is one of the pool's.
func faultyParameter(text string) string {
	for word := range strings.FieldsSeq(text) {
		if strings.HasPrefix(word, "pool_") {
			return word
		}
	}
	return ""
}
