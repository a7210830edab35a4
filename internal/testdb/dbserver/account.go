package dbserver

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// account is whom a server runs as. A nil account is the caller's own.
type account struct {
	uid, gid int
}

// unprivileged returns the account for a server: the caller's own, or when the caller is root, as which no database server
// runs, that of the server's package, or nobody's.
func unprivileged(kind Kind) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is the caller's own account
	}
	names := map[Kind]string{Postgres: "postgres", MySQL: "mysql", PgBouncer: "postgres"}
	for _, name := range []string{names[kind], "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return parseAccount(u)
		}
	}
	return nil, fmt.Errorf("a server cannot run as root, and there is no user %q nor nobody", names[kind])
}

func parseAccount(u *user.User) (*account, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Username, err)
	}
	return &account{uid: uid, gid: gid}, nil
}

// own gives a file or directory to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}
