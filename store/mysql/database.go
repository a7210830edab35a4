package mysql

import (
	"context"
	"database/sql"
	"time"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// database is the Database of a store: sqlstore's own, with what MySQL needs around it.
type database struct {
	*sqlstore.DB
	pool *pool
}

func newDatabase(p *pool) database {
	return database{pool: p, DB: sqlstore.NewDB(sqlstore.DBConfig{
		Readers: p.db, Writer: p.db, Looker: p.db, Classify: dialect{}.Classify,
	})}
}

func (d database) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	if err := d.pool.check(ctx); err != nil {
		return nil, err
	}
	return d.DB.Query(ctx, query, args...)
}

// Looks implements sqlstore.Database.
func (d database) Looks() sqlstore.Conn { return d }

// Begin implements sqlstore.Database.
func (d database) Begin(ctx context.Context, _ sqlstore.TxOptions) (sqlstore.Tx, error) {
	if err := d.pool.check(ctx); err != nil {
		return nil, err
	}
	t := &transaction{ctx: ctx, after: func() {}}
	var err error
	t.Tx, err = d.DB.BeginWith(ctx, func(ctx context.Context) (tx *sql.Tx, err error) {
		tx, t.after, err = d.pool.begin(ctx)
		return tx, err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// transaction is a Tx that runs some statements in another form, and that ends when
// its context does.
type transaction struct {
	sqlstore.Tx
	ctx   context.Context
	after func() // what is to be done when it has ended
	ended bool
}

func (t *transaction) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if query == revokeKeys {
		list := len(args) - 1
		args = append([]any{args[list]}, args[:list]...)
	}
	return t.Tx.Exec(ctx, query, args...)
}

func (t *transaction) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	switch query {
	case addUsage:
		if len(rows) > 1 || rows[0][0] == int64(0) {
			return addUses(ctx, t.Tx, rows)
		}
	case insertWriter:
		affected, err := t.Tx.ExecEach(ctx, query, rows)
		for i, n := range affected {
			if n > 1 {
				affected[i] = 0 // it was there
			}
		}
		return affected, err
	}
	if f, ok := formOf(query); ok {
		return execMany(ctx, t.Tx, query, f, rows)
	}
	return t.Tx.ExecEach(ctx, query, rows)
}

// Commit implements sqlstore.Tx. The driver's own waits for as long as the network
// lets it.
func (t *transaction) Commit(ctx context.Context) (bool, error) {
	var sent bool
	var err error
	if !t.end(ctx, func() { sent, err = t.Tx.Commit(ctx) }) {
		return true, ctx.Err()
	}
	return sent, err
}

// Rollback implements sqlstore.Tx.
func (t *transaction) Rollback() {
	if !t.ended {
		t.end(t.ctx, t.Tx.Rollback)
	}
}

// grace is how long an answer that is on its way when the context ends is waited
// for: better a known outcome than an unknown one.
const grace = 100 * time.Millisecond

// end ends the transaction, and what was done for it, and tells whether it came to
// that before the context was over. If not, it is left behind: the network will
// give the connection up some time.
func (t *transaction) end(ctx context.Context, how func()) bool {
	t.ended = true
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		how()
		t.after()
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return true
	case <-time.After(grace):
		return false
	}
}
