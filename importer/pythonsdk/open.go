package pythonsdk

import (
	"database/sql"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Open opens the SDK's database by the URL that the SDK has for it:
//
//	sqlite:///app.db, sqlite:////var/lib/app.db     a file, relative or absolute; read only
//	postgresql://user:password@host/app             also postgres://
//	mysql://user:password@host:3306/app             also mariadb://
//
// A driver in the scheme ("postgresql+asyncpg") plays no part. It connects when it is
// used. No error shows a password.
func Open(text string) (*sql.DB, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	name, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch name {
	case "sqlite":
		file := url.URL{Scheme: "file", Opaque: url.PathEscape(strings.TrimPrefix(rest, "/"))}
		return sql.Open("sqlite", file.String()+"?mode=ro")
	case "postgres", "postgresql":
		config, err := pgx.ParseConfig("postgres://" + rest)
		if err != nil {
			return nil, wrong("url", "cannot be read: write postgresql://user:password@host/database, the password escaped as in a URL")
		}
		return stdlib.OpenDB(*config), nil
	case "mysql", "mariadb":
		return openMySQL(rest)
	}
	return nil, wrong("url", "must begin with sqlite://, postgresql:// or mysql://")
}

func openMySQL(rest string) (*sql.DB, error) {
	u, err := url.Parse("mysql://" + rest)
	if err != nil || u.Host == "" {
		return nil, wrong("url", "cannot be read: write mysql://user:password@host/database, the password escaped as in a URL")
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	if u.Port() == "" {
		config.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	if u.User != nil {
		config.User = u.User.Username()
		config.Passwd, _ = u.User.Password()
	}
	config.ParseTime, config.Loc = true, time.UTC
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, wrong("url", "cannot be used by the driver")
	}
	return sql.OpenDB(connector), nil
}
