package sqlite

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		dsn      string
		uri      string // "memory": one of our own
		path     string
		readOnly bool
	}{
		{dsn: "app.db", uri: "file:app.db", path: "app.db"},
		{dsn: "./data/app.db", uri: "file:./data/app.db", path: "./data/app.db"},
		{dsn: "/var/lib/app.db", uri: "file:/var/lib/app.db", path: "/var/lib/app.db"},
		{dsn: "//var//app.db", uri: "file:////var//app.db", path: "//var//app.db"},
		{dsn: "a b#c%41.db", uri: "file:a%20b%23c%2541.db", path: "a b#c%41.db"},
		{dsn: "app.db?mode=ro", uri: "file:app.db", path: "app.db", readOnly: true},
		{dsn: "file:app.db", uri: "file:app.db", path: "app.db"},
		{dsn: "file:app.db?immutable=1", uri: "file:app.db", path: "app.db", readOnly: true},
		{dsn: "file:a%20b.db", uri: "file:a%20b.db", path: "a b.db"},
		{dsn: "file:/var/lib/app.db", uri: "file:/var/lib/app.db", path: "/var/lib/app.db"},
		{dsn: "file:///var/lib/app.db", uri: "file:///var/lib/app.db", path: "/var/lib/app.db"},
		{dsn: "file://localhost/var/lib/app.db", uri: "file://localhost/var/lib/app.db", path: "/var/lib/app.db"},
		{dsn: "file:x.db?vfs=mine", uri: "file:x.db"},
		{dsn: "file:shared?mode=memory&cache=shared", uri: "file:shared"},
		{dsn: "file::memory:?cache=shared", uri: "file::memory:"},
		{dsn: "sqlite:///rel.db", uri: "file:rel.db", path: "rel.db"},
		{dsn: "sqlite:////var/lib/app.db", uri: "file:/var/lib/app.db", path: "/var/lib/app.db"},
		{dsn: "sqlite:///rel.db?mode=ro", uri: "file:rel.db", path: "rel.db", readOnly: true},
		{dsn: ":memory:", uri: "memory"},
		{dsn: "file::memory:", uri: "memory"},
		{dsn: "sqlite://", uri: "memory"},
		{dsn: "sqlite:///", uri: "memory"},
		{dsn: "sqlite://:memory:", uri: "memory"},
		{dsn: "sqlite:///:memory:", uri: "memory"},
	} {
		t.Run(tc.dsn, func(t *testing.T) {
			t.Parallel()
			s, err := parse(tc.dsn)
			if err != nil {
				t.Fatal(err)
			}
			if tc.uri == "memory" {
				if !s.memory || !strings.HasPrefix(s.uri, "file:/apikeys-") || s.options.Get("vfs") != "memdb" {
					t.Errorf("got %s, want a database in memory", s.uri)
				}
				return
			}
			if s.uri != tc.uri || s.path != tc.path || s.readOnly != tc.readOnly {
				t.Errorf("got %s, path %q, read-only %t, want %s, %q, %t", s.uri, s.path, s.readOnly, tc.uri, tc.path, tc.readOnly)
			}
			if want := strings.Contains(tc.dsn, "memory"); s.memory != want {
				t.Errorf("got memory %t, want %t", s.memory, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "?mode=ro", "file:", "file://elsewhere/app.db", "file:%zz", "sqlite://elsewhere/app.db", "app.db?a=%zz;secret"} {
		_, err := parse(dsn)
		var bad *apikeys.InvalidArgumentError
		if !errors.As(err, &bad) || bad.Field != "dsn" {
			t.Errorf("%q: got error %v, want an InvalidArgumentError", dsn, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells it", dsn)
		}
	}
}

func TestTwoMemoriesAreTwo(t *testing.T) {
	t.Parallel()
	a, errA := parse(":memory:")
	b, errB := parse(":memory:")
	if errA != nil || errB != nil || a.uri == b.uri {
		t.Errorf("got %s twice, %v, %v", a.uri, errA, errB)
	}
}

// TestOptions: what the user sets stands, in whatever way it is set, but for what
// the store depends on.
func TestOptions(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]struct{ with, without []string }{
		"app.db": {with: []string{"busy_timeout(200)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)"}},
		"app.db?_pragma=journal_mode(DELETE)&_pragma=mmap_size(1)": {
			with: []string{"journal_mode(DELETE)", "mmap_size(1)", "synchronous(FULL)"}, without: []string{"journal_mode(WAL)"},
		},
		"app.db?_pragma= Synchronous=NORMAL":      {with: []string{" Synchronous=NORMAL"}, without: []string{"synchronous(FULL)"}},
		"app.db?_timeout=9":                       {without: []string{"busy_timeout(200)"}},
		"app.db?_journal=delete":                  {without: []string{"journal_mode(WAL)"}},
		"app.db?mode=ro":                          {with: []string{"busy_timeout(200)"}, without: []string{"journal_mode(WAL)"}},
		"app.db?_fk=0&_texttotime=1&_inttotime=1": {with: []string{"foreign_keys(1)"}, without: []string{"_fk", "_texttotime", "_inttotime"}},
		":memory:": {without: []string{"journal_mode(WAL)"}},
	} {
		s, err := parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(s.writer(), "?")
		got, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got.Get("_txlock") != "immediate" {
			t.Errorf("%s: the writer does not begin with a lock", dsn)
		}
		for _, pragma := range want.with {
			if !contains(got, pragma) {
				t.Errorf("%s: got no %s", dsn, pragma)
			}
		}
		for _, pragma := range want.without {
			if contains(got, pragma) {
				t.Errorf("%s: got %s", dsn, pragma)
			}
		}
	}
}

func contains(options url.Values, name string) bool {
	for _, v := range options["_pragma"] {
		if v == name {
			return true
		}
	}
	return options.Has(name)
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s, err := parse("app.db?_pragma=mmap_size(1)")
	if err != nil {
		t.Fatal(err)
	}
	if uri := s.reader(); !strings.Contains(uri, "_query_only=1") || strings.Contains(uri, "journal_mode") {
		t.Errorf("got %s", uri)
	}
}

func TestStatementsAreComplete(t *testing.T) {
	t.Parallel()
	if err := statements().Check(); err != nil {
		t.Error(err)
	}
}
