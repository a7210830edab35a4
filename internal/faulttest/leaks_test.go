package faulttest_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// piece is how much of a key must not be found anywhere. The hint shows four characters
// of either end.
const piece = 8

// secrets finds what nobody may see, in anything.
type secrets struct {
	pieces map[string]bool // of the bodies of keys
	whole  []string
}

func newSecrets(whole ...string) *secrets {
	return &secrets{pieces: map[string]bool{}, whole: whole}
}

func (s *secrets) addKey(text string) {
	body := text[strings.LastIndexByte(text, '_')+1:]
	for i := 0; i+piece <= len(body); i++ {
		s.pieces[body[i:i+piece]] = true
	}
}

// addHash adds a stored hash, as it is and as it could be written.
func (s *secrets) addHash(h apikeys.Hash) {
	s.whole = append(s.whole, string(h[:]), hex.EncodeToString(h[:]), strings.ToUpper(hex.EncodeToString(h[:])),
		base64.StdEncoding.EncodeToString(h[:])[:43], base64.RawURLEncoding.EncodeToString(h[:]), strings.Trim(fmt.Sprint(h[:]), "[]"))
}

// wantNone searches, and does not show what it finds.
func (s *secrets) wantNone(t *testing.T, where string, data []byte) {
	t.Helper()
	for i := 0; i+piece <= len(data); i++ {
		if s.pieces[string(data[i:i+piece])] {
			t.Errorf("%s: a piece of a key, at byte %d of %d", where, i, len(data))
			return
		}
	}
	for i, secret := range s.whole {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s: secret %d", where, i)
		}
	}
}

// After many keys were issued, used, rotated and revoked, no piece of any is in the
// database: not in its files, nor in its log, nor in a dump; and the signing secret is
// not there either.
func TestDatabaseHoldsNoKey(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			s, dsn := d.Migrated(t)
			c := newClient(t, s, strict())
			hidden := newSecrets(signingSecret)
			org := must(c.CreateOrganization(t.Context(), "organization"))(t).ID
			for i := range testdb.Dose(60, 1000) {
				k := must(c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org, OwnerID: "ann"}))(t)
				hidden.addKey(k.Plaintext.Reveal())
				_, err := c.Verify(t.Context(), k.Plaintext.Reveal())
				switch i % 10 {
				case 0:
					k, err = c.RotateKey(t.Context(), k.Key.ID, apikeys.RotateParams{})
					if err == nil {
						hidden.addKey(k.Plaintext.Reveal())
					}
				case 1:
					_, err = c.RevokeKey(t.Context(), k.Key.ID, apikeys.RevokeParams{Reason: "test"})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			rows := dump(t, d.Name, dsn)
			if !bytes.Contains(rows, []byte("organization")) {
				t.Fatal("the dump holds nothing")
			}
			hidden.wantNone(t, "dump", rows)
			if d.Name == "sqlite" {
				files := must(filepath.Glob(dsn + "*"))(t)
				for _, file := range files {
					hidden.wantNone(t, filepath.Base(file), must(os.ReadFile(file))(t))
				}
				if len(files) < 2 {
					t.Errorf("got %d files, want the log among them", len(files))
				}
			}
		})
	}
}

// dump is every row of every table.
func dump(t *testing.T, name, dsn string) []byte {
	t.Helper()
	tables := map[string]string{
		"sqlite":   "SELECT name FROM sqlite_schema WHERE type = 'table'",
		"postgres": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
		"mysql":    "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
	}[name]
	db := stores.SQL(t, name, dsn)
	defer db.Close()
	var names []string
	each(t, db, tables, func(row []any) { names = append(names, text(row[0])) })
	var all bytes.Buffer
	for _, table := range names {
		each(t, db, "SELECT * FROM "+table, func(row []any) {
			for _, v := range row {
				all.WriteString(text(v))
				all.WriteByte('\n')
			}
		})
	}
	return all.Bytes()
}

func text(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

func each(t *testing.T, db *sql.DB, query string, see func(row []any)) {
	t.Helper()
	rows := must(db.QueryContext(t.Context(), query))(t)
	defer rows.Close()
	columns := must(rows.Columns())(t)
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		see(row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// paper is what is written down: logs, errors, answers.
type paper struct {
	mu  sync.Mutex
	all []byte
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, b...)
	return len(b), nil
}

// written is all of it, once nobody writes any more.
func (p *paper) written() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}

// Whatever is written down while everything fails, in the log at its most talkative, in
// errors under every verb and in answers over HTTP, holds no key, no hash, no secret and
// no password.
func TestNothingWrittenDownLeaks(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			s, dsn := d.Migrated(t)
			hidden := newSecrets(signingSecret)
			if password := passwordOf(d.Name, dsn); password != "" {
				hidden.whole = append(hidden.whole, password)
			}
			w := newWorld(t, s, newClient(t, s, strict()))
			var out paper
			for round := range testdb.Dose(2, 40) {
				config := strict()
				config.RevocationDelay, config.UsageFlushInterval = 1, 1
				config.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
				failing := &faultStore{Store: s}
				client := must(apikeys.New(t.Context(), failing, config))(t)
				if round%2 == 1 {
					failing.chance(3)
				}
				for _, op := range append(readings(), mutations()...) {
					writeDown(&out, op.do(t.Context(), client, w))
				}
				overHTTP(&out, client, w)
				fmt.Fprintf(&out, "%v %+v %#v %s", client, w.key, *w.key, fmt.Sprint(client.Stats()))
				writeDown(&out, client.Close(context.WithoutCancel(t.Context())))
				w.key = w.issue(t, apikeys.CreateKeyParams{OrganizationID: w.remade(t)})
			}
			for _, key := range w.issued {
				hidden.addKey(key)
			}
			for _, h := range hashes(t, d.Name, dsn) {
				hidden.addHash(h)
			}
			hidden.wantNone(t, "what was written down", out.written())
			if n := len(out.written()); n < 10_000 {
				t.Errorf("got %d bytes: too little for this to show anything", n)
			}
		})
	}
}

// remade makes the world's organization again if it was deleted, and returns it.
func (w *world) remade(t *testing.T) uuid.UUID {
	t.Helper()
	org, _, err := w.client.GetOrCreateOrganization(t.Context(), w.name+" again")
	w.org = must(org, err)(t).ID
	return w.org
}

func writeDown(out *paper, err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(out, "%v\n%+v\n%#v\n%q\n", err, err, err, err)
	}
}

// overHTTP uses every key through the middleware, and keys that are nearly one.
func overHTTP(out *paper, client *apikeys.Client, w *world) {
	handler := httpmw.New(client, httpmw.Options{}).Require("read")(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		v, _ := httpmw.ValidationFrom(r.Context())
		_, _ = fmt.Fprintf(rw, "%v %+v %#v", v, v.Key(), v)
	}))
	for _, key := range append(w.issued[:len(w.issued):len(w.issued)], "sk_short", "") {
		for _, shown := range []string{key, key + "x", "Bearer " + key} {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.Header.Set("X-API-Key", shown)
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, r)
			_ = rec.Result().Header.Write(out)
			_, _ = out.Write(rec.Body.Bytes())
		}
	}
}

// hashes are those that the database keeps.
func hashes(t *testing.T, name, dsn string) (all []apikeys.Hash) {
	t.Helper()
	db := stores.SQL(t, name, dsn)
	defer db.Close()
	each(t, db, "SELECT hash FROM apikeys_secrets", func(row []any) {
		var h apikeys.Hash
		if copy(h[:], text(row[0])) == len(h) {
			all = append(all, h)
		}
	})
	if len(all) == 0 {
		t.Fatal("got no stored hash")
	}
	return all
}

func passwordOf(name, dsn string) string {
	switch name {
	case "postgres":
		if u, err := url.Parse(dsn); err == nil && u.User != nil {
			password, _ := u.User.Password()
			return password
		}
	case "mysql":
		if config, err := mysql.ParseDSN(dsn); err == nil {
			return config.Passwd
		}
	}
	return ""
}
