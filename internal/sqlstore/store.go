// Package sqlstore is what the SQL stores share: the flow of every method of
// [apikeys.Store], written once, over statements that each database brings in
// words of its own.
//
// A [Store] knows no driver. It runs [Statements] on a [Database] and asks a
// [Dialect] how values are given and what errors mean. Locks are taken in one
// order everywhere, so that no two methods wait for each other: resources, keys by
// id, usage and the rest, events, and the revision last of all.
package sqlstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/coalesce"
)

// Store implements [apikeys.Store] on a database. The store of each database
// embeds it, and may do single methods in a way of its own.
type Store struct {
	db      Database
	dialect Dialect
	st      *Statements

	folds    *coalesce.Group[struct{}, struct{}]
	foldUses int // of the next transaction of folds, which make one at a time
}

var _ apikeys.Store = (*Store)(nil)

// New returns a store on db. Neither d nor st may change afterwards.
func New(db Database, d Dialect, st *Statements) *Store {
	s := &Store{db: db, dialect: d, st: st, foldUses: mostUses}
	s.folds = newFolds(s.fold)
	return s
}

// all returns every row of a query.
func all[T any](ctx context.Context, c Conn, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := c.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, rows.Err()
}

// first returns the first row of a query, and whether there is one.
func first[T any](ctx context.Context, c Conn, scan func(row) (T, error), query string, args ...any) (T, bool, error) {
	found, err := all(ctx, c, scan, query, args...)
	if err != nil || len(found) == 0 {
		var none T
		return none, false, err
	}
	return found[0], true, nil
}

// one returns the first row of a query; ErrNotFound when there is none.
func one[T any](ctx context.Context, c Conn, scan func(row) (T, error), query string, args ...any) (T, error) {
	v, ok, err := first(ctx, c, scan, query, args...)
	if err == nil && !ok {
		err = apikeys.ErrNotFound
	}
	return v, err
}

// insert runs an "if absent" statement and tells whether it inserted.
func insert(ctx context.Context, c Conn, query string, args ...any) (bool, error) {
	affected, err := c.ExecEach(ctx, query, [][]any{args})
	return err == nil && affected[0] > 0, err
}

// run runs statements one after the other until one fails.
func run(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// exec is a step that runs one statement.
func exec(ctx context.Context, c Conn, query string, args ...any) func() error {
	return func() error {
		_, err := c.Exec(ctx, query, args...)
		return err
	}
}

// asked tells a statement whether an id selects.
func asked(id uuid.UUID) int {
	if id == uuid.Nil {
		return 0
	}
	return 1
}

// scopeArgs are a scope's four arguments.
func (s *Store) scopeArgs(scope apikeys.Scope) []any {
	return []any{asked(scope.OrganizationID), s.dialect.ID(scope.OrganizationID), scope.OwnerID, scope.OwnerID}
}

// impossible tells of a scope that has an owner and no organization. It never
// happens, and would be a mistake if it matched.
func impossible(scope apikeys.Scope) bool {
	return scope.OwnerID != "" && scope.OrganizationID == uuid.Nil
}

// before is where a page begins: the ids less than this.
func (s *Store) before(id uuid.UUID) any {
	if id == uuid.Nil {
		id = uuid.Max
	}
	return s.dialect.ID(id)
}

// noLimit is what a limit of zero stands for in a list.
const noLimit = 1<<31 - 1

func limitOf(n int) int {
	if n <= 0 {
		return noLimit
	}
	return n
}
