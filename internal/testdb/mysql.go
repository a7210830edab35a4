package testdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// newMySQL creates a database on the server and drops it with the test.
func newMySQL(t testing.TB, server string) *mysql.Config {
	t.Helper()
	config, err := parseMySQL(server)
	if err != nil {
		t.Fatalf("read the DSN in %s: %v", MySQLVariable, err)
	}
	name := newName()
	if err := execMySQL(t.Context(), config, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create a database on the server in %s: %v", MySQLVariable, err)
	}
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t)
		defer cancel()
		if err := dropMySQL(ctx, config, name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	own := config.Clone()
	own.DBName = name
	return own
}

// parseMySQL reads the form of go-sql-driver, and URLs.
func parseMySQL(dsn string) (*mysql.Config, error) {
	if !strings.HasPrefix(dsn, "mysql://") && !strings.HasPrefix(dsn, "mariadb://") {
		return mysql.ParseDSN(dsn)
	}
	parsed, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("not a URL") // the error of url.Parse shows the password
	}
	config, err := mysql.ParseDSN("/" + strings.TrimPrefix(parsed.Path, "/") + "?" + parsed.RawQuery)
	if err != nil {
		return nil, err
	}
	config.Net, config.Addr, config.User = "tcp", parsed.Host, parsed.User.Username()
	config.Passwd, _ = parsed.User.Password()
	if parsed.Port() == "" {
		config.Addr += ":3306"
	}
	return config, nil
}

// dropMySQL ends the connections to the database first: DROP DATABASE would wait for their transactions for a day.
func dropMySQL(ctx context.Context, config *mysql.Config, name string) error {
	return withMySQL(ctx, config, func(conn *sql.Conn) error {
		ids, err := readColumn(ctx, conn, "SELECT id FROM information_schema.processlist WHERE db = ?", name)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := conn.ExecContext(ctx, "KILL "+id); err != nil && !isUnknownThread(err) {
				return err
			}
		}
		_, err = conn.ExecContext(ctx, "SET lock_wait_timeout = 10; DROP DATABASE "+name)
		return err
	})
}

// isUnknownThread says that a connection ended by itself before it could be killed.
func isUnknownThread(err error) bool {
	const noSuchThread = 1094
	serverError, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && serverError.Number == noSuchThread
}

// table is what it takes to copy one.
type table struct {
	database, name string
	create         string
	filled         bool
}

// readTables describes all tables of the database, and fails the test if it holds anything else.
func readTables(t testing.TB, config *mysql.Config) []table {
	t.Helper()
	var tables []table
	err := withMySQL(t.Context(), config, func(conn *sql.Conn) (err error) {
		tables, err = describeTables(t.Context(), conn, config.DBName)
		return err
	})
	if err != nil {
		t.Fatalf("read the template database: %v", err)
	}
	return tables
}

func describeTables(ctx context.Context, conn *sql.Conn, database string) ([]table, error) {
	others, err := readColumn(ctx, conn, othersQuery, database, database, database)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		return nil, fmt.Errorf("it holds what cannot be copied: %v", others)
	}
	names, err := readColumn(ctx, conn, tablesQuery, database)
	if err != nil {
		return nil, err
	}
	tables := make([]table, len(names))
	for i, name := range names {
		tables[i] = table{database: database, name: name}
		row := conn.QueryRowContext(ctx, "SHOW CREATE TABLE "+quote(name))
		if err := row.Scan(&name, &tables[i].create); err != nil {
			return nil, err
		}
		row = conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+quote(name)+")")
		if err := row.Scan(&tables[i].filled); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

const tablesQuery = `SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE'`

const othersQuery = `
	SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type <> 'BASE TABLE'
	UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = ?
	UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = ?`

// createTables copies the tables into the database in one round trip.
func createTables(t testing.TB, config *mysql.Config, tables []table) {
	t.Helper()
	var script strings.Builder
	script.WriteString("SET foreign_key_checks = 0")
	for _, table := range tables {
		script.WriteString(";\n" + table.create)
		if table.filled {
			fmt.Fprintf(&script, ";\nINSERT INTO %[2]s SELECT * FROM %[1]s.%[2]s", table.database, quote(table.name))
		}
	}
	if err := execMySQL(t.Context(), config, script.String()); err != nil {
		t.Fatalf("copy the template database: %v", err)
	}
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func execMySQL(ctx context.Context, config *mysql.Config, statements string) error {
	return withMySQL(ctx, config, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, statements)
		return err
	})
}

// withMySQL lends a connection of its own, on which several statements may be sent at once.
func withMySQL(ctx context.Context, config *mysql.Config, use func(*sql.Conn) error) error {
	config = config.Clone()
	config.MultiStatements = true
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return use(conn)
}

// readColumn reads the only column of all rows.
func readColumn(ctx context.Context, conn *sql.Conn, query string, args ...any) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
