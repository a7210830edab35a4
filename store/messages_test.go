package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/messages"
	"github.com/apikeys-platform/apikeys/migrations"
	"github.com/apikeys-platform/apikeys/store"
	"github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/postgres"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// opening is what opening a database says, by what was given. DIR is a directory with the file text, which is
// no database, and the directory sub.
type opening struct{ dsn, want string }

var urls = []opening{
	{"", `apikeys: url: is empty: write sqlite:///app.db or sqlite://:memory:, postgres://user:password@host/database or mysql://user:password@host/database`},
	{"app.db", `apikeys: url: does not begin with one of sqlite://, postgres://, postgresql://, mysql:// and mariadb://`},
}

var sqliteNames = []opening{
	{"", `apikeys: dsn: is empty: give the name of a file, or ":memory:"`},
	{"sqlite://app.db", `apikeys: dsn: names a host: write sqlite:///relative.db or sqlite:////absolute.db`},
	{"file://host/app.db", `apikeys: dsn: names a host: write file:relative.db or file:/absolute.db`},
	{"file:?mode=ro", `apikeys: dsn: does not name a file: write file:relative.db or file:/absolute.db`},
	{"file:app.db?mode=%zz", `apikeys: dsn: has options that cannot be read: escape them as in a URL`},
	{"file:DIR/new.db?_txlock=sometimes", `apikeys: dsn: has options that the driver does not know`},
	{"DIR/sub", `sqlite: open: DIR/sub is a directory: name a file in it`},
	{"DIR/missing/app.db", `sqlite: open: the directory DIR/missing is not there: create it first: file does not exist`},
	{"file:DIR/missing.db?mode=ro", `sqlite: open DIR/missing.db: the file is not there, and mode=ro does not make it: file does not exist`},
	{"DIR/text", `sqlite: open DIR/text: the file is not a SQLite database: sqlite: File opened that is not a database file (SQLITE_NOTADB) (code 26)`},
}

var postgresNames = []opening{
	{"", `apikeys: dsn: is empty: give a URL, or keywords and values; "postgres://" takes all from the environment (PGHOST, …)`},
	{"mysql://host/app", `apikeys: dsn: is not of Postgres: begin it with postgres://`},
	{"postgres://u:a%b@host/app", `apikeys: dsn: is not a URL: escape what has a meaning in one, such as @ : / ? # % in the password (%40 %3A %2F %3F %23 %25)`},
	{"postgres://host/app?sslrootcert=DIR/none.pem", `apikeys: dsn: names a file that cannot be read (sslrootcert, sslcert, sslkey, passfile or servicefile)`},
	{"postgres://host/app?pool_max_conns=x", `apikeys: dsn: has an option that cannot be, such as sslmode, port, connect_timeout, default_query_exec_mode or pool_max_conns`},
	{"postgres:///app?host=DIR", `postgres: connect: no such file or directory: there is no server at this socket; is the host missing?`},
	{"postgres://127.0.0.1:1/app?sslmode=disable", `postgres: connect: connection refused: is the server running, at this host and port?`},
}

var mysqlNames = []opening{
	{"", `apikeys: dsn: is empty: write mysql://user:password@host/database`},
	{"user@host", `apikeys: dsn: cannot be read: write user:password@tcp(host:3306)/database or mysql://user:password@host/database`},
	{"mysql://u:a@b@c%zz/app", `apikeys: dsn: is not a URL: escape the characters : / ? # [ ] @ % in its user and password, as %3A for a colon`},
	{"mysql://host/app?x=%zz", `apikeys: dsn: has options that cannot be read: escape them as in a URL`},
	{"mysql://host/app?parseTime=perhaps", `apikeys: dsn: has an option that the driver does not take, or an address that it cannot read`},
	{"user@unix(DIR/sock)/app", `mysql: dial unix: no such file or directory: there is no server at this socket; is the host missing?`},
	{"user@tcp(127.0.0.1:1)/app", `mysql: dial tcp: connection refused: is the server running, at this host and port?`},
}

// elsewhere are texts that need a server, or a database, with something wrong: the tests beside the stores make them.
var elsewhere = []string{
	// sqlite: TestOpenSaysWhatIsWrong and its likes, where files can be taken from the user; ErrReplaced
	"sqlite: open: the directory %s cannot be read: %w",
	"sqlite: open %s: it cannot be written: allow it, or open it with ?mode=ro: %w",
	"sqlite: open %s: the file or its directory cannot be read or written: %w: %w",
	"sqlite: the database file was replaced while it was open: restart the process",
	// postgres: sessions with other settings, a pooler, a database in another encoding, rows changed by hand
	"a hash has another length than it was stored with",
	"a time is infinite",
	"client_encoding is not UTF8: leave it to the driver",
	"simple_protocol needs standard_conforming_strings=on: turn it on, or set default_query_exec_mode to exec",
	"exec and simple_protocol need a DateStyle of ISO: set it, or set default_query_exec_mode to cache_describe",
	"postgres: the connections go through a pooler, behind which LISTEN may not work: %w",
	"postgres: the database is not encoded in UTF8: create it with ENCODING 'UTF8'",
	"postgres: connect: %s (SQLSTATE %s)",
	// mysql: what the driver refuses of options that it took before
	"has options that the driver does not take",
	// migrations: a lock that somebody holds, a pool of one connection
	"migrations: another process is migrating or has locked the database: try again when it has ended",
	"migrations: Postgres needs two connections: allow db more than one",
	"migrations: none for %q", // the files are embedded: there are some
}

func TestStoresSayWhatToDo(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("paths and the words of the operating system are others there")
	}
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("text ", 1000)), 0o600)); err != nil {
		t.Fatal(err)
	}
	try := func(openings []opening, open func(context.Context, string) (store.DB, error)) {
		for _, o := range openings {
			db, err := open(t.Context(), strings.ReplaceAll(o.dsn, "DIR", filepath.ToSlash(dir)))
			if err == nil {
				_ = db.Close()
				t.Errorf("%q: no error; want %s", o.dsn, o.want)
				continue
			}
			if got := strings.ReplaceAll(filepath.ToSlash(err.Error()), filepath.ToSlash(dir), "DIR"); got != o.want {
				t.Errorf("%q:\ngot  %s\nwant %s", o.dsn, got, o.want)
			}
		}
	}
	try(urls, store.Open)
	try(sqliteNames, as(sqlite.Open))
	try(postgresNames, as(postgres.Open))
	try(mysqlNames, as(mysql.Open))
	if _, err := mysql.New(nil); err == nil || err.Error() != "apikeys: db: is nil" {
		t.Errorf("got %v", err)
	}
	if err := migrations.Up(t.Context(), new(sql.DB), "oracle"); err == nil || err.Error() != `migrations: unknown database "oracle"` {
		t.Errorf("got %v", err)
	}
}

func as[S store.DB](open func(context.Context, string) (S, error)) func(context.Context, string) (store.DB, error) {
	return func(ctx context.Context, dsn string) (store.DB, error) { return open(ctx, dsn) }
}

// No text of an error is missing in the tables.
func TestEveryMessageIsInTheTables(t *testing.T) {
	t.Parallel()
	said := []string{"apikeys: db: is nil", `migrations: unknown database "oracle"`, apikeys.ErrNotFound.Error()}
	for _, o := range slices.Concat(urls, sqliteNames, postgresNames, mysqlNames) {
		said = append(said, o.want)
	}
	wraps := regexp.MustCompile(`^(sqlite: open( %s)?|mysql|migrations(: inspect)?): %w(: %w)?$|^sqlite: open %s: %w: %w$`)
	for _, dir := range []string{".", "sqlite", "postgres", "mysql", "../migrations"} {
		unsaid, err := messages.Unsaid(dir, said, "invalid", "problem")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range unsaid {
			if !slices.Contains(elsewhere, text) && !wraps.MatchString(text) {
				t.Errorf("%s: no row has %q", dir, text)
			}
		}
	}
}
