// Package mysql keeps API keys in a database of MySQL (8.0.16 or later) or MariaDB
// (10.6 or later).
//
//	db, err := mysql.Open(ctx, "mysql://user:password@host/database")
//	err = db.Migrate(ctx)
//	client, err := apikeys.New(ctx, db, config)
//
// A program that has a pool of connections gives that to [New]. The driver is
// github.com/go-sql-driver/mysql.
//
// Statements are prepared once on each connection that runs them, and stay prepared:
// about 30 on a busy connection. A server allows max_prepared_stmt_count of them,
// 16,382 by default, for all of its clients together: raise it for a fleet with more than a few
// hundred connections.
//
// In a cluster whose servers all take writes (Galera, group replication), connect all
// clients to one of them, or let reads wait for what others have committed
// (wsrep_sync_wait=1, group_replication_consistency='BEFORE', which may stand in the
// data source name): else a revocation made through another server is seen late.
package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/migrations"
)

// Store is an [apikeys.Store] in a MySQL or MariaDB database. It is safe for
// concurrent use.
type Store struct {
	*sqlstore.Store
	pool  *pool
	close func() error
}

var _ apikeys.PooledStore = (*Store)(nil)

// The connections of a pool of our own. Those that are idle are closed before the
// server does so (wait_timeout, see forStatements), and none lives on for long when
// its server has become a replica.
const (
	maxIdle     = 5 * time.Second
	maxLifetime = time.Minute
)

// Open opens a pool of connections to the database that dsn names:
//
//	mysql://user:password@host:3306/app?tls=true           a URL; also mariadb:// and mysql+anything://
//	mysql://user@localhost/app?unix_socket=/run/mysqld.sock
//	user:password@tcp(host:3306)/app?tls=true              as go-sql-driver has it
//
// Options are those of go-sql-driver; others set variables of the session. Options and
// variables on which the store depends (parseTime, charset, sql_mode, autocommit
// and the like) are set as it needs them, whatever dsn says. It does not make
// tables: call [Store.Migrate].
//
// Errors: an [apikeys.InvalidArgumentError] for a dsn that cannot be read and for a
// server that will not do, which say why; none repeats any of the dsn.
func Open(ctx context.Context, dsn string) (*Store, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	if err := ours(config); err != nil {
		return nil, invalid("has options that the driver does not take")
	}
	c, err := mysql.NewConnector(config)
	if err != nil {
		return nil, invalid("has options that the driver does not take")
	}
	db := sql.OpenDB(connector{c})
	connections := max(8, 2*runtime.GOMAXPROCS(0)+4)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(maxIdle)
	db.SetConnMaxLifetime(maxLifetime)
	s := newStore(&pool{db: db}, sync.OnceValue(db.Close))
	if err := s.pool.check(ctx); err != nil {
		_ = db.Close()
		return nil, explain(ctx, err)
	}
	return s, nil
}

// New returns a store on a pool of the caller's, which must be one of
// github.com/go-sql-driver/mysql. Close does not close it.
//
// The pool may have any options of the driver. Other users of it find its connections
// as they left them: each transaction of the store sets what it needs for itself
// (READ COMMITTED, a strict sql_mode, short timeouts) and takes it back, which are
// two round trips more than with [Open]. What cannot be had for one transaction only
// is refused by the first call, with an [apikeys.InvalidArgumentError] that says what
// to change: autocommit=0, READ UNCOMMITTED, completion_type, sql_select_limit,
// EMPTY_STRING_IS_NULL, a stopped clock, and different character sets of client and connection.
func New(db *sql.DB) (*Store, error) {
	if db == nil {
		return nil, &apikeys.InvalidArgumentError{Field: "db", Reason: "is nil"}
	}
	return newStore(&pool{db: db, borrowed: true}, func() error { return nil }), nil
}

func newStore(p *pool, close func() error) *Store {
	return &Store{Store: sqlstore.New(newDatabase(p), dialect{}, statements()), pool: p, close: close}
}

// Migrate brings the tables to the version that this package needs. It is safe on
// every start, in any number of processes at once. [migrations.ErrLocked] says that
// another process, or a transaction that uses the tables, was in the way for 30
// seconds.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.pool.check(ctx); err != nil {
		return explain(ctx, err)
	}
	return migrationError(migrations.Up(ctx, s.pool.db, migrations.MySQL))
}

// MigrateDown removes all tables with everything in them.
func (s *Store) MigrateDown(ctx context.Context) error {
	if err := s.pool.check(ctx); err != nil {
		return explain(ctx, err)
	}
	return migrationError(migrations.Down(ctx, s.pool.db, migrations.MySQL))
}

// Inspect looks at the database, and changes nothing: for people who look for what is
// wrong.
func (s *Store) Inspect(ctx context.Context) (*migrations.Report, error) {
	report, err := migrations.Inspect(ctx, s.pool.db, migrations.MySQL)
	if err != nil {
		return nil, explain(ctx, err)
	}
	return report, nil
}

// migrationError is err, or what it means that a table was in use.
func migrationError(err error) error {
	var e *mysql.MySQLError
	if errors.As(err, &e) && e.Number == errLockWait {
		return migrations.ErrLocked
	}
	return err
}

// PoolSize implements [apikeys.PooledStore].
func (s *Store) PoolSize() int { return s.pool.db.Stats().MaxOpenConnections }

// Close closes the connections that [Open] made. Closing again does nothing.
func (s *Store) Close() error { return s.close() }

// explain leaves out a driver's text, which may repeat parts of a data source name.
func explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, apikeys.ErrInvalidArgument):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("mysql: %w", ctx.Err())
	}
	return dialect{}.Fault(err)
}
