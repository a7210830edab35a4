package mysql_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testdb.Examples{M: m, Server: testdb.MySQLVariable, Database: testdb.MySQL, Variable: "DATABASE_URL"})
}

func TestStore(t *testing.T) {
	t.Parallel()
	free := newDatabases(t)
	storetest.Run(t, func(t *testing.T) apikeys.Store { return open(t, free.Take(t)) })
}

// newDatabases returns databases with the tables, for the subtests of t.
func newDatabases(t *testing.T) *testdb.Supply {
	t.Helper()
	return testdb.NewSupply(t, newTemplate(t), empty)
}

func empty(ctx context.Context, dsn string) error {
	db, err := sql.Open("mysql", with(dsn, "foreign_key_checks=0", "innodb_lock_wait_timeout=10"))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range []string{
		"DELETE FROM apikeys_settings", "DELETE FROM apikeys_resources", "DELETE FROM apikeys_links", "DELETE FROM apikeys_keys",
		"DELETE FROM apikeys_secrets", "DELETE FROM apikeys_usage", "DELETE FROM apikeys_usage_hours", "DELETE FROM apikeys_usage_log",
		"DELETE FROM apikeys_writers", "DELETE FROM apikeys_windows", "DELETE FROM apikeys_changes", "DELETE FROM apikeys_events",
		"UPDATE apikeys_state SET revision = 0, stamp = REPEAT(0x00, 16)",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// newTemplate makes a database with the tables, to be copied.
func newTemplate(t testing.TB) *testdb.Template {
	t.Helper()
	return testdb.MySQLTemplate(t, migrate)
}

func migrate(ctx context.Context, dsn string) error {
	s, err := mysql.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Migrate(ctx)
}

// open returns a store that is closed when the test ends.
func open(t testing.TB, dsn string) *mysql.Store {
	t.Helper()
	s, err := mysql.Open(t.Context(), dsn)
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

// openNew returns a store on an empty database with its tables.
func openNew(t testing.TB) (*mysql.Store, string) {
	t.Helper()
	dsn := testdb.MySQL(t)
	s := open(t, dsn)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, dsn
}

// openPool returns a pool of a host's.
func openPool(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	config, err := driver.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// withPool returns a store on a pool of a host's.
func withPool(t testing.TB, db *sql.DB) *mysql.Store {
	t.Helper()
	s, err := mysql.New(db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	testTime         = time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.UTC)
	testOrganization = apikeys.ResourceRecord{
		Kind: apikeys.KindOrganization, ID: uuid.UUID{0xaa}, OrganizationID: uuid.UUID{0xaa}, Name: "organization",
		CreatedAt: testTime, UpdatedAt: testTime,
	}
)

func createOrganization(t testing.TB, s apikeys.Store) {
	t.Helper()
	if _, _, err := s.CreateResource(t.Context(), newMutation(), testOrganization); err != nil {
		t.Fatal(err)
	}
}

func newMutation() apikeys.Mutation {
	return apikeys.Mutation{ID: uuid.New(), At: testTime, Action: "test"}
}

func newKeys(t testing.TB, n int) []apikeys.KeyRecord {
	t.Helper()
	keys := make([]apikeys.KeyRecord, n)
	for i := range keys {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = apikeys.KeyRecord{
			ID: id, OrganizationID: testOrganization.ID, Head: "sk", Hint: "sk_Ab3d…x9Qz", Name: "key", Version: 1,
			CreatedAt: testTime, UpdatedAt: testTime,
			Secret: apikeys.SecretRecord{KeyID: id, Number: 1, Hash: sha256.Sum256(id[:]), SigningID: "s", CreatedAt: testTime},
		}
	}
	return keys
}

// createKeys creates keys, all of them.
func createKeys(t testing.TB, s apikeys.Store, n int) []apikeys.KeyRecord {
	t.Helper()
	keys := newKeys(t, n)
	faults, err := s.CreateKeys(t.Context(), newMutation(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		if fault != nil {
			t.Fatal(fault)
		}
	}
	return keys
}
