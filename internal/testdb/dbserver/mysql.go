package dbserver

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// mysqlPlaces are where the server program is outside of most users' PATH.
var mysqlPlaces = []string{
	"/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/mysql/bin",
	"/opt/homebrew/opt/mariadb*/bin", "/opt/homebrew/opt/mysql*/bin",
}

func findMySQL(ctx context.Context) (Installation, error) {
	servers := append(candidates("mariadbd", mysqlPlaces...), candidates("mysqld", mysqlPlaces...)...)
	for _, server := range servers {
		if in, ok := mysqlAt(ctx, server); ok {
			return in, nil
		}
	}
	return Installation{}, fmt.Errorf("dbserver: MySQL: %w: no mariadbd nor mysqld in %v nor in PATH",
		ErrNotInstalled, mysqlPlaces)
}

func mysqlAt(ctx context.Context, server string) (Installation, bool) {
	text, version, err := programVersion(ctx, server)
	if err != nil {
		return Installation{}, false
	}
	in := Installation{
		Kind: MySQL, Product: "MySQL", Version: version, Dir: filepath.Dir(server), server: server, initialize: server,
	}
	if !strings.Contains(text, "MariaDB") {
		return in, true
	}
	in.Product = "MariaDB"
	prefix := filepath.Dir(in.Dir)
	installers := candidates("mariadb-install-db", filepath.Join(prefix, "bin"), filepath.Join(prefix, "scripts"))
	if len(installers) == 0 {
		return Installation{}, false
	}
	in.initialize = installers[0]
	return in, true
}

type mysqlEngine struct{ Installation }

// fastMySQL keeps nothing safe from a crash: DDL alone is many times faster without fsync. What begins with loose_ is
// known to MariaDB only, and ignored by the others.
func fastMySQL() map[string]string {
	return map[string]string{
		"loose_debug_no_sync":            "1",
		"loose_sync_frm":                 "0",
		"innodb_flush_log_at_trx_commit": "0",
		"innodb_flush_method":            "nosync",
		"innodb_doublewrite":             "0",
		"sync_binlog":                    "0",
	}
}

// prepare makes the data directory. As later the server, its program has a directory of its own for what is temporary: at
// its start it removes all temporary tables from there, also those of others that start at the same time.
func (e mysqlEngine) prepare(ctx context.Context, s *Server) error {
	if err := s.writeFile("init.sql", initStatements(s.password)); err != nil {
		return err
	}
	if e.Product == "MariaDB" {
		return s.prepareWith(ctx, e.initialize, "--no-defaults", "--datadir="+s.path("data"), "--tmpdir="+s.dir, "--skip-test-db",
			"--skip-name-resolve", "--auth-root-authentication-method=normal", "--innodb-flush-method=nosync",
			"--loose-debug-no-sync")
	}
	return s.prepareWith(ctx, e.initialize, "--no-defaults", "--initialize-insecure", "--datadir="+s.path("data"),
		"--tmpdir="+s.dir, "--innodb-flush-method=nosync")
}

// initStatements run at each start, one a line, before the server accepts connections. The password is base32.
func initStatements(password string) string {
	return "ALTER USER 'root'@'localhost' IDENTIFIED BY '" + password + "';\n" +
		"CREATE USER IF NOT EXISTS 'apikeys'@'%' IDENTIFIED BY '" + password + "';\n" +
		"GRANT ALL PRIVILEGES ON *.* TO 'apikeys'@'%' WITH GRANT OPTION;\n"
}

func (e mysqlEngine) arguments(s *Server) []string {
	settings := map[string]string{
		"datadir":                 s.path("data"),
		"tmpdir":                  s.dir,
		"socket":                  s.path("s"),
		"pid_file":                s.path("pid"),
		"init_file":               s.path("init.sql"),
		"port":                    strconv.Itoa(s.port),
		"bind_address":            "127.0.0.1",
		"skip_name_resolve":       "1",
		"max_connections":         "500",
		"innodb_buffer_pool_size": "128M",
		"performance_schema":      "0",
	}
	if e.Product == "MySQL" {
		settings["mysqlx"] = "0"
	}
	if !s.options.Durable {
		maps.Copy(settings, fastMySQL())
	}
	maps.Copy(settings, s.options.Settings)
	args := []string{"--no-defaults"}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--"+strings.ReplaceAll(name, "_", "-")+"="+settings[name])
	}
	return args
}

func (mysqlEngine) dsn(s *Server) string {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr = "apikeys", s.password, "tcp", s.Addr()
	config.DBName = "mysql"
	return config.FormatDSN()
}

func pingMySQL(ctx context.Context, dsn string) error {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	config.Logger = &mysql.NopLogger{} // while the server starts, every attempt fails
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	return db.PingContext(ctx)
}

// stopSignal asks for a normal shutdown.
func (mysqlEngine) stopSignal() os.Signal { return syscall.SIGTERM }

func (mysqlEngine) abortSignal() syscall.Signal { return syscall.SIGKILL }

// tidy has nothing to do.
func (mysqlEngine) tidy(*Server) {}
