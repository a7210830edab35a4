package mysql_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/mysql"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	config, err := driver.ParseDSN(testdb.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*driver.Config)) string {
		c := config.Clone()
		change(c)
		return c.FormatDSN()
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		dsn  string
		says string
		is   error
	}{
		"a wrong password":       {t.Context(), changed(func(c *driver.Config) { c.Passwd = "topsecret@:/?#%" }), "wrong user or password", nil},
		"an unknown database":    {t.Context(), changed(func(c *driver.Config) { c.DBName = "topsecret" }), "no such database", nil},
		"no database":            {t.Context(), changed(func(c *driver.Config) { c.DBName = "" }), "must name one", apikeys.ErrInvalidArgument},
		"a server that is away":  {t.Context(), changed(func(c *driver.Config) { c.Addr = "127.0.0.1:1" }), "refused", nil},
		"a name of no server":    {t.Context(), "topsecret:topsecret@tcp(topsecret.invalid:3306)/topsecret?timeout=2s", "mysql: ", nil},
		"a variable of no sense": {t.Context(), config.FormatDSN() + "&topsecret=topsecret", "variable", nil},
		"a context that is over": {cancelled, config.FormatDSN(), "canceled", context.Canceled},
		"nothing":                {t.Context(), "", "empty", apikeys.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := tc.dsn
			if !strings.Contains(dsn, "?") {
				dsn = strings.Replace(dsn, "&", "?", 1)
			}
			s, err := mysql.Open(tc.ctx, dsn)
			if err == nil {
				_ = s.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), tc.says) || tc.is != nil && !errors.Is(err, tc.is) ||
				strings.Contains(err.Error(), "topsecret") || config.Passwd != "" && strings.Contains(err.Error(), config.Passwd) {
				t.Errorf("got error %q, want %v that says %q", err, tc.is, tc.says)
			}
		})
	}
	if _, err := mysql.New(nil); !errors.Is(err, apikeys.ErrInvalidArgument) {
		t.Errorf("a pool that is nil: got error %v", err)
	}
}

func TestUnmigrated(t *testing.T) {
	t.Parallel()
	s := open(t, testdb.MySQL(t))
	calls := map[string]func() error{
		"EnsureSettings": func() error {
			_, err := s.EnsureSettings(t.Context(), apikeys.SettingsRecord{Version: 1})
			return err
		},
		"CreateKeys": func() error {
			_, err := s.CreateKeys(t.Context(), newMutation(), newKeys(t, 1))
			return err
		},
		"Changes":  func() error { _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); return err },
		"AddUsage": func() error { return s.AddUsage(t.Context(), apikeys.UsageBatch{Seq: 1}) },
	}
	for name, call := range calls {
		if err := call(); err == nil || !strings.Contains(err.Error(), "call Migrate") {
			t.Errorf("%s: got error %v, want one that says what to do", name, err)
		}
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := calls["EnsureSettings"](); err != nil {
		t.Errorf("after Migrate: got error %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s, dsn := openNew(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.ListKeys(t.Context(), apikeys.KeyQuery{}); err == nil {
		t.Error("reading a closed store: got no error")
	}
	open(t, "mysql+pymysql://"+urlOf(t, dsn))
}

// urlOf is what follows the scheme in a URL.
func urlOf(t *testing.T, dsn string) string {
	t.Helper()
	c, err := driver.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if c.Net == "unix" {
		return c.User + ":" + c.Passwd + "@localhost/" + c.DBName + "?unix_socket=" + c.Addr
	}
	return c.User + ":" + c.Passwd + "@" + c.Addr + "/" + c.DBName
}

// TestAKeyIsChangedWhileItsUsageIsCounted: the two must not wait for each other, and the count ends after
// the changes.
func TestAKeyIsChangedWhileItsUsageIsCounted(t *testing.T) {
	t.Parallel()
	s, dsn := openNew(t)
	createOrganization(t, s)
	k := createKeys(t, s, 1)[0]
	tx, err := openPool(t, dsn).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "UPDATE apikeys_usage SET use_count = use_count + 1 WHERE key_id = ?", k.ID[:]); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func() error{
		func() error {
			_, err := s.UpdateKey(t.Context(), newMutation(), apikeys.KeyRef{ID: k.ID}, apikeys.KeyChange{Name: &k.OwnerID})
			return err
		},
		func() error {
			_, err := s.RotateKey(t.Context(), newMutation(), apikeys.KeyRef{ID: k.ID}, apikeys.Rotation{Secret: newKeys(t, 1)[0].Secret})
			return err
		},
		func() error {
			_, err := s.RevokeKeys(t.Context(), newMutation(), apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: k.OrganizationID}}, "test")
			return err
		},
	} {
		if err := change(); err != nil {
			t.Errorf("change %d: got error %v", i, err)
		}
	}
}
