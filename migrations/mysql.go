package migrations

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"
)

// The lock of MySQL and MariaDB is a name on the server, for all of its databases. It
// is at most 64 characters long, and ends with its connection, so with the process.
const mysqlLockName = `CONCAT('apikeys_', SHA2(LOWER(DATABASE()), 224))`

// What a session is set to while it migrates, and back. Timeouts are in seconds: a
// process that is frozen is ended after wait_timeout, and a table that another
// transaction uses is waited for as long as others are. Without autocommit a row of
// a version would not be committed.
const (
	mysqlEnter = `SET @apikeys_autocommit = @@SESSION.autocommit, @apikeys_sql_mode = @@SESSION.sql_mode,
    @apikeys_wait_timeout = @@SESSION.wait_timeout, @apikeys_lock_wait = @@SESSION.lock_wait_timeout,
    SESSION autocommit = 1, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
    SESSION wait_timeout = 60, SESSION lock_wait_timeout = ?`
	mysqlLeave = `SET SESSION autocommit = @apikeys_autocommit, SESSION sql_mode = @apikeys_sql_mode,
    SESSION wait_timeout = @apikeys_wait_timeout, SESSION lock_wait_timeout = @apikeys_lock_wait,
    @apikeys_autocommit = NULL, @apikeys_sql_mode = NULL, @apikeys_wait_timeout = NULL, @apikeys_lock_wait = NULL`
)

// mysqlLock is the turn of one process. Goose's own is a table with a lease, whose
// times it cannot read without parseTime=true.
type mysqlLock struct{ patience time.Duration }

// SessionLock implements goose's lock.SessionLocker. Goose makes the version table and
// its first row in two steps, which are no transaction here, and is never content with
// a table without that row: both are made, or made whole, first.
func (l mysqlLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	seconds := int(l.patience.Seconds())
	if _, err := conn.ExecContext(ctx, mysqlEnter, seconds); err != nil {
		return err
	}
	var got sql.NullInt64
	err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+mysqlLockName+", ?)", seconds).Scan(&got)
	if err == nil && got.Int64 != 1 {
		err = ErrLocked
	}
	for _, statement := range []string{mysqlVersions{}.CreateTable(Table), mysqlFirstVersion} {
		if err == nil {
			_, err = conn.ExecContext(ctx, statement)
		}
	}
	if err != nil {
		_ = l.SessionUnlock(context.WithoutCancel(ctx), conn)
	}
	return err
}

// SessionUnlock implements goose's lock.SessionLocker. A connection that cannot be
// made what it was is thrown away.
func (l mysqlLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	for _, statement := range []string{"DO RELEASE_LOCK(" + mysqlLockName + ")", mysqlLeave} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
			return err
		}
	}
	return nil
}

// mysqlFirstVersion also does nothing if another process inserts the row meanwhile:
// goose looks whether there is anything to do, and makes the table, before it locks.
const mysqlFirstVersion = `INSERT INTO ` + Table + ` (version_id, is_applied)
SELECT 0, TRUE FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ` + Table + ` WHERE version_id = 0)
    ON DUPLICATE KEY UPDATE is_applied = TRUE`

// mysqlVersions is goose's version table in MySQL, column by column, as its command
// makes it, but that a version stands in it once: in a cluster of several
// servers that take writes, the lock is one server's.
type mysqlVersions struct{}

func (mysqlVersions) CreateTable(table string) string {
	return `CREATE TABLE IF NOT EXISTS ` + table + ` (
    id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    version_id BIGINT          NOT NULL UNIQUE,
    is_applied BOOLEAN         NOT NULL,
    tstamp     TIMESTAMP       NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET binary`
}

// InsertVersion returns a statement that does nothing for a version that is there: all
// migrations can be run again.
func (mysqlVersions) InsertVersion(table string) string {
	return `INSERT INTO ` + table + ` (version_id, is_applied) VALUES (?, ?) ON DUPLICATE KEY UPDATE is_applied = VALUES(is_applied)`
}

func (mysqlVersions) DeleteVersion(table string) string {
	return `DELETE FROM ` + table + ` WHERE version_id = ?`
}

func (mysqlVersions) GetMigrationByVersion(table string) string {
	return `SELECT tstamp, is_applied FROM ` + table + ` WHERE version_id = ? ORDER BY tstamp DESC LIMIT 1`
}

func (mysqlVersions) ListMigrations(table string) string {
	return `SELECT version_id, is_applied FROM ` + table + ` ORDER BY id DESC`
}

func (mysqlVersions) GetLatestVersion(table string) string {
	return `SELECT MAX(version_id) FROM ` + table
}

func (mysqlVersions) TableExists(table string) string {
	return `SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '` + table + `')`
}
