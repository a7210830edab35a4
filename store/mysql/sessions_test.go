package mysql_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/storetest"
)

// What a host may have in its data source name, option by option. Those of the second
// list cannot be borne by a store on the host's own pool.
var (
	hostile = []string{
		"parseTime=true&loc=Asia%2FKolkata", "clientFoundRows=true", "clientFoundRows=false", "interpolateParams=true",
		"multiStatements=true", "columnsWithAlias=true", "charset=latin1", "charset=gbk", "charset=binary", "charset=utf8mb4&collation=utf8mb4_general_ci",
		"sql_mode=''", "sql_mode='ANSI,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH,IGNORE_SPACE,TRADITIONAL'",
		"time_zone='%2B13:00'", "foreign_key_checks=0&unique_checks=0", "sql_safe_updates=1", "innodb_lock_wait_timeout=1000",
	}
	unbearable = map[string]string{
		"autocommit=0":                                   "autocommit",
		"completion_type=1":                              "completion_type",
		"sql_select_limit=1":                             "sql_select_limit",
		"timestamp=1000000000":                           "clock",
		"charset=latin1&character_set_connection=utf8":   "character_set_connection",
		"charset=utf8mb4&character_set_connection=utf16": "character_set_connection",
	}
	// Names and values that MariaDB and MySQL do not share.
	hostileMariaDB = []string{
		"tx_isolation='SERIALIZABLE'", "tx_isolation='REPEATABLE-READ'&tx_read_only=1", "sql_mode='ORACLE'", "sql_mode='MSSQL'",
	}
	unbearableMariaDB = map[string]string{
		"tx_isolation='READ-UNCOMMITTED'": "not committed", "sql_mode='EMPTY_STRING_IS_NULL'": "EMPTY_STRING_IS_NULL",
	}
	hostileMySQL    = []string{"transaction_isolation='SERIALIZABLE'", "transaction_isolation='REPEATABLE-READ'&transaction_read_only=1"}
	unbearableMySQL = map[string]string{"transaction_isolation='READ-UNCOMMITTED'": "not committed"}
)

// optionsOf returns the options for the server that a dsn leads to.
func optionsOf(t *testing.T, dsn string) (bearable []string, refused map[string]string) {
	t.Helper()
	var version string
	if err := openPool(t, dsn).QueryRowContext(t.Context(), "SELECT VERSION()").Scan(&version); err != nil {
		t.Fatal(err)
	}
	bearable, refused = slices.Clone(hostile), maps.Clone(unbearable)
	if strings.Contains(version, "MariaDB") {
		maps.Copy(refused, unbearableMariaDB)
		return append(bearable, hostileMariaDB...), refused
	}
	maps.Copy(refused, unbearableMySQL)
	return append(bearable, hostileMySQL...), refused
}

// with returns a dsn with more options.
func with(dsn string, options ...string) string {
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	return dsn + separator + strings.Join(options, "&")
}

// allOf leaves out options that another one of the list contradicts.
func allOf(options []string) []string {
	taken := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(options), func(option string) bool {
		name, _, _ := strings.Cut(option, "=")
		defer func() { taken[name] = true }()
		return taken[name]
	})
}

// TestStoreOpenedWithHostileOptions and the next have all of the options at once. A
// store's own connections are alike whatever the options: a part of the suite is enough.
func TestStoreOpenedWithHostileOptions(t *testing.T) {
	t.Parallel()
	plain, dsn := openNew(t)
	options, refused := optionsOf(t, dsn)
	options = allOf(append(slices.Sorted(maps.Keys(refused)), options...))
	if !testdb.Full() {
		createOrganization(t, plain)
		wantSame(t, plain, open(t, with(dsn, options...)))
		return
	}
	free := newDatabases(t)
	storetest.Run(t, func(t *testing.T) apikeys.Store { return open(t, with(free.Take(t), options...)) })
}

// In the full dose also with each of the options alone.
func TestStoreOnAHostilePool(t *testing.T) {
	t.Parallel()
	free := newDatabases(t)
	options, _ := optionsOf(t, testdb.MySQL(t))
	sets := [][]string{allOf(options)}
	if testdb.Full() {
		sets = slices.AppendSeq(sets, slices.Chunk(options, 1))
	}
	for _, set := range sets {
		t.Run(strings.Join(set, " "), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) apikeys.Store {
				return withPool(t, openPool(t, with(free.Take(t), set...)))
			})
		})
	}
}

// TestEachHostileOption: what one store writes, one with another option reads the same.
func TestEachHostileOption(t *testing.T) {
	t.Parallel()
	plain, dsn := openNew(t)
	createOrganization(t, plain)
	options, refused := optionsOf(t, dsn)
	for _, option := range append(options, slices.Sorted(maps.Keys(refused))...) {
		t.Run("open "+option, func(t *testing.T) {
			t.Parallel()
			wantSame(t, plain, open(t, with(dsn, option)))
		})
	}
	for _, option := range options {
		t.Run("pool "+option, func(t *testing.T) {
			t.Parallel()
			wantSame(t, plain, withPool(t, openPool(t, with(dsn, option))))
		})
	}
	for option, says := range refused {
		t.Run("refused "+option, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, openPool(t, with(dsn, option)), says)
		})
	}
}

func wantRefused(t *testing.T, db *sql.DB, says string) {
	t.Helper()
	s := withPool(t, db)
	for name, call := range map[string]func() error{
		"Changes": func() error { _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); return err },
		"Sweep":   func() error { _, err := s.Sweep(t.Context(), apikeys.SweepParams{}); return err },
		"Migrate": func() error { return s.Migrate(t.Context()) },
	} {
		if err := call(); !errors.Is(err, apikeys.ErrInvalidArgument) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, says)
		}
	}
}

// wantSame has each of two stores read what the other one wrote.
func wantSame(t *testing.T, a, b *mysql.Store) {
	t.Helper()
	for _, pair := range [][2]*mysql.Store{{a, b}, {b, a}} {
		writes, reads := pair[0], pair[1]
		wrote := difficultKey(t)
		if faults, err := writes.CreateKeys(t.Context(), newMutation(), []apikeys.KeyRecord{wrote}); err != nil || faults[0] != nil {
			t.Fatal(err, faults)
		}
		found, err := reads.KeysByHash(t.Context(), []apikeys.Hash{wrote.Secret.Hash})
		if err != nil || len(found) != 1 {
			t.Fatalf("by hash: got %d keys, %v, want 1", len(found), err)
		}
		if diff := cmp.Diff(wrote, found[0]); diff != "" {
			t.Errorf("by hash (-wrote +read):\n%s", diff)
		}
		owner := apikeys.Scope{OrganizationID: wrote.OrganizationID, OwnerID: wrote.OwnerID}
		listed, err := reads.ListKeys(t.Context(), apikeys.KeyQuery{Scope: owner, Search: "'QUOTED' ; -- \\ %", Limit: 2})
		if err != nil || len(listed) != 1 || listed[0].ID != wrote.ID {
			t.Errorf("by owner and name: got %d keys, %v, want 1", len(listed), err)
		}
		wantCounted(t, writes, reads, wrote)
	}
}

// wantCounted uses a key, refuses it and limits it.
func wantCounted(t *testing.T, writes, reads *mysql.Store, k apikeys.KeyRecord) {
	t.Helper()
	delta := apikeys.UsageDelta{KeyID: k.ID, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 3, LastAt: testTime}
	refused := delta
	refused.Outcome = "expired_key"
	for i, deltas := range [][]apikeys.UsageDelta{{delta}, {refused}, {delta, refused}} {
		for range 2 { // the second one is a repetition
			if err := writes.AddUsage(t.Context(), apikeys.UsageBatch{Writer: k.ID, Seq: int64(i + 1), At: testTime, Deltas: deltas}); err != nil {
				t.Fatal(err)
			}
		}
	}
	hours, err := reads.KeyUsage(t.Context(), apikeys.UsageQuery{Ref: apikeys.KeyRef{ID: k.ID}, From: delta.Hour, To: delta.Hour.Add(time.Hour)})
	delta.Count, refused.Count = 6, 6
	if diff := cmp.Diff([]apikeys.UsageDelta{delta, refused}, hours); err != nil || diff != "" {
		t.Errorf("usage: %v (-want +got):\n%s", err, diff)
	}
	lease := []apikeys.LeaseRequest{{Subject: apikeys.Subject(k.Secret.Hash), Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(5), Want: 3}}}}
	for want := int64(3); want >= 2; want-- {
		grants, err := writes.TakeLeases(t.Context(), lease)
		if err != nil {
			t.Fatal(err)
		}
		if got := grants[0].Parts[0].Granted; got != want && !nearMidnight() {
			t.Errorf("got a lease of %d, want %d", got, want)
		}
		if off := time.Since(grants[0].Now).Abs(); off > time.Minute {
			t.Errorf("the database's clock is off by %v", off)
		}
	}
}

func nearMidnight() bool {
	return time.Now().UTC().Add(time.Minute).Hour() < time.Now().UTC().Hour() || time.Now().UTC().Hour() == 0
}

// difficultKey has everything that an encoding may spoil.
func difficultKey(t *testing.T) apikeys.KeyRecord {
	t.Helper()
	k := newKeys(t, 1)[0]
	k.OwnerID = " Owner\\ \x00é" + uuid.NewString() + " "
	k.Name, k.Hint, k.Secret.Hint = `🗝️ "x" 'Quoted' ; -- \ % _ é`, "sk_Ab3d…", "sk_Ab3d…"
	k.Scopes = []string{"docs:*", `a"b`}
	k.RateLimits = []apikeys.RateLimit{apikeys.PerMinute(9007199254740993)}
	k.Custom = json.RawMessage(`{ "b":9007199254740993, "a":1e999, "c":1.10, "c":"\ud800 é 🙂", "d":"` + strings.Repeat("x", 16<<10) + `"}`)
	k.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	return k
}

// TestPoolIsLeftAsItWas: other users of the pool find each connection as it was,
// whatever came of the transactions.
func TestPoolIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	_, dsn := openNew(t)
	db := openPool(t, with(dsn, "sql_mode='ANSI'", "wait_timeout=1234", "innodb_lock_wait_timeout=77", "unique_checks=0", "sql_safe_updates=1"))
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(2)
	before := session(t, db)
	s := withPool(t, db)
	createOrganization(t, s)
	keys := createKeys(t, s, 3)
	for i := range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
		_, _ = s.RotateKey(ctx, newMutation(), apikeys.KeyRef{ID: keys[0].ID}, apikeys.Rotation{Secret: apikeys.SecretRecord{
			Hash: newKeys(t, 1)[0].Secret.Hash, SigningID: "s", CreatedAt: testTime}})
		cancel()
	}
	_, _ = s.UpdateKey(t.Context(), newMutation(), apikeys.KeyRef{ID: uuid.New()}, apikeys.KeyChange{})
	for range 2 {
		if diff := cmp.Diff(before, session(t, db)); diff != "" {
			t.Errorf("the session (-before +after):\n%s", diff)
		}
	}
	if n := db.Stats().InUse; n != 0 {
		t.Errorf("got %d connections that did not come back", n)
	}
}

// session reads all variables of two connections at once; they must be alike.
func session(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	var all [2]map[string]string
	var conns [2]*sql.Conn
	for i := range conns {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i], all[i] = conn, variablesOf(t, conn)
	}
	if diff := cmp.Diff(all[0], all[1]); diff != "" {
		t.Errorf("two connections of a pool differ:\n%s", diff)
	}
	return all[0]
}

func variablesOf(t *testing.T, conn *sql.Conn) map[string]string {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), "SHOW SESSION VARIABLES")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		all[name] = value
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, moves := range []string{
		"timestamp", "pseudo_thread_id", "rand_seed1", "rand_seed2", "last_insert_id", "insert_id", "identity", "error_count", "warning_count",
		"last_gtid", "gtid_binlog_pos", "gtid_current_pos", "gtid_binlog_state", "innodb_buffer_pool_load_incomplete", "in_transaction",
	} {
		delete(all, moves)
	}
	return all
}

// TestSmallPool: one connection is enough.
func TestSmallPool(t *testing.T) {
	t.Parallel()
	_, dsn := openNew(t)
	db := openPool(t, dsn)
	db.SetMaxOpenConns(1)
	s := withPool(t, db)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	createOrganization(t, s)
	k := createKeys(t, s, 1)[0]
	if _, err := s.UpdateKey(ctx, newMutation(), apikeys.KeyRef{ID: k.ID}, apikeys.KeyChange{Revoke: &apikeys.Revocation{At: testTime}}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := db.PingContext(ctx); err != nil {
		t.Errorf("after the store was closed: got %v, want the pool to live", err)
	}
}
