// Package sqlite keeps API keys in a SQLite database: a file, or memory.
//
//	db, err := sqlite.Open(ctx, "app.db")
//	err = db.Migrate(ctx)
//	client, err := apikeys.New(ctx, db, config)
//
// The driver is modernc.org/sqlite, which needs no C compiler. A file may be used
// by any number of processes of one machine; not over a network file system, where
// its locks do not work.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/migrations"
)

// Store is an [apikeys.Store] in a SQLite database. It is safe for concurrent use.
type Store struct {
	*sqlstore.Store
	pools  pools
	path   string      // of the file; "" in memory
	opened os.FileInfo // the file that was opened
	close  func() error
}

var (
	_ apikeys.PooledStore = (*Store)(nil)
	_ apikeys.SerialStore = (*Store)(nil)
)

var (
	// ErrNotDatabase is wrapped by Open for a file that is something else.
	ErrNotDatabase = errors.New("the file is not a SQLite database")
	// ErrReplaced is returned when the database file was deleted or replaced while
	// it was open: what is read would be of the file that is gone.
	ErrReplaced = errors.New("sqlite: the database file was replaced while it was open: restart the process")
)

// Open opens the database that dsn names, and creates the file if there is none:
//
//	app.db, /var/lib/app.db       a file
//	file:app.db?mode=ro           a URI with options of SQLite and of the driver
//	sqlite:///app.db              a file, as SQLAlchemy writes it
//	sqlite:////var/lib/app.db     the same, absolute
//	:memory:, sqlite://           a database of its own in memory, until Close
//
// Writes are durable when they return (WAL, synchronous=FULL), unless the options
// say otherwise. It does not make tables: call [Store.Migrate]. With mode=ro the
// store answers what only reads.
//
// Errors: an [apikeys.InvalidArgumentError] for a dsn that cannot be read;
// [fs.ErrNotExist] for a missing directory, [fs.ErrPermission], [ErrNotDatabase].
func Open(ctx context.Context, dsn string) (*Store, error) {
	src, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	if err := src.check(); err != nil {
		return nil, err
	}
	p, err := openPools(src)
	if err != nil {
		return nil, errors.Join(explain(src, err), p.close())
	}
	s := &Store{pools: p, close: sync.OnceValue(p.close)}
	if err := s.connect(ctx, src); err != nil {
		_ = s.Close()
		return nil, explain(src, err)
	}
	s.Store = sqlstore.New(sqlstore.NewDB(sqlstore.DBConfig{
		Readers: p.readers, Writer: p.writer, Looker: p.looker, Classify: dialect{}.Classify,
	}), dialect{}, statements())
	return s, nil
}

// connect opens the first connections, which sees whether the file is a database,
// and switches it to WAL if it is not yet. Of several processes that do so at once
// all but one find the database busy.
func (s *Store) connect(ctx context.Context, src source) (err error) {
	for _, db := range []*sql.DB{s.pools.keeper, s.pools.writer, s.pools.readers} {
		if err := sqlstore.WhileBusy(ctx, dialect{}, func() error {
			var n int
			return db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
		}); err != nil {
			return err
		}
	}
	if src.path == "" {
		return nil
	}
	if s.path, err = filepath.Abs(src.path); err != nil {
		return err
	}
	s.opened, err = os.Stat(s.path)
	return err
}

// Migrate brings the tables to the version that this package needs. It is safe on
// every start, in any number of processes at once.
func (s *Store) Migrate(ctx context.Context) error {
	return migrations.Up(ctx, s.pools.writer, migrations.SQLite)
}

// MigrateDown removes all tables with everything in them.
func (s *Store) MigrateDown(ctx context.Context) error {
	return migrations.Down(ctx, s.pools.writer, migrations.SQLite)
}

// Inspect looks at the database, and changes nothing: for people who look for what is
// wrong.
func (s *Store) Inspect(ctx context.Context) (*migrations.Report, error) {
	return migrations.Inspect(ctx, s.pools.readers, migrations.SQLite)
}

// Changes implements [apikeys.Store]. A file that was replaced goes on answering
// through the connections that have the old one open, so it is looked at too.
func (s *Store) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	if s.path != "" {
		now, err := os.Stat(s.path)
		if err != nil || !os.SameFile(now, s.opened) {
			return apikeys.ChangeSet{}, ErrReplaced
		}
	}
	return s.Store.Changes(ctx, since)
}

// PoolSize implements [apikeys.PooledStore].
func (s *Store) PoolSize() int { return s.pools.readers.Stats().MaxOpenConnections }

// Serial implements [apikeys.SerialStore]: SQLite has one writer.
func (s *Store) Serial() bool { return true }

// Close closes the database, and with the last process that has it open its
// write-ahead log. A database in memory is gone. Closing again does nothing.
func (s *Store) Close() error { return s.close() }

// pools are the connections: many that read, one that writes, and one for the
// looks at what has changed. SQLite has one writer at a time anyway: ours queue
// for it in Go, where contexts are heard. The looks have their own connection
// because a read that is not finished pins what its connection sees.
//
// In memory there is no log that readers could read beside a writer, so one
// connection does everything. A database in memory goes with its last connection,
// and database/sql may give up any of them: the keeper has one that nobody uses.
type pools struct {
	readers, writer, looker, keeper *sql.DB
}

func openPools(src source) (p pools, err error) {
	if p.writer, err = openPool(src.writer(), 1); err != nil {
		return p, err
	}
	if src.memory {
		p.readers, p.looker = p.writer, p.writer
		p.keeper, err = openPool(src.writer(), 1)
		return p, err
	}
	if p.readers, err = openPool(src.reader(), max(2, runtime.GOMAXPROCS(0))); err != nil {
		return p, err
	}
	p.keeper = p.writer
	p.looker, err = openPool(src.reader(), 1)
	return p, err
}

func openPool(uri string, connections int) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(uri)
	if err != nil {
		return nil, invalid("has options that the driver does not know")
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// close closes the writer last: the last connection moves the log into the file,
// which one that only reads may not.
func (p pools) close() error {
	var errs []error
	for _, db := range []*sql.DB{p.looker, p.readers, p.writer, p.keeper} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// check sees what SQLite would only call "unable to open the database file".
func (s source) check() error {
	if s.path == "" {
		return nil
	}
	if info, err := os.Stat(s.path); err == nil && info.IsDir() {
		return fmt.Errorf("sqlite: open: %s is a directory: name a file in it", s.path)
	}
	dir := filepath.Dir(s.path)
	if _, err := os.Stat(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sqlite: open: the directory %s is not there: create it first: %w", absolute(dir), fs.ErrNotExist)
		}
		return fmt.Errorf("sqlite: open: the directory %s cannot be read: %w", dir, err)
	}
	return nil
}

// absolute tells where a relative name leads: sqlite:///tmp/app.db does not lead to /tmp.
func absolute(dir string) string {
	if full, err := filepath.Abs(dir); err == nil {
		return full
	}
	return dir
}

// explain says what to do about an error of the first connection. A driver's text
// may repeat the options, so it is left out.
func explain(s source, err error) error {
	code, ok := codeOf(err)
	switch primary := code & 0xff; {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, apikeys.ErrInvalidArgument):
		return err
	case errors.As(err, new(*fs.PathError)):
		return fmt.Errorf("sqlite: open: %w", err)
	case !ok:
		return invalid("has options that the driver does not know")
	case primary == sqlite3.SQLITE_CANTOPEN && s.absent():
		return fmt.Errorf("sqlite: open %s: the file is not there, and mode=%s does not make it: %w", s.path, s.options.Get("mode"), fs.ErrNotExist)
	case primary == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("sqlite: open %s: %w: %w", s.path, ErrNotDatabase, dialect{}.Fault(err))
	case primary == sqlite3.SQLITE_READONLY:
		return fmt.Errorf("sqlite: open %s: it cannot be written: allow it, or open it with ?mode=ro: %w", s.path, fs.ErrPermission)
	case primary == sqlite3.SQLITE_CANTOPEN || primary == sqlite3.SQLITE_PERM:
		return fmt.Errorf("sqlite: open %s: the file or its directory cannot be read or written: %w: %w", s.path, fs.ErrPermission, dialect{}.Fault(err))
	}
	return fmt.Errorf("sqlite: open %s: %w", s.path, dialect{}.Fault(err))
}

func (s source) absent() bool {
	_, err := os.Stat(s.path)
	return errors.Is(err, fs.ErrNotExist)
}
