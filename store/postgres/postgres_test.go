package postgres_test

import (
	"context"
	"errors"
	"hash/fnv"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/store/postgres"
	"github.com/apikeys-platform/apikeys/store/storetest"
)

// TestMain also runs the processes that tests start.
func TestMain(m *testing.M) {
	child.Main(map[string]child.Task{"migrate": migrateAsChild})
	goleak.VerifyTestMain(testdb.Examples{M: m, Server: testdb.PostgresVariable, Database: testdb.Postgres, Variable: "DATABASE_URL"})
}

// settings are of connections that hosts may have.
func settings() []string {
	const hostile = "default_transaction_isolation=serializable&timezone=Asia/Kathmandu&intervalstyle=postgres_verbose&" +
		"plan_cache_mode=force_generic_plan&enable_indexscan=off&synchronize_seqscans=off&lc_messages=C"
	return []string{
		"",
		"default_query_exec_mode=cache_describe",
		"default_query_exec_mode=describe_exec",
		"default_query_exec_mode=exec",
		"default_query_exec_mode=simple_protocol",
		"pool_max_conns=1",
		"search_path=own",
		"default_query_exec_mode=exec&search_path=own,public",
		"datestyle=German&bytea_output=escape&extra_float_digits=-15&standard_conforming_strings=off&" + hostile,
		"default_query_exec_mode=exec&" + hostile,
		"default_query_exec_mode=simple_protocol&default_transaction_isolation=repeatable%20read&statement_cache_capacity=0",
	}
}

// TestStore runs each test of the suite with one of the settings, always the same
// for a test; in the full dose, all with all.
func TestStore(t *testing.T) {
	t.Parallel()
	free := newDatabases(t)
	if !testdb.Full() {
		storetest.Run(t, func(t *testing.T) apikeys.Store {
			h := fnv.New32a()
			_, _ = h.Write([]byte(t.Name()))
			setting := settings()[h.Sum32()%uint32(len(settings()))]
			t.Log("settings:", setting)
			return open(t, with(t, free.Take(t), setting))
		})
		return
	}
	for _, setting := range settings() {
		t.Run(setting, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) apikeys.Store { return open(t, with(t, free.Take(t), setting)) })
		})
	}
}

func TestPoolStaysItsOwners(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := postgres.New(pool)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	createOrganization(t, s)
	createKeys(t, s, newKey(), newKey())
	if found, err := s.ListKeys(t.Context(), apikeys.KeyQuery{Limit: 1}); err != nil || len(found) != 1 {
		t.Fatalf("got %d keys, %v, want 1", len(found), err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("got error %v of the pool after Close, want none", err)
	}
	if got := pool.Stat().AcquiredConns(); got != 0 {
		t.Errorf("got %d connections that were not given back, want 0", got)
	}
}

func TestUnmigrated(t *testing.T) {
	t.Parallel()
	s := open(t, testdb.Postgres(t))
	_, err := s.EnsureSettings(t.Context(), apikeys.SettingsRecord{Version: 1})
	if err == nil || !strings.Contains(err.Error(), "call Migrate") {
		t.Errorf("got error %v, want one that says to call Migrate", err)
	}
}

// An argument that Postgres cannot keep is an error of the call, and the connection
// lives on.
func TestNUL(t *testing.T) {
	t.Parallel()
	template := newTemplate(t)
	for _, setting := range settings()[:5] {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := open(t, with(t, template.Copy(t), setting))
			createOrganization(t, s)
			good, bad := newKey(), newKey()
			bad.Name = "a\x00secret"
			for range 2 {
				_, err := s.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{good, bad})
				if err == nil || strings.Contains(err.Error(), "secret") || errors.Is(err, apikeys.ErrOutcomeUnknown) {
					t.Errorf("got error %v, want one that does not show the argument", err)
				}
			}
			if _, err := s.ListKeys(t.Context(), apikeys.KeyQuery{Search: "\x00", Limit: 1}); err == nil {
				t.Error("a search: got no error, want one")
			}
			createKeys(t, s, good)
		})
	}
}

// A pooler that hands out connections by transaction, and does not know prepared
// statements, is like a server that forgets them.
func TestStatementsForgotten(t *testing.T) {
	t.Parallel()
	template := newTemplate(t)
	for _, tc := range []struct {
		mode string
		ok   bool
	}{{"cache_statement", false}, {"cache_describe", true}, {"exec", true}, {"simple_protocol", true}} {
		t.Run(tc.mode, func(t *testing.T) {
			t.Parallel()
			config, err := pgxpool.ParseConfig(with(t, template.Copy(t), "default_query_exec_mode="+tc.mode+"&pool_max_conns=1"))
			if err != nil {
				t.Fatal(err)
			}
			config.AfterRelease = forget
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			s := postgres.New(pool)
			for range 3 {
				if _, err = s.Binding(t.Context(), testOrganization.ID, testOrganization.ID); err != nil {
					break
				}
			}
			if tc.ok && err != nil {
				t.Errorf("got error %v, want none", err)
			}
			if !tc.ok && (err == nil || !strings.Contains(err.Error(), "default_query_exec_mode")) {
				t.Errorf("got error %v, want one that says which mode to use", err)
			}
		})
	}
}

// forget drops a connection's prepared statements behind the driver's back.
func forget(conn *pgx.Conn) bool {
	_, err := conn.PgConn().Exec(context.Background(), "DEALLOCATE ALL").ReadAll()
	return err == nil
}

// newDatabases returns databases with tables, for the subtests of t.
func newDatabases(t *testing.T) *testdb.Supply {
	t.Helper()
	return testdb.NewSupply(t, newTemplate(t), empty)
}

func empty(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, schema := range []string{"own", "public"} {
		_, errEmpty := conn.Exec(ctx, "SET lock_timeout = '10s'; SET search_path = "+schema+";"+emptyTables, pgx.QueryExecModeSimpleProtocol)
		err = errors.Join(err, errEmpty)
	}
	return err
}

const emptyTables = `
DELETE FROM apikeys_secrets;
DELETE FROM apikeys_usage;
DELETE FROM apikeys_usage_hours;
DELETE FROM apikeys_usage_log;
DELETE FROM apikeys_keys;
DELETE FROM apikeys_links;
DELETE FROM apikeys_resources;
DELETE FROM apikeys_settings;
DELETE FROM apikeys_writers;
DELETE FROM apikeys_windows;
DELETE FROM apikeys_changes;
DELETE FROM apikeys_events;
UPDATE apikeys_state SET revision = 0, stamp = '00000000-0000-0000-0000-000000000000'`

// newTemplate makes a database with tables, to be copied: in its default schema, and in
// one that is named own.
func newTemplate(t *testing.T) *testdb.Template {
	t.Helper()
	return testdb.PostgresTemplate(t, func(ctx context.Context, dsn string) error {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE SCHEMA own")
		return errors.Join(err, conn.Close(ctx), migrate(ctx, dsn), migrate(ctx, with(t, dsn, "search_path=own")))
	})
}

func migrate(ctx context.Context, dsn string) error {
	s, err := postgres.Open(ctx, dsn)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx), s.Close())
}

// open returns a store on a database that may have its tables.
func open(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openMigrated returns a store on a database of its own, with an organization.
func openMigrated(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	s := open(t, dsn)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	createOrganization(t, s)
	return s
}

// with adds options to a dsn, whichever form it has.
func with(t testing.TB, dsn, options string) string {
	t.Helper()
	values, err := url.ParseQuery(options)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(dsn)
	isURL := err == nil && strings.HasPrefix(parsed.Scheme, "postgres")
	if isURL {
		query := parsed.Query()
		for name := range values {
			query.Set(name, values.Get(name))
		}
		parsed.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
		return parsed.String()
	}
	for name := range values {
		dsn += " " + name + "='" + values.Get(name) + "'"
	}
	return dsn
}
