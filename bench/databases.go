package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // the driver of the reference flow

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
	mysqlstore "github.com/apikeys-platform/apikeys/store/mysql"
	postgresstore "github.com/apikeys-platform/apikeys/store/postgres"
	sqlitestore "github.com/apikeys-platform/apikeys/store/sqlite"
)

// connections is how many each program has to a server.
const connections = 16

// store is an apikeys.Store with its tables.
type store interface {
	apikeys.Store
	Migrate(ctx context.Context) error
	Close() error
}

// database is one that we measure on, with what others do on it.
type database struct {
	name string
	open func(ctx context.Context) (*opened, error)
	// bounds of the sections default, strict and revocation.
	accepted, exact, seen string
	revocations           int // those that are polled take half a second each
}

// opened is a running database.
type opened struct {
	database
	store     store
	reference reference
	second    func(ctx context.Context) (store, error) // another store on the same data
	close     func() error
}

// databases are those that we know.
func databases() []database {
	return []database{
		{"Postgres", openPostgres, "≥ 150×", "≥ 6×", "p99 ≤ 10 ms", 500},
		{"MariaDB", openMySQL, "≥ 150×", "≥ 4×", "≤ 1 s", 50},
		{"SQLite", openSQLite, "≥ 100×", "≥ 5×", "≤ 1 s", 50},
	}
}

// section is a measurement on a database; where there is no server it says so.
func (d database) section(measure func(context.Context, config, *opened) error) func(context.Context, config) error {
	return func(ctx context.Context, c config) error {
		o, err := d.open(ctx)
		if errors.Is(err, dbserver.ErrNotInstalled) {
			fmt.Fprintln(os.Stderr, "bench: LEFT OUT:", err)
			return nil
		}
		if err != nil {
			return err
		}
		o.database = d
		return errors.Join(o.prepare(ctx), measure(ctx, c, o), o.close())
	}
}

func (o *opened) prepare(ctx context.Context) error {
	return errors.Join(o.store.Migrate(ctx), o.reference.prepare(ctx))
}

// start starts a server that keeps its commits.
func start(ctx context.Context, kind dbserver.Kind) (*dbserver.Server, error) {
	installation, err := dbserver.Find(ctx, kind)
	if err != nil {
		return nil, err
	}
	return installation.Start(ctx, dbserver.Options{Durable: true})
}

func openPostgres(ctx context.Context) (*opened, error) {
	server, err := start(ctx, dbserver.Postgres)
	if err != nil {
		return nil, err
	}
	connect := func() (*pgxpool.Pool, error) {
		config, err := pgxpool.ParseConfig(server.DSN())
		if err != nil {
			return nil, err
		}
		config.MaxConns = connections
		return pgxpool.NewWithConfig(ctx, config)
	}
	pool, err := connect()
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &opened{
		store:     postgresstore.New(pool),
		reference: &postgresReference{pool},
		second: func(context.Context) (store, error) {
			other, err := connect()
			if err != nil {
				return nil, err
			}
			return owner{postgresstore.New(other), other}, nil
		},
		close: func() error { pool.Close(); return server.Close() },
	}, nil
}

// owner is a store that closes its pool, too.
type owner struct {
	*postgresstore.Store

	pool *pgxpool.Pool
}

func (o owner) Close() error {
	o.pool.Close()
	return nil
}

func openMySQL(ctx context.Context) (*opened, error) {
	server, err := start(ctx, dbserver.MySQL)
	if err != nil {
		return nil, err
	}
	config, err := mysql.ParseDSN(server.DSN())
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	db, err := sql.Open("mysql", config.FormatDSN())
	if err == nil {
		_, err = db.ExecContext(ctx, "CREATE DATABASE bench")
	}
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	config.DBName = "bench"
	ours, err := mysqlstore.Open(ctx, config.FormatDSN())
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	theirs, err := sql.Open("mysql", config.FormatDSN())
	theirs.SetMaxOpenConns(connections)
	theirs.SetMaxIdleConns(connections)
	return &opened{
		store:     ours,
		reference: &mysqlReference{db: theirs},
		second:    func(ctx context.Context) (store, error) { return mysqlstore.Open(ctx, config.FormatDSN()) },
		close:     func() error { return errors.Join(db.Close(), theirs.Close(), ours.Close(), server.Close()) },
	}, err
}

func openSQLite(ctx context.Context) (*opened, error) {
	dir, err := os.MkdirTemp("", "apikeys-bench-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "ours.db")
	ours, err := sqlitestore.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	// As a careful program opens it: one writer that says so at once, everything durable.
	theirs, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "theirs.db")+
		"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	theirs.SetMaxOpenConns(1)
	return &opened{
		store:     ours,
		reference: &sqliteReference{db: theirs},
		second:    func(ctx context.Context) (store, error) { return sqlitestore.Open(ctx, file) },
		close:     func() error { return errors.Join(theirs.Close(), ours.Close(), os.RemoveAll(dir)) },
	}, nil
}
