package sqlstore

import "context"

// Database is a database behind a driver. It is safe for concurrent use.
type Database interface {
	// Conn runs statements outside any transaction: reads.
	Conn
	// Looks runs the reads of Store.Changes: in SQLite on a connection of their
	// own, elsewhere the Database itself.
	Looks() Conn
	// Begin starts a transaction that reads and writes. Each of its statements
	// sees what others have committed before it (READ COMMITTED), or the
	// transaction excludes all other writers (SQLite).
	Begin(ctx context.Context, o TxOptions) (Tx, error)
}

// TxOptions says how a transaction differs from the usual.
type TxOptions struct {
	// Relaxed allows a crash of the database to lose the transaction after its
	// commit, if that makes it cheaper.
	Relaxed bool
}

// Conn runs statements. Arguments are passed in the order of the placeholders.
type Conn interface {
	// Query runs a statement that returns rows.
	Query(ctx context.Context, query string, args ...any) (Rows, error)
	// Exec runs a statement and returns how many rows matched it.
	Exec(ctx context.Context, query string, args ...any) (affected int64, err error)
	// ExecEach runs one statement once for each list of arguments, in order, in
	// one round trip where the driver can. It returns how many rows each of them
	// affected; a row that was refused as a duplicate is 0, and does not end the
	// transaction.
	ExecEach(ctx context.Context, query string, rows [][]any) (affected []int64, err error)
}

// Tx is a transaction, used by one goroutine. Rows must be closed before the
// next statement.
type Tx interface {
	Conn
	// Commit ends the transaction. With an error, sent tells whether the database
	// may have been asked to commit; if not, nothing happened.
	Commit(ctx context.Context) (sent bool, err error)
	// Rollback gives the transaction up, also when its context has ended. After
	// Commit it does nothing.
	Rollback()
}

// Rows is a result that is being read; pgx.Rows is one.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}
