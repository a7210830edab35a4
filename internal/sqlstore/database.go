package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// DBConfig is a database behind database/sql.
type DBConfig struct {
	// Readers run what is no transaction, Writer runs transactions, Looker runs the
	// reads of Store.Changes. They may be the same pool.
	Readers, Writer, Looker *sql.DB
	// Isolation is asked for at the beginning of each transaction.
	Isolation sql.IsolationLevel
	// Classify is the Dialect's.
	Classify func(error) Class
}

// DB is a Database behind database/sql. Every statement is prepared once for each
// connection.
type DB struct {
	readers, looker pool
	writer          *prepared
	isolation       sql.IsolationLevel
	classify        func(error) Class
}

var _ Database = (*DB)(nil)

// NewDB returns a Database on pools that stay the caller's to close.
func NewDB(c DBConfig) *DB {
	all := map[*sql.DB]*prepared{}
	of := func(db *sql.DB) *prepared {
		if all[db] == nil {
			all[db] = &prepared{db: db, turn: make(chan struct{}, 1), statements: map[string]*sql.Stmt{}}
		}
		return all[db]
	}
	return &DB{
		readers:   pool{of(c.Readers), c.Classify},
		looker:    pool{of(c.Looker), c.Classify},
		writer:    of(c.Writer),
		isolation: c.Isolation,
		classify:  c.Classify,
	}
}

// Query implements Conn, on a reader.
func (d *DB) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return d.readers.Query(ctx, query, args...)
}

// Exec implements Conn, on a reader.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return d.readers.Exec(ctx, query, args...)
}

// ExecEach implements Conn, on a reader.
func (d *DB) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	return d.readers.ExecEach(ctx, query, rows)
}

// Looks implements Database.
func (d *DB) Looks() Conn { return d.looker }

// Begin implements Database.
func (d *DB) Begin(ctx context.Context, _ TxOptions) (Tx, error) {
	return d.BeginWith(ctx, func(ctx context.Context) (*sql.Tx, error) {
		return d.writer.db.BeginTx(ctx, &sql.TxOptions{Isolation: d.isolation})
	})
}

// BeginWith is Begin with a transaction that the caller makes, on any connection of
// the Writer.
func (d *DB) BeginWith(ctx context.Context, begin func(context.Context) (*sql.Tx, error)) (Tx, error) {
	d.writer.prepareWanted(ctx)
	tx, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	return &dbTx{tx: tx, prepared: d.writer, own: map[string]*sql.Stmt{}, classify: d.classify}, nil
}

// prepared are the statements of a pool.
type prepared struct {
	db         *sql.DB
	turn       chan struct{}        // of the one that prepares
	mu         sync.RWMutex         // of statements; nothing is waited for while it is held
	statements map[string]*sql.Stmt // nil: wanted by a transaction, not prepared yet
}

// get returns the statement of a text, nil if it is not prepared.
func (p *prepared) get(query string) *sql.Stmt {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.statements[query]
}

// prepare returns the statement of a text. It needs a connection of the pool, so it
// must not be called by one who holds the last one. One at a time prepares: a second
// statement of a text would have to be closed, which waits for whatever runs on
// its connection.
func (p *prepared) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt := p.get(query); stmt != nil {
		return stmt, nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if stmt := p.get(query); stmt != nil {
		return stmt, nil
	}
	stmt, err := p.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statements[query] = stmt
	return stmt, nil
}

// want has a text prepared before the next transaction.
func (p *prepared) want(query string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.statements[query]; !known {
		p.statements[query] = nil
	}
}

// prepareWanted prepares what earlier transactions had to prepare for themselves.
// What cannot be prepared is left to the transaction, whose error counts.
func (p *prepared) prepareWanted(ctx context.Context) {
	p.mu.RLock()
	var wanted []string
	for query, stmt := range p.statements {
		if stmt == nil {
			wanted = append(wanted, query)
		}
	}
	p.mu.RUnlock()
	for _, query := range wanted {
		if _, err := p.prepare(ctx, query); err != nil {
			return
		}
	}
}

// pool is a Conn on any connection of a pool.
type pool struct {
	*prepared
	classify func(error) Class
}

func (c pool) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	stmt, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return queryRows(ctx, stmt, args)
}

func (c pool) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	stmt, err := c.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	return execStmt(ctx, stmt, args)
}

func (c pool) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	stmt, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return execEach(ctx, stmt, rows, c.classify)
}

// dbTx is a Tx of database/sql.
type dbTx struct {
	tx       *sql.Tx
	prepared *prepared
	own      map[string]*sql.Stmt // of this transaction
	classify func(error) Class
}

// stmt returns a statement of the transaction's connection. Preparing one on the
// pool would wait for another connection, for ever if this is the only one.
func (t *dbTx) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt := t.own[query]; stmt != nil {
		return stmt, nil
	}
	var stmt *sql.Stmt
	if shared := t.prepared.get(query); shared != nil {
		stmt = t.tx.StmtContext(ctx, shared)
	} else {
		var err error
		if stmt, err = t.tx.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
		t.prepared.want(query)
	}
	t.own[query] = stmt
	return stmt, nil
}

func (t *dbTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	stmt, err := t.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return queryRows(ctx, stmt, args)
}

func (t *dbTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	stmt, err := t.stmt(ctx, query)
	if err != nil {
		return 0, err
	}
	return execStmt(ctx, stmt, args)
}

func (t *dbTx) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	stmt, err := t.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return execEach(ctx, stmt, rows, t.classify)
}

// Commit implements Tx. database/sql does not send it when the context has ended
// or when the transaction was rolled back because of that.
func (t *dbTx) Commit(ctx context.Context) (sent bool, err error) {
	err = t.tx.Commit()
	if errors.Is(err, sql.ErrTxDone) || err != nil && errors.Is(err, ctx.Err()) {
		return false, err
	}
	return true, err
}

func (t *dbTx) Rollback() { _ = t.tx.Rollback() } // after a commit: sql.ErrTxDone

func execStmt(ctx context.Context, stmt *sql.Stmt, args []any) (int64, error) {
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func execEach(ctx context.Context, stmt *sql.Stmt, rows [][]any, classify func(error) Class) ([]int64, error) {
	affected := make([]int64, len(rows))
	for i, args := range rows {
		n, err := execStmt(ctx, stmt, args)
		if err != nil && classify(err) != Duplicate {
			return nil, err
		}
		affected[i] = n
	}
	return affected, nil
}

func queryRows(ctx context.Context, stmt *sql.Stmt, args []any) (Rows, error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return sqlRows{rows}, nil
}

// sqlRows are sql.Rows whose Close returns nothing: Err tells what there is to tell.
type sqlRows struct{ *sql.Rows }

func (r sqlRows) Close() { _ = r.Rows.Close() }
