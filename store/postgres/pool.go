package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// The settings of a transaction are its own, whatever the host's are. A client that
// was frozen while it held the revision would keep all others from revoking: the
// server gives up its transaction. Each statement waits for a lock for as long at
// most; the context usually ends before.
const (
	begin = `BEGIN ISOLATION LEVEL READ COMMITTED; ` +
		`SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL lock_timeout = '5s'`
	beginRelaxed = begin + `; SET LOCAL synchronous_commit = off`
)

// rollbackPatience bounds giving up a transaction whose context has ended.
const rollbackPatience = 5 * time.Second

// database is a sqlstore.Database on a pool, without database/sql.
type database struct {
	pool *pgxpool.Pool
	mode pgx.QueryExecMode // the pool's
}

var _ sqlstore.Database = database{}

func newDatabase(pool *pgxpool.Pool) database {
	return database{pool, pool.Config().ConnConfig.DefaultQueryExecMode}
}

// Looks implements sqlstore.Database: any connection will do.
func (d database) Looks() sqlstore.Conn { return d }

func (d database) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		conn.Release()
		return nil, err
	}
	return &connRows{rows, conn}, nil
}

func (d database) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	tag, err := conn.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (d database) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	return execEach(ctx, conn, query, rows)
}

// statement runs a statement that is a transaction of its own and reads each of its
// rows. Sent tells whether the server may have been asked.
func (d database) statement(ctx context.Context, query string, args []any, read func(pgx.Rows) error) (sent bool, err error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return false, err
	}
	committed, err := readsCommitted(ctx, conn)
	if err == nil && !committed {
		return d.statementIn(ctx, conn, query, args, read)
	}
	defer conn.Release()
	if err == nil {
		err = unsendable(ctx, conn)
	}
	if err != nil {
		return false, err
	}
	return true, eachRow(ctx, conn, query, args, read)
}

// statementIn runs a statement in a transaction of our own level of isolation, and gives
// the connection back.
func (d database) statementIn(ctx context.Context, conn *pgxpool.Conn, query string, args []any, read func(pgx.Rows) error) (sent bool, err error) {
	tx, err := beginOn(ctx, conn, begin)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() // nothing after a commit
	if err := eachRow(ctx, tx.tx, query, args, read); err != nil {
		return false, err
	}
	return tx.Commit(ctx)
}

// isolation is where a connection remembers what statements of their own run under.
const isolation = "github.com/apikeys-platform/apikeys/store/postgres: isolation"

// readsCommitted tells whether a statement of its own sees what those that it waited for
// have committed. It would fail instead under another default_transaction_isolation. A
// connection is asked once; behind a pooler the answer may be another server's, so
// statements to which it matters look again.
func readsCommitted(ctx context.Context, conn *pgxpool.Conn) (bool, error) {
	known := conn.Conn().PgConn().CustomData()
	level, ok := known[isolation].(string)
	if !ok {
		if err := conn.QueryRow(ctx, "SELECT current_setting('transaction_isolation')").Scan(&level); err != nil {
			return false, err
		}
		known[isolation] = level
	}
	return level == "read committed", nil
}

func eachRow(ctx context.Context, e executor, query string, args []any, read func(pgx.Rows) error) error {
	rows, err := e.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() && err == nil {
		err = read(rows)
	}
	rows.Close()
	return errors.Join(err, rows.Err())
}

// Begin implements sqlstore.Database.
func (d database) Begin(ctx context.Context, o sqlstore.TxOptions) (sqlstore.Tx, error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	query := begin
	if o.Relaxed {
		query = beginRelaxed
	}
	tx, err := beginOn(ctx, conn, query)
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// beginOn begins a transaction, or gives the connection back.
func beginOn(ctx context.Context, conn *pgxpool.Conn, query string) (*transaction, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: query})
	if err != nil {
		conn.Release()
		return nil, err
	}
	return &transaction{tx, conn, ctx}, nil
}

// acquire takes a connection from the pool and sees whether text goes through it
// unchanged. The server told its settings when it connected: this asks nobody.
func (d database) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.usable(conn.Conn().PgConn().ParameterStatus); err != nil {
		conn.Release()
		return nil, err
	}
	return conn, nil
}

func (d database) usable(status func(setting string) string) error {
	text := d.mode == pgx.QueryExecModeExec || d.mode == pgx.QueryExecModeSimpleProtocol
	switch {
	case status("client_encoding") != "UTF8":
		return errEncoding
	case text && !strings.HasPrefix(status("DateStyle"), "ISO"):
		return errDateStyle
	case d.mode == pgx.QueryExecModeSimpleProtocol && status("standard_conforming_strings") != "on":
		return errStrings
	}
	return nil
}

// connRows give the connection back when they are closed.
type connRows struct {
	pgx.Rows
	conn *pgxpool.Conn
}

func (r *connRows) Close() {
	r.Rows.Close()
	if r.conn != nil {
		r.conn.Release()
		r.conn = nil
	}
}

// transaction is a sqlstore.Tx.
type transaction struct {
	tx   pgx.Tx
	conn *pgxpool.Conn   // nil when it was given back
	ctx  context.Context // of its beginning, for its values only
}

func (t *transaction) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	return t.tx.Query(ctx, query, args...)
}

func (t *transaction) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (t *transaction) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	return execEach(ctx, t.tx, query, rows)
}

// Commit implements sqlstore.Tx.
func (t *transaction) Commit(ctx context.Context) (sent bool, err error) {
	if err := unsendable(ctx, t.conn); err != nil {
		return false, err
	}
	err = t.tx.Commit(ctx)
	t.release()
	return true, err
}

// unsendable tells why nothing can be sent, if that is certain. The driver's
// SafeToRetry does not know: when the connection is lost while it waits for an answer,
// it says "conn closed", and that nothing was sent (pgx 5.12).
func unsendable(ctx context.Context, conn *pgxpool.Conn) error {
	if conn.Conn().IsClosed() {
		return pgconn.ErrConnClosed
	}
	return ctx.Err()
}

// Rollback implements sqlstore.Tx. If it fails the connection is closed, which ends
// the transaction too.
func (t *transaction) Rollback() {
	if t.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackPatience)
	defer cancel()
	_ = t.tx.Rollback(ctx)
	t.release()
}

func (t *transaction) release() {
	if t.conn != nil {
		t.conn.Release()
		t.conn = nil
	}
}

// executor is what a connection and a transaction have in common.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// execEach runs a statement for each row, in as few round trips as can be. A
// duplicate is no error: the statements say what to do ON CONFLICT.
func execEach(ctx context.Context, e executor, query string, rows [][]any) ([]int64, error) {
	affected := make([]int64, len(rows))
	if len(rows) == 1 {
		tag, err := e.Exec(ctx, query, rows[0]...)
		affected[0] = tag.RowsAffected()
		return affected, err
	}
	bulk, ok := inBulk(query)
	if !ok {
		return affected, execBatch(ctx, e, query, rows, affected)
	}
	for done := 0; done < len(rows); done += bulkRows {
		to := min(done+bulkRows, len(rows))
		if err := bulk.exec(ctx, e, rows[done:to], affected[done:to]); err != nil {
			return nil, err
		}
	}
	return affected, nil
}

// execBatch sends all rows before it waits for the first answer.
func execBatch(ctx context.Context, e executor, query string, rows [][]any, affected []int64) error {
	batch := &pgx.Batch{}
	for _, args := range rows {
		batch.Queue(query, args...)
	}
	results := e.SendBatch(ctx, batch)
	for i := range rows {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close() // the same error again
			return err
		}
		affected[i] = tag.RowsAffected()
	}
	return results.Close()
}
