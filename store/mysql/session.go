package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// What a session is set to. Timeouts are in seconds.
//
// A client that is frozen in the middle of a transaction holds its locks, and with
// the lock of the revision stops every revocation: the server ends it after
// wait_timeout, which is eight hours by default. A client that has gone away while
// it waits for a lock is not noticed: its wait ends with innodb_lock_wait_timeout.
const (
	forStatements = `SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
    SESSION wait_timeout = 10, SESSION innodb_lock_wait_timeout = 3, SESSION lock_wait_timeout = 10,
    SESSION foreign_key_checks = 1, SESSION unique_checks = 1, SESSION sql_safe_updates = 0`

	// setOwn is for connections of our own, for good.
	setOwn = `SET SESSION autocommit = 1, SESSION completion_type = 'NO_CHAIN', SESSION time_zone = '+00:00',
    SESSION sql_select_limit = 18446744073709551615, SESSION sql_auto_is_null = 0, SESSION sql_big_selects = 1,
    ` + forStatements
	// The variable of this has another name in MariaDB than in MySQL.
	setOwnTransactions = `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE`

	// enter and leave are around a transaction on a connection that is borrowed.
	enter = `SET @apikeys_sql_mode = @@SESSION.sql_mode,
    @apikeys_wait_timeout = @@SESSION.wait_timeout, @apikeys_row_wait = @@SESSION.innodb_lock_wait_timeout,
    @apikeys_lock_wait = @@SESSION.lock_wait_timeout,
    @apikeys_foreign_keys = @@SESSION.foreign_key_checks, @apikeys_unique = @@SESSION.unique_checks,
    @apikeys_safe_updates = @@SESSION.sql_safe_updates,
    ` + forStatements
	nextTransaction = `SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE`
	leave           = `SET SESSION sql_mode = @apikeys_sql_mode,
    SESSION wait_timeout = @apikeys_wait_timeout, SESSION innodb_lock_wait_timeout = @apikeys_row_wait,
    SESSION lock_wait_timeout = @apikeys_lock_wait, SESSION foreign_key_checks = @apikeys_foreign_keys, SESSION unique_checks = @apikeys_unique,
    SESSION sql_safe_updates = @apikeys_safe_updates,
    @apikeys_sql_mode = NULL, @apikeys_wait_timeout = NULL, @apikeys_row_wait = NULL, @apikeys_lock_wait = NULL,
    @apikeys_foreign_keys = NULL, @apikeys_unique = NULL, @apikeys_safe_updates = NULL`
)

// pool is where a store has its connections from.
type pool struct {
	db       *sql.DB
	borrowed bool        // it is somebody else's, and so are its sessions
	checked  atomic.Bool // its sessions were seen to be fit
}

// begin begins a transaction. The function it returns is to be called when that
// has ended, and does not return before the connection is as it was.
func (p *pool) begin(ctx context.Context) (*sql.Tx, func(), error) {
	if !p.borrowed {
		tx, err := p.db.BeginTx(ctx, nil)
		return tx, func() {}, err
	}
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	tx, err := beginOn(ctx, conn)
	if err != nil {
		giveBack(conn)
		return nil, nil, err
	}
	return tx, func() { giveBack(conn) }, nil
}

func beginOn(ctx context.Context, conn *sql.Conn) (*sql.Tx, error) {
	for _, set := range []string{enter, nextTransaction} {
		if _, err := conn.ExecContext(ctx, set); err != nil {
			return nil, err
		}
	}
	return conn.BeginTx(ctx, nil)
}

// giveBack makes a session what it was, or throws the connection away.
func giveBack(conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, leave); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = conn.Close() // what was thrown away is closed already
}

// check refuses a server or sessions with which the store would be wrong. All
// sessions of a pool begin alike, so it is done once.
func (p *pool) check(ctx context.Context) error {
	if p.checked.Load() {
		return nil
	}
	variables, err := p.variables(ctx)
	if err != nil {
		return err
	}
	for _, r := range rules() {
		for _, name := range r.names {
			if r.bad(variables[name], variables) {
				return &apikeys.InvalidArgumentError{Field: "database", Reason: r.reason}
			}
		}
	}
	p.checked.Store(true)
	return nil
}

// variables are those of the session that rules ask about. SHOW leaves out what the
// server does not know, where SELECT @@… would fail.
func (p *pool) variables(ctx context.Context) (map[string]string, error) {
	rows, err := p.db.QueryContext(ctx, `SHOW SESSION VARIABLES WHERE Variable_name IN ('version', 'autocommit', 'completion_type',
    'tx_isolation', 'transaction_isolation', 'character_set_client', 'character_set_connection',
    'sql_select_limit', 'sql_mode', 'log_bin', 'binlog_format')`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		all[strings.ToLower(name)] = strings.ToUpper(value)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	// The clock of SYSDATE cannot be stopped by SET timestamp, that of NOW can.
	row := p.db.QueryRowContext(ctx, `SELECT ABS(TIMESTAMPDIFF(SECOND, NOW(), SYSDATE())) > 10, DATABASE() IS NULL`)
	var stopped, nowhere string
	err = row.Scan(&stopped, &nowhere)
	all["stopped"], all["nowhere"] = stopped, nowhere
	return all, err
}

// rule is what variables may not be. A variable that the server does not have is "".
type rule struct {
	names  []string
	bad    func(value string, all map[string]string) bool
	reason string
}

func rules() []rule {
	is := func(bad string) func(string, map[string]string) bool {
		return func(value string, _ map[string]string) bool { return value == bad }
	}
	return []rule{
		{[]string{"sql_select_limit"}, func(v string, _ map[string]string) bool { return len(v) < len("4294967295") }, // of SHOW's, too
			"has connections that read a part of a result only: open the pool without sql_select_limit"},
		{[]string{"version"}, func(v string, _ map[string]string) bool { return tooOld(v) }, "is older than MySQL 8.0.16 and MariaDB 10.6"},
		{[]string{"nowhere"}, is("1"), "is not named: the data source name must name one"},
		{[]string{"autocommit"}, is("OFF"),
			"has connections whose autocommit is off, which go on reading what their first statement saw: open the pool with autocommit=1"},
		{[]string{"tx_isolation", "transaction_isolation"}, is("READ-UNCOMMITTED"),
			"has connections that read what is not committed: open the pool with another isolation level"},
		{[]string{"completion_type"}, func(v string, _ map[string]string) bool { return v != "NO_CHAIN" && v != "0" },
			"has connections that begin a transaction when they end one: open the pool with completion_type=0"},
		{[]string{"character_set_client"}, func(v string, all map[string]string) bool { return v != all["character_set_connection"] },
			"has connections whose character_set_client and character_set_connection differ: open the pool with charset=utf8mb4"},
		{[]string{"sql_mode"}, func(v string, _ map[string]string) bool { return strings.Contains(v, "EMPTY_STRING_IS_NULL") },
			"has connections that take an empty text for NULL: open the pool without EMPTY_STRING_IS_NULL in its sql_mode"},
		{[]string{"binlog_format"}, func(v string, all map[string]string) bool { return v == "STATEMENT" && all["log_bin"] == "ON" },
			"is of a server whose binlog_format is STATEMENT, which refuses READ COMMITTED: set it to ROW or MIXED"},
		{[]string{"stopped"}, is("1"), "has connections whose clock was stopped by SET timestamp"},
	}
}

// tooOld tells of a server without JSON_TABLE or without CHECK. A version that cannot
// be read is too old.
func tooOld(version string) bool {
	oldest := [3]int{8, 0, 16}
	if strings.Contains(version, "MARIADB") {
		oldest = [3]int{10, 6, 0}
	}
	numbers, _, _ := strings.Cut(version, "-")
	parts := strings.SplitN(numbers, ".", 4)
	for i, least := range oldest {
		if i >= len(parts) {
			return true
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < least {
			return true
		}
		if n > least {
			return false
		}
	}
	return false
}

// connector makes connections of our own.
type connector struct{ driver.Connector }

// Connect implements driver.Connector. What the user's data source name sets is set
// by then: ours comes last.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(driver.ErrSkip, conn.Close()) // never
	}
	for _, set := range []string{setOwnTransactions, setOwn} {
		if _, err := execer.ExecContext(ctx, set, nil); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return conn, nil
}
