package mysql

import (
	"maps"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/apikeys-platform/apikeys"
)

// parse reads a data source name: a URL, or the form of go-sql-driver. No part of it
// may be in an error: who forgot to escape a password has it anywhere.
func parse(dsn string) (*mysql.Config, error) {
	if dsn == "" {
		return nil, invalid("is empty: write mysql://user:password@host/database")
	}
	if scheme, _, ok := strings.Cut(dsn, "://"); ok && isScheme(scheme) {
		return parseURL(dsn)
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, invalid("cannot be read: write user:password@tcp(host:3306)/database or mysql://user:password@host/database")
	}
	return config, nil
}

// isScheme tells of "mysql" and "mariadb", with or without a driver as SQLAlchemy
// names it ("mysql+pymysql").
func isScheme(scheme string) bool {
	name, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	return name == "mysql" || name == "mariadb"
}

// parseURL reads mysql://user:password@host:port/database?option=value, with the options
// of go-sql-driver and unix_socket. A password that was not escaped shows in
// places where it does not belong.
func parseURL(text string) (*mysql.Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Fragment != "" || strings.Contains(u.Path+u.RawQuery, "@") {
		return nil, invalid("is not a URL: escape the characters : / ? # [ ] @ % in its user and password, as %3A for a colon")
	}
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalid("has options that cannot be read: escape them as in a URL")
	}
	network, address := "tcp", u.Host
	if socket := options.Get("unix_socket"); socket != "" {
		network, address = "unix", socket
		options.Del("unix_socket")
	} else if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "3306")
	}
	database := url.PathEscape(strings.TrimPrefix(u.Path, "/"))
	config, err := mysql.ParseDSN(network + "(" + address + ")/" + database + "?" + options.Encode())
	if err != nil {
		return nil, invalid("has an option that the driver does not take, or an address that it cannot read")
	}
	if u.User != nil {
		config.User = u.User.Username()
		config.Passwd, _ = u.User.Password()
	}
	return config, nil
}

// ours takes back what would change how values come and go, and how failures are
// seen. The network, TLS and the account stay as they are.
func ours(config *mysql.Config) error {
	config.ParseTime, config.Loc = true, time.UTC
	config.ClientFoundRows = true
	config.MultiStatements, config.InterpolateParams, config.ColumnsWithAlias = false, false, false
	config.AllowAllFiles = false
	config.CheckConnLiveness = true
	config.Logger = &mysql.NopLogger{}
	// These are set after the charset, and would change how ours are read; and not every
	// server lets the clock go on again.
	maps.DeleteFunc(config.Params, func(name, _ string) bool {
		name = strings.ToLower(name)
		return strings.Contains(name, "character_set") || strings.Contains(name, "collation") || strings.HasSuffix(name, "timestamp")
	})
	return config.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin"))
}

func invalid(reason string) error {
	return &apikeys.InvalidArgumentError{Field: "dsn", Reason: reason}
}
