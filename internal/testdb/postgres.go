package testdb

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// newPostgres creates a database on the server as a copy of the template, and drops it with the test.
func newPostgres(t testing.TB, server, template string) string {
	t.Helper()
	name := newName()
	if err := execPostgres(t.Context(), server, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatalf("create a database on the server in %s: %v", PostgresVariable, err)
	}
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t)
		defer cancel()
		if err := execPostgres(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return withPostgresDatabase(server, name)
}

// execPostgres runs one statement on a connection of its own, without preparing it: databases cannot be created otherwise.
func execPostgres(ctx context.Context, server, statement string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol)
	return err
}

// withPostgresDatabase is the DSN with another database in it.
func withPostgresDatabase(dsn, name string) string {
	if parsed, err := url.Parse(dsn); err == nil && strings.HasPrefix(parsed.Scheme, "postgres") {
		parsed.Path = "/" + name
		return parsed.String()
	}
	return dsn + " dbname=" + name // of keywords and values, the last counts
}

func postgresDatabase(t testing.TB, dsn string) string {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatalf("read the DSN in %s: %v", PostgresVariable, err)
	}
	return config.Database
}
