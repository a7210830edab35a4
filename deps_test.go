package apikeys_test

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/apikeys-platform/apikeys"

// deps returns what a package links, itself included.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// The root links no driver, no migrations and no HTTP; what it links beside the
// standard library is listed here.
func TestTheRootLinksNoDriver(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{module: true, "github.com/google/uuid": true}
	for _, name := range []string{"coalesce", "foreign", "keycache", "keyhash", "leases", "token", "usage"} {
		allowed[module+"/internal/"+name] = true
	}
	for _, dep := range deps(t, ".") {
		first, _, _ := strings.Cut(dep, "/")
		standard := !strings.Contains(first, ".")
		if !standard && !allowed[dep] || dep == "net/http" || dep == "testing" || dep == "database/sql" {
			t.Errorf("the root links %s", dep)
		}
	}
}

// The internal packages that the root uses import nothing of ours.
func TestThePurePackagesImportNothingOfOurs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"coalesce", "foreign", "keycache", "keyhash", "leases", "token", "usage"} {
		own := module + "/internal/" + name
		for _, dep := range deps(t, own) {
			if strings.HasPrefix(dep, module) && dep != own {
				t.Errorf("%s imports %s", own, dep)
			}
		}
	}
}

// Each store links its own driver and no other.
func TestStoresLinkOnlyTheirDriver(t *testing.T) {
	t.Parallel()
	drivers := map[string]string{
		"sqlite": "modernc.org/sqlite", "postgres": "github.com/jackc/pgx/v5", "mysql": "github.com/go-sql-driver/mysql",
	}
	for store, own := range drivers {
		linked := deps(t, module+"/store/"+store)
		for other, driver := range drivers {
			has := false
			for _, dep := range linked {
				has = has || dep == driver
			}
			if has != (other == store) {
				t.Errorf("store/%s: links %s: %t; its own driver is %s", store, driver, has, own)
			}
		}
	}
}
