package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

// passwords have what means something in a URL, or in keywords and values.
var passwords = []string{
	"h0rse@b4ttery", "h0rse:b4ttery", "h0rse/b4ttery", "h0rse?b4ttery", "h0rse#b4ttery", "h0rse%b4ttery", "h0rse%zzb4ttery",
	"h0rse b4ttery", "h0rse'b4ttery", `h0rse\b4ttery`, "h0rse&b4ttery=", "54321#h0rse/b4ttery", "[h0rse]b4ttery", "h0rse,b4ttery",
}

// wantSecret fails if an error shows a part of a password, in whatever way it is printed.
func wantSecret(t *testing.T, err error) {
	t.Helper()
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		for _, part := range []string{"h0rse", "b4ttery", "54321"} {
			if strings.Contains(text, part) {
				t.Fatal("an error shows a part of the password")
			}
		}
	}
}

// wantTyped fails unless an error is one of the two that Open is to return.
func wantTyped(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, apikeys.ErrInvalidArgument) && !errors.As(err, new(*postgres.ConnectError)) {
		t.Errorf("got error %v (%T), want an invalid argument or a *ConnectError", err, err)
	}
}

func TestErrorsDoNotShowThePassword(t *testing.T) {
	t.Parallel()
	closed := closedPort(t)
	forms := map[string]func(password string) string{
		"raw URL":     func(p string) string { return "postgres://user:" + p + "@" + closed + "/db" },
		"escaped URL": func(p string) string { return "postgres://user:" + url.QueryEscape(p) + "@" + closed + "/db" },
		"bad sslmode": func(p string) string { return "postgres://user:" + p + "@" + closed + "/db?sslmode=perhaps" },
		"no file": func(p string) string {
			return "postgres://user:" + url.QueryEscape(p) + "@" + closed + "/db?sslmode=verify-full&sslrootcert=/no/such/file"
		},
		"bad port": func(p string) string { return "postgres://user:" + url.QueryEscape(p) + "@127.0.0.1:http/db" },
		"bad pool": func(p string) string {
			return "postgres://user:" + url.QueryEscape(p) + "@" + closed + "/db?pool_max_conns=many"
		},
		"keywords":     func(p string) string { return "host=127.0.0.1 port=1 user=u password='" + p + "'" },
		"bad keywords": func(p string) string { return "host=127.0.0.1 port=1 user=u password=" + p + " sslmode" },
		"another's":    func(p string) string { return "mysql://user:" + p + "@" + closed + "/db" },
		"unknown host": func(p string) string { return "postgres://user:" + url.QueryEscape(p) + "@host.invalid/db" },
		"in the query": func(p string) string {
			return "postgres://" + closed + "/db?user=u&sslmode=x&password=" + url.QueryEscape(p)
		},
		"a missing colon": func(p string) string { return "postgres:/user:" + p + "@" + closed + "/db" },
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range passwords {
				s, err := postgres.Open(t.Context(), form(p))
				if err == nil {
					s.Close()
					t.Fatal("got no error, want one")
				}
				wantSecret(t, err)
				wantTyped(t, err)
			}
		})
	}
}

// closedPort is where nothing answers.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestOpenErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	for name, tc := range map[string]struct{ dsn, want string }{
		"empty":        {" ", "is empty"},
		"another's":    {"mysql://localhost/db", "begin it with postgres://"},
		"unescaped":    {"postgres://u:a%zzb@localhost/db", "%25"},
		"option":       {with(t, dsn, "sslmode=perhaps"), "sslmode"},
		"file":         {with(t, dsn, "sslmode=verify-full&sslrootcert=/no/such/file"), "file that cannot be read"},
		"no TLS":       {with(t, dsn, "sslmode=require"), "TLS"},
		"nobody":       {"postgres://u@" + closedPort(t) + "/db?sslmode=disable", "connection refused"},
		"host":         {"postgres://u@host.invalid/db", "host is not known"},
		"database":     {with(t, dsn, "dbname=nosuch"), "does not exist"},
		"mode":         {with(t, dsn, "default_query_exec_mode=fast"), "default_query_exec_mode"},
		"encoding":     {with(t, dsn, "client_encoding=LATIN1"), "client_encoding"},
		"strings":      {with(t, dsn, "default_query_exec_mode=simple_protocol&standard_conforming_strings=off"), "standard_conforming_strings"},
		"exec's dates": {with(t, dsn, "default_query_exec_mode=exec&datestyle=German"), "DateStyle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := postgres.Open(t.Context(), tc.dsn)
			if err == nil {
				s.Close()
				t.Fatal("got no error, want one")
			}
			wantTyped(t, err)
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestOpenHearsItsContext(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	_, err = postgres.Open(t.Context(), "postgres://u@"+l.Addr().String()+"/db?sslmode=disable&connect_timeout=1")
	if !errors.As(err, new(*postgres.ConnectError)) || time.Since(start) > 10*time.Second {
		t.Errorf("got error %v after %s, want a *ConnectError after 1 s", err, time.Since(start))
	}
}

// Both forms of a data source name, with a password that has to be escaped, and
// tables in a schema that is not the default one.
func TestForms(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const password = `p@ss:w/o?r#d%25 '\`
	user := conn.Config().Database + "_user"
	t.Cleanup(func() { dropUser(t, dsn, user) })
	for _, statement := range []string{
		"CREATE ROLE " + user + " LOGIN PASSWORD '" + strings.ReplaceAll(password, "'", "''") + "'",
		`CREATE SCHEMA "Own Schema" AUTHORIZATION ` + user,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	config := conn.Config()
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace
	address := net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	for name, form := range map[string]string{
		"URL": (&url.URL{
			Scheme: "postgresql", User: url.UserPassword(user, password), Host: address, Path: config.Database,
			RawQuery: "sslmode=disable&search_path=%22Own%20Schema%22",
		}).String(),
		"keywords": fmt.Sprintf(`host=%s port=%d dbname=%s user=%s password='%s' sslmode=disable search_path='"Own Schema",public'`,
			config.Host, config.Port, config.Database, user, escape(password)),
	} {
		s := open(t, form)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := s.ListKeys(t.Context(), apikeys.KeyQuery{Limit: 1}); err != nil {
			t.Errorf("%s: got error %v, want none", name, err)
		}
	}
	var schemas []string
	if err := conn.QueryRow(t.Context(), `SELECT array_agg(DISTINCT table_schema::text) FROM information_schema.tables
		WHERE table_name LIKE 'apikeys%'`).Scan(&schemas); err != nil {
		t.Fatal(err)
	}
	if len(schemas) != 1 || schemas[0] != "Own Schema" {
		t.Errorf("got tables in %q, want them in the schema of the search path", schemas)
	}
}

// dropUser drops a user of a database, which the tables are in.
func dropUser(t *testing.T, dsn, user string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "DROP OWNED BY "+user+" CASCADE; DROP ROLE "+user); err != nil {
		t.Error(err)
	}
}
