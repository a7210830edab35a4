package testdb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestWithPostgresDatabase(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"URL":                     "postgres://u:p%40ss@localhost:5433/postgres?sslmode=disable",
		"URL without a database":  "postgresql://u:p%40ss@localhost:5433?sslmode=disable",
		"keywords":                "host=localhost port=5433 user=u password=p@ss dbname=postgres sslmode=disable",
		"keywords without a name": "host=localhost port=5433 user=u password=p@ss sslmode=disable",
	}
	for name, dsn := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := pgx.ParseConfig(withPostgresDatabase(dsn, "other"))
			if err != nil {
				t.Fatal(err)
			}
			if config.Database != "other" || config.Password != "p@ss" || config.Port != 5433 {
				t.Errorf("got database %s, port %d, or another password; want other, 5433", config.Database, config.Port)
			}
		})
	}
}

func TestParseMySQL(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"driver's form":    "u:p@ss@tcp(localhost:3306)/mysql?parseTime=true",
		"URL":              "mysql://u:p%40ss@localhost:3306/mysql?parseTime=true",
		"without port":     "mysql://u:p%40ss@localhost/mysql?parseTime=true",
		"without database": "mariadb://u:p%40ss@localhost?parseTime=true",
	}
	for name, dsn := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := parseMySQL(dsn)
			if err != nil {
				t.Fatal(err)
			}
			if config.Addr != "localhost:3306" || config.Passwd != "p@ss" || !config.ParseTime {
				t.Errorf("got address %s, parseTime %v, or another password", config.Addr, config.ParseTime)
			}
		})
	}
}

func TestParseMySQLKeepsThePasswordToItself(t *testing.T) {
	t.Parallel()
	_, err := parseMySQL("mysql://u:topsecret@local host:3306/")
	if err == nil {
		t.Fatal("got no error, want one")
	}
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), "topsecret") {
		t.Error("the error shows the password")
	}
}
