// Package postgres keeps API keys in a Postgres database, on the native driver pgx.
//
//	db, err := postgres.Open(ctx, "postgres://user:password@host/database")
//	err = db.Migrate(ctx)
//	client, err := apikeys.New(ctx, db, config)
//
// Or on a pool that a program has already: postgres.New(pool).
//
// All of pgx's query exec modes work (default_query_exec_mode). The default,
// cache_statement, is the fastest. It and describe_exec do not work behind a pooler
// that hands out connections by transaction and does not keep prepared statements
// (PgBouncer before 1.21, or with max_prepared_statements=0), and errors say so: use
// cache_describe or exec there. With simple_protocol, pgx puts the arguments into the
// statements itself: it does so only with standard_conforming_strings=on and an
// encoding of UTF8, in which that is safe; without, every call fails. With exec and
// simple_protocol the DateStyle must be ISO and bytea_output hex, as they are by
// default.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/migrations"
)

// Store is an [apikeys.Store] in a Postgres database. It is safe for concurrent use.
type Store struct {
	*sqlstore.Store
	db    database
	close func()
}

var _ apikeys.PooledStore = (*Store)(nil)

// ErrNotUTF8 is returned by [Store.Migrate] for a database in another encoding: it
// could not keep every text, or not as it is.
var ErrNotUTF8 = errors.New("postgres: the database is not encoded in UTF8: create it with ENCODING 'UTF8'")

// ConnectError is returned by [Open] and [Store.Migrate] when the server cannot be
// reached or does not let us in. It holds nothing of the data source name.
type ConnectError struct {
	Code   string // the server's SQLSTATE; empty if it did not answer
	Reason string
}

// Error says why, with the SQLSTATE if the server answered.
func (e *ConnectError) Error() string {
	if e.Code == "" {
		return "postgres: connect: " + e.Reason
	}
	return fmt.Sprintf("postgres: connect: %s (SQLSTATE %s)", e.Reason, e.Code)
}

// Open connects to the database that dsn names: a URL (postgres://…), or keywords
// and values (host=… user=…), with the options of libpq and of pgx, those of the
// pool (pool_max_conns, …) among them. Tables are looked for, and made, along its
// search_path. It does not make them itself: call [Store.Migrate].
//
// Errors: an [apikeys.InvalidArgumentError] for a dsn that cannot be read; a
// [*ConnectError]; the context's.
func Open(ctx context.Context, dsn string) (*Store, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, connectError(ctx, err)
	}
	s := New(pool)
	s.close = sync.OnceFunc(pool.Close)
	conn, err := s.db.acquire(ctx)
	if err != nil {
		pool.Close()
		return nil, connectError(ctx, err)
	}
	conn.Release()
	return s, nil
}

// New returns a store on a pool of yours. The pool stays yours: its settings are not
// changed, and you close it, after the client. If it has a tracer that logs the
// arguments of queries, it logs hashes; never the text of a key.
func New(pool *pgxpool.Pool) *Store {
	db := newDatabase(pool)
	return &Store{Store: sqlstore.New(db, dialect{}, statements()), db: db, close: func() {}}
}

// Migrate brings the tables to the version that this package needs. It is safe on
// every start, in any number of processes at once: they take turns. After waiting
// 30 s for others it returns [migrations.ErrLocked].
//
// It uses two connections of its own for the time, made as those of the pool are.
func (s *Store) Migrate(ctx context.Context) error {
	db := s.openDB()
	defer db.Close()
	var encoding string
	if err := db.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return connectError(ctx, err)
	}
	if encoding != "UTF8" {
		return ErrNotUTF8
	}
	return migrationError(ctx, migrations.Up(ctx, db, migrations.Postgres))
}

// MigrateDown removes all tables with everything in them. It uses connections of its
// own, as Migrate does.
func (s *Store) MigrateDown(ctx context.Context) error {
	db := s.openDB()
	defer db.Close()
	return migrationError(ctx, migrations.Down(ctx, db, migrations.Postgres))
}

// Inspect looks at the database, and changes nothing: for people who look for what is
// wrong. It uses a connection of its own.
func (s *Store) Inspect(ctx context.Context) (*migrations.Report, error) {
	db := s.openDB()
	defer db.Close()
	report, err := migrations.Inspect(ctx, db, migrations.Postgres)
	return report, migrationError(ctx, err)
}

// migrationError leaves out what an error about a connection may repeat of the dsn.
func migrationError(ctx context.Context, err error) error {
	if errors.As(err, new(*pgconn.ConnectError)) {
		return connectError(ctx, err)
	}
	return err
}

// openDB returns a pool of database/sql, which goose needs. It is not ours or the
// host's own pool: that may be busy, or have one connection only.
func (s *Store) openDB() *sql.DB {
	config := s.db.pool.Config()
	if s.db.mode != pgx.QueryExecModeSimpleProtocol {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // works behind any pooler
	}
	options := []stdlib.OptionOpenDB{}
	if config.BeforeConnect != nil {
		options = append(options, stdlib.OptionBeforeConnect(config.BeforeConnect))
	}
	if config.AfterConnect != nil {
		options = append(options, stdlib.OptionAfterConnect(config.AfterConnect))
	}
	db := stdlib.OpenDB(*config.ConnConfig, options...)
	db.SetMaxOpenConns(2)
	return db
}

// PoolSize implements [apikeys.PooledStore].
func (s *Store) PoolSize() int { return int(s.db.pool.Config().MaxConns) }

// Close closes the pool that [Open] made, after its connections were given back.
// Closing again does nothing, and so does closing a store that [New] made.
func (s *Store) Close() error {
	s.close()
	return nil
}

// connectError is err without what it may repeat of the dsn.
func connectError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := fault(err)
	return &ConnectError{Code: f.Code, Reason: f.Reason}
}
