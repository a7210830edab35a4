package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ExampleOpen() {
	ctx := context.Background()
	db, err := store.Open(ctx, "sqlite://:memory:")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		panic(err)
	}
	client, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: apikeys.NewSecret("J3x9Vb7QpL2mZt5RkY8wNc4HsD6fGa1T")})
	if err != nil {
		panic(err)
	}
	defer client.Close(ctx)
	organization, err := client.CreateOrganization(ctx, "Acme")
	if err != nil {
		panic(err)
	}
	fmt.Println(organization.Name)
	// Output: Acme
}

// works migrates a database and writes to it.
func works(t *testing.T, url string) {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range 2 {
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settings := apikeys.SettingsRecord{Version: 1, ShieldKeys: [][]byte{{1}}}
	if got, err := db.EnsureSettings(t.Context(), settings); err != nil || got.Version != 1 {
		t.Errorf("got version %d, %v, want 1", got.Version, err)
	}
}

func TestOpenSQLite(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"sqlite", "SQLite", "sqlite+aiosqlite"} {
		works(t, scheme+"://:memory:")
		works(t, scheme+":///"+t.TempDir()+"/a.db")
	}
}

func TestOpenPostgres(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig(testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{User: url.UserPassword(config.User, config.Password), Path: config.Database}
	if strings.HasPrefix(config.Host, "/") {
		u.RawQuery = url.Values{"host": {config.Host}, "port": {fmt.Sprint(config.Port)}}.Encode()
	} else {
		u.Host = fmt.Sprintf("%s:%d", config.Host, config.Port)
	}
	for _, scheme := range []string{"postgres", "postgresql", "postgresql+asyncpg"} {
		u.Scheme = scheme
		works(t, u.String())
	}
}

func TestOpenMySQL(t *testing.T) {
	t.Parallel()
	config, err := driver.ParseDSN(testdb.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{User: url.UserPassword(config.User, config.Passwd), Path: config.DBName, Host: config.Addr}
	if config.Net == "unix" {
		u.Host, u.RawQuery = "localhost", url.Values{"unix_socket": {config.Addr}}.Encode()
	}
	for _, scheme := range []string{"mysql", "mariadb", "MySQL", "mysql+pymysql", "mariadb+mariadbconnector"} {
		u.Scheme = scheme
		works(t, u.String())
	}
}

// TestOpenShowsNoPassword has passwords with every character that has a meaning in a
// URL, escaped and not, and nobody who answers.
func TestOpenShowsNoPassword(t *testing.T) {
	t.Chdir(t.TempDir()) // some are names of files
	const part = "topsecret"
	passwords := []string{part, part + "%zz", part + "\n", "[" + part + "]", url.QueryEscape("@:/?#% " + part)}
	for _, c := range "@:/?#%&=+;, !'\"\\^`é" {
		passwords = append(passwords, part+string(c)+part, "1"+string(c)+part)
	}
	for _, scheme := range []string{"sqlite://", "postgres://", "postgresql+psycopg2://", "mysql://", "mysql+pymysql://", "oracle://", "", part + "://"} {
		for _, password := range passwords {
			for _, rest := range []string{"@127.0.0.1:1/app?connect_timeout=1", "@127.0.0.1:port/app", "@[::1/app"} {
				url := scheme + "user:" + password + rest
				db, err := store.Open(t.Context(), url)
				if err == nil {
					_ = db.Close()
					t.Fatalf("scheme %q, rest %q: got no error", scheme, rest)
				}
				if strings.Contains(err.Error(), part) {
					t.Fatalf("scheme %q, rest %q: got an error with the password: %q", scheme, rest, strings.ReplaceAll(err.Error(), part, "……"))
				}
			}
		}
	}
}

func TestOpenRefusesOtherSchemes(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "app.db", "oracle://host/app", "user:password@tcp(host)/app", "host=localhost", "://", "mysql:/host", "sqlitex://a"} {
		if _, err := store.Open(t.Context(), url); !errors.Is(err, apikeys.ErrInvalidArgument) || !strings.Contains(err.Error(), "sqlite://") || !strings.Contains(err.Error(), " postgres://") {
			t.Errorf("%q: got error %v, want one that names the schemes", url, err)
		}
	}
}
