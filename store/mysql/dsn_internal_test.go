package mysql

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys"
)

func TestParse(t *testing.T) {
	t.Parallel()
	type account struct{ Net, Addr, User, Passwd, DBName string }
	for dsn, want := range map[string]account{
		"mysql://u:p@host:3307/app":                             {"tcp", "host:3307", "u", "p", "app"},
		"mysql://u:p@host/app":                                  {"tcp", "host:3306", "u", "p", "app"},
		"mariadb://u:p@host/app":                                {"tcp", "host:3306", "u", "p", "app"},
		"MySQL://u:p@host/app":                                  {"tcp", "host:3306", "u", "p", "app"},
		"mysql+pymysql://u:p@host/app":                          {"tcp", "host:3306", "u", "p", "app"},
		"mariadb+asyncmy://u:p@host/app?timeout=1s":             {"tcp", "host:3306", "u", "p", "app"},
		"mysql://u:p@[::1]:3307/app":                            {"tcp", "[::1]:3307", "u", "p", "app"},
		"mysql://u:p@[::1]/app":                                 {"tcp", "[::1]:3306", "u", "p", "app"},
		"mysql://u@host/app":                                    {"tcp", "host:3306", "u", "", "app"},
		"mysql:///app":                                          {"tcp", ":3306", "", "", "app"},
		"mysql://u%40x:%40%3A%2F%3F%23%25%20p@host/a%2Fb%3Fc":   {"tcp", "host:3306", "u@x", "@:/?#% p", "a/b?c"},
		"mysql://u:p@ss:w@host/app":                             {"tcp", "host:3306", "u", "p@ss:w", "app"},
		"mysql://u:p@localhost/app?unix_socket=/run/m%20y.sock": {"unix", "/run/m y.sock", "u", "p", "app"},
		"u:p@tcp(host:3307)/app":                                {"tcp", "host:3307", "u", "p", "app"},
		"u:@:/?#%p@tcp(host)/app":                               {"tcp", "host:3306", "u", "@:/?#%p", "app"},
		"u:mysql://x@unix(/run/mysqld.sock)/app?tls=false":      {"unix", "/run/mysqld.sock", "u", "mysql://x", "app"},
	} {
		t.Run(dsn, func(t *testing.T) {
			t.Parallel()
			c, err := parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			got := account{c.Net, c.Addr, c.User, c.Passwd, c.DBName}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseKeepsOptionsOfTheNetwork(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"mysql://u:p@host/app?tls=true&timeout=3s&max_statement_time=7", "u:p@tcp(host:3306)/app?tls=true&timeout=3s&max_statement_time=7",
	} {
		c, err := parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := ours(c); err != nil {
			t.Fatal(err)
		}
		if c.TLS == nil || c.TLS.ServerName != "host" || c.Timeout.Seconds() != 3 || c.Params["max_statement_time"] != "7" {
			t.Errorf("%s: got TLS %t, timeout %v, variables %v", dsn, c.TLS != nil, c.Timeout, c.Params)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"nothing":                        "",
		"no database separator":          "topsecret",
		"an address that does not end":   "u:topsecret@tcp(host/app",
		"an unknown network":             "u:topsecret@carrier/app",
		"an unknown TLS configuration":   "mysql://u:topsecret@host/app?tls=topsecret",
		"an option that is not a number": "mysql://u:p@host/app?timeout=topsecret",
		"an escape that is none":         "mysql://u:topsecret%zz@host/app",
		"options that are not escaped":   "mysql://u:p@host/app?a=%zztopsecret",
		"a slash in the password":        "mysql://u:top/secret@host/app",
		"after digits":                   "mysql://u:1/topsecret@host/app",
		"a question mark":                "mysql://u:top?secret@host/app",
		"a question mark after digits":   "mysql://u:1?topsecret@host/app",
		"a hash sign":                    "mysql://u:top#secret@host/app",
		"a hash sign after digits":       "mysql://u:1#topsecret@host/app",
		"a percent sign":                 "mysql://u:topsecret%@host/app",
		"a space":                        "mysql://u:top secret@host/app",
		"a control character":            "mysql://u:topsecret\n@host/app",
		"a bracket":                      "mysql://u:top[secret@host/app",
		"an address of no sense":         "mysql://topsecret:topsecret:topsecret/app",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(dsn)
			if !errors.Is(err, apikeys.ErrInvalidArgument) {
				t.Fatalf("got %v, want an invalid argument", err)
			}
			for _, part := range []string{"top", "secret", "zz"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("got an error with a part of the password: %q", err)
				}
			}
		})
	}
}

func TestTooOld(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"5.7.44": true, "8.0.4": true, "8.0.15": true, "8.0.16": false, "8.0.36-0UBUNTU0": false, "8.4.0": false, "9.1.0": false,
		"10.5.9-MARIADB": true, "10.6.0-MARIADB": false, "10.11.19-MARIADB-0+DEB12U1": false, "11.4.2-MARIADB-LOG": false,
		"8.0.11-TIDB-V7.5.0": true, "": true, "NEW": true, "8": true,
	} {
		if got := tooOld(version); got != want {
			t.Errorf("%q: got %t, want %t", version, got, want)
		}
	}
}
