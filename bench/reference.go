package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// reference is what a program does that has no such library: one transaction for each
// request, which reads the key, counts the request in its window and writes the use.
// Better than most, it counts in one statement and prepares all of them.
type reference interface {
	prepare(ctx context.Context) error
	insert(ctx context.Context, keys []referenceKey) error
	flow(ctx context.Context, hash []byte, window int64) error
}

const (
	referenceLimit = 1 << 40
	referenceScope = `["read", "write"]`
)

// referenceKey is a key of the reference.
type referenceKey struct {
	id     string
	hash   []byte
	custom string
}

// fill gives the reference as many keys as we have, with the same texts.
func fill(ctx context.Context, r reference, texts []string) error {
	data, err := json.Marshal(custom())
	if err != nil {
		return err
	}
	keys := make([]referenceKey, len(texts))
	for i, text := range texts {
		keys[i] = referenceKey{uuid.NewString(), referenceHash(text), string(data)}
	}
	return r.insert(ctx, keys)
}

func referenceHash(text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// referenceFlow is the operation of a reference.
func referenceFlow(r reference, texts []string) operation {
	return func(ctx context.Context, i int) error {
		return r.flow(ctx, referenceHash(texts[i]), time.Now().Unix()/60)
	}
}

// bareSelect is the row of a reference as an operation; nil where it has none.
func bareSelect(r reference, texts []string) operation {
	p, ok := r.(*postgresReference)
	if !ok {
		return nil
	}
	return func(ctx context.Context, i int) error { return p.row(ctx, referenceHash(texts[i])) }
}

// record is what a program reads of a key.
type record struct {
	id, name, scopes, custom string
	organization             string
	limit                    int64
	revoked, expires         *int64
}

func (r *record) targets() []any {
	return []any{&r.id, &r.organization, &r.name, &r.scopes, &r.custom, &r.limit, &r.revoked, &r.expires}
}

var errRefused = errors.New("refused")

// judge is what the flow asks of a key, the count of its window included.
func (r *record) judge(count int64) error {
	if r.revoked != nil || r.expires != nil && *r.expires < time.Now().Unix() || count > r.limit {
		return errRefused
	}
	return nil
}

const (
	referenceTables1 = `
CREATE TABLE bench_keys (id VARCHAR(36) NOT NULL PRIMARY KEY, hash `
	referenceTables2 = ` NOT NULL UNIQUE, organization_id VARCHAR(36) NOT NULL, name TEXT NOT NULL,
  scopes TEXT NOT NULL, custom TEXT NOT NULL, rate BIGINT NOT NULL, revoked_at BIGINT, expires_at BIGINT,
  use_count BIGINT NOT NULL DEFAULT 0, last_used_at BIGINT)`
	referenceCounters = `
CREATE TABLE bench_counters (key_id VARCHAR(36) NOT NULL, window_start BIGINT NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (key_id, window_start))`
	selectColumns = `SELECT id, organization_id, name, scopes, custom, rate, revoked_at, expires_at FROM bench_keys WHERE hash = `
)

type postgresReference struct{ pool *pgxpool.Pool }

func (r *postgresReference) prepare(ctx context.Context) error {
	_, err := r.pool.Exec(ctx, referenceTables1+"BYTEA"+referenceTables2)
	_, err2 := r.pool.Exec(ctx, referenceCounters)
	return errors.Join(err, err2)
}

func (r *postgresReference) insert(ctx context.Context, keys []referenceKey) error {
	_, err := r.pool.CopyFrom(ctx, pgx.Identifier{"bench_keys"}, []string{"id", "hash", "organization_id", "name", "scopes", "custom", "rate"},
		pgx.CopyFromSlice(len(keys), func(i int) ([]any, error) {
			return []any{keys[i].id, keys[i].hash, "o", "bench", referenceScope, keys[i].custom, int64(referenceLimit)}, nil
		}))
	if err == nil {
		_, err = r.pool.Exec(ctx, "ANALYZE")
	}
	return err
}

// row is one bare indexed SELECT: what a read costs at least.
func (r *postgresReference) row(ctx context.Context, hash []byte) error {
	var key record
	return r.pool.QueryRow(ctx, selectColumns+`$1`, hash).Scan(key.targets()...)
}

func (r *postgresReference) flow(ctx context.Context, hash []byte, window int64) error {
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		var key record
		if err := tx.QueryRow(ctx, selectColumns+`$1`, hash).Scan(key.targets()...); err != nil {
			return err
		}
		var count int64
		if err := tx.QueryRow(ctx, `
INSERT INTO bench_counters AS c (key_id, window_start, count) VALUES ($1, $2, 1)
ON CONFLICT (key_id, window_start) DO UPDATE SET count = c.count + 1 RETURNING count`, key.id, window).Scan(&count); err != nil {
			return err
		}
		if err := key.judge(count); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE bench_keys SET use_count = use_count + 1, last_used_at = $1 WHERE id = $2`, time.Now().Unix(), key.id)
		return err
	})
}

// prepared are the statements of the flow on database/sql.
type prepared struct{ read, count, use *sql.Stmt }

// prepareAll makes the tables and prepares the flow.
func prepareAll(ctx context.Context, db *sql.DB, binary, count string) (p prepared, err error) {
	for _, create := range []string{referenceTables1 + binary + referenceTables2, referenceCounters} {
		if _, err := db.ExecContext(ctx, create); err != nil {
			return p, err
		}
	}
	for stmt, text := range map[**sql.Stmt]string{
		&p.read: selectColumns + `?`, &p.count: count,
		&p.use: `UPDATE bench_keys SET use_count = use_count + 1, last_used_at = ? WHERE id = ?`,
	} {
		if *stmt, err = db.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // as long as the program
			return p, err
		}
	}
	return p, nil
}

func insertReference(ctx context.Context, db *sql.DB, keys []referenceKey) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO bench_keys (id, hash, organization_id, name, scopes, custom, rate) VALUES (?, ?, 'o', 'bench', ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, key := range keys {
		if _, err := stmt.ExecContext(ctx, key.id, key.hash, referenceScope, key.custom, int64(referenceLimit)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// flow is the transaction; count counts the request in it.
func (p *prepared) flow(ctx context.Context, db *sql.DB, hash []byte, count func(*sql.Tx, string) (int64, error)) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var key record
	if err := tx.StmtContext(ctx, p.read).QueryRowContext(ctx, hash).Scan(key.targets()...); err != nil { //nolint:sqlclosecheck // of the transaction
		return err
	}
	n, err := count(tx, key.id)
	if err == nil {
		err = key.judge(n)
	}
	if err != nil {
		return err
	}
	if _, err := tx.StmtContext(ctx, p.use).ExecContext(ctx, time.Now().Unix(), key.id); err != nil { //nolint:sqlclosecheck // of the transaction
		return err
	}
	return tx.Commit()
}

type mysqlReference struct {
	db *sql.DB
	prepared
}

func (r *mysqlReference) prepare(ctx context.Context) (err error) {
	r.prepared, err = prepareAll(ctx, r.db, "VARBINARY(32)", `
INSERT INTO bench_counters (key_id, window_start, count) VALUES (?, ?, LAST_INSERT_ID(1)) ON DUPLICATE KEY UPDATE count = LAST_INSERT_ID(count + 1)`)
	return err
}

func (r *mysqlReference) insert(ctx context.Context, keys []referenceKey) error {
	return insertReference(ctx, r.db, keys)
}

func (r *mysqlReference) flow(ctx context.Context, hash []byte, window int64) error {
	return r.prepared.flow(ctx, r.db, hash, func(tx *sql.Tx, id string) (int64, error) {
		result, err := tx.StmtContext(ctx, r.count).ExecContext(ctx, id, window) //nolint:sqlclosecheck // of the transaction
		if err != nil {
			return 0, err
		}
		return result.LastInsertId()
	})
}

type sqliteReference struct {
	db *sql.DB
	prepared
}

func (r *sqliteReference) prepare(ctx context.Context) (err error) {
	r.prepared, err = prepareAll(ctx, r.db, "BLOB", `
INSERT INTO bench_counters (key_id, window_start, count) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count`)
	return err
}

func (r *sqliteReference) insert(ctx context.Context, keys []referenceKey) error {
	return insertReference(ctx, r.db, keys)
}

func (r *sqliteReference) flow(ctx context.Context, hash []byte, window int64) error {
	return r.prepared.flow(ctx, r.db, hash, func(tx *sql.Tx, id string) (n int64, err error) {
		err = tx.StmtContext(ctx, r.count).QueryRowContext(ctx, id, window).Scan(&n) //nolint:sqlclosecheck // of the transaction
		return n, err
	})
}
