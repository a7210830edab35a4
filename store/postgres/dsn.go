package postgres

import (
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys"
)

// connectPatience bounds one attempt to connect, for a dsn that does not.
const connectPatience = 10 * time.Second

// parse reads a data source name. Errors do not repeat any of it: where it is
// malformed, any part may be one of the password.
func parse(dsn string) (*pgxpool.Config, error) {
	if strings.TrimSpace(dsn) == "" {
		return nil, invalid(`is empty: give a URL, or keywords and values; "postgres://" takes all from the environment (PGHOST, …)`)
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, invalid(whyUnreadable(dsn, err))
	}
	if config.ConnConfig.ConnectTimeout <= 0 {
		config.ConnConfig.ConnectTimeout = connectPatience
	}
	return config, nil
}

func whyUnreadable(dsn string, err error) string {
	isURL := strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
	_, urlErr := url.Parse(dsn)
	switch {
	case !isURL && strings.Contains(dsn, "://"):
		return "is not of Postgres: begin it with postgres://"
	case isURL && urlErr != nil:
		return "is not a URL: escape what has a meaning in one, such as @ : / ? # % in the password (%40 %3A %2F %3F %23 %25)"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "names a file that cannot be read (sslrootcert, sslcert, sslkey, passfile or servicefile)"
	}
	return "has an option that cannot be, such as sslmode, port, connect_timeout, default_query_exec_mode or pool_max_conns"
}

func invalid(reason string) error {
	return &apikeys.InvalidArgumentError{Field: "dsn", Reason: reason}
}
