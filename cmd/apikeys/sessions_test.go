package main

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
)

const (
	nextSecret       = "0d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a9b8c7d6e5f4a3b2c"
	otherSecret      = "9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a"
	databasePassword = "pa55word-of-the-database"
)

var signingSecretID = apikeys.NewSecret(signingSecret).ID()

// TestSessions runs whole sessions on every database: what is seen is the same.
func TestSessions(t *testing.T) {
	t.Parallel()
	databases := map[string]func(*testing.T) string{"SQLite": sqliteURL, "Postgres": postgresURL, "MariaDB": mysqlURL}
	sessions := map[string][]step{
		"keys": keysSession, "tenancy": tenancySession, "json": jsonSession, "migrate": migrateSession, "usage": usageSession, "lists": listsSession,
		"secrets": secretsSession, "import": importSession, "events": eventsSession,
	}
	for database, newURL := range databases {
		for name, steps := range sessions {
			t.Run(database+"/"+name, func(t *testing.T) {
				t.Parallel()
				if *update && database != "SQLite" {
					t.Skip("SQLite writes the golden files")
				}
				newWorld(t, newURL(t)).session(name, steps)
			})
		}
	}
}

var keysSession = []step{
	{args: "migrate up"},
	{args: "orgs create Acme", save: "org"},
	{args: "projects create v1 --org Acme", save: "project"},
	{args: "create --org Acme --owner alice --name CI --scope docs:read --scope docs:list --rate 100/minute --rate 1000/day --expires 90d", save: "key"},
	{args: "verify --scope docs:read", stdin: "{key}\n"},
	{args: "verify --scope docs:write --project v1 --org Acme", stdin: "{key}"},
	{args: "verify", stdin: "sk_0123456789012345678901234567890123456789012345678"},
	{args: "verify", stdin: ""},
	{args: "verify", stdin: "{key}\n{key}\n"},
	{args: "list"},
	{args: "inspect -", stdin: "{key}\n"},
	{args: "update - --name 'the CI' --scope docs:* --rate '' --expires never", stdin: "{key}"},
	{args: "update -", stdin: "{key}"},
	{args: "update - --custom [1]", stdin: "{key}"},
	{args: "update - --name late --if-version 1", stdin: "{key}"},
	{args: "inspect -", stdin: "{key}"},
	{args: "disable -", stdin: "{key}"},
	{args: "verify", stdin: "{key}"},
	{args: "enable -", stdin: "{key}"},
	{args: "rotate -", stdin: "{key}"},
	{args: "rotate - --overlap 7d", stdin: "{key}", save: "new"},
	{args: "inspect -", stdin: "{new}"},
	{args: "verify", stdin: "{key}", wait: 8 * 24 * time.Hour},
	{args: "verify", stdin: "{new}"},
	{args: "rotate - --overlap 0", stdin: "{new}"},
	{args: "rotate - --overlap 0 --yes", stdin: "{new}", save: "newest"},
	{args: "verify", stdin: "{new}"},
	{args: "revoke - --reason leaked", stdin: "{newest}"},
	{args: "revoke - --reason leaked --yes", stdin: "{newest}"},
	{args: "revoke - --reason again --yes", stdin: "{newest}"},
	{args: "verify", stdin: "{newest}"},
	{args: "enable -", stdin: "{newest}"},
	{args: "rotate - --overlap 1h", stdin: "{newest}"},
	{args: "purge --ended-before 30d", stdin: "y\n"},
	{args: "purge --ended-before 30d", stdin: "y\n", wait: 40 * 24 * time.Hour},
	{args: "list"},
	{args: "verify", stdin: "{newest}"},
	{args: "inspect -", stdin: "{newest}"},
	{args: "create --org Acme --owner bob", save: "key"},
	{args: "delete -", stdin: "{key}"},
	{args: "delete - --yes", stdin: "{key}"},
	{args: "inspect -", stdin: "{key}"},
	{args: "scan-pattern"},
}

var tenancySession = []step{
	{args: "migrate up"},
	{args: "orgs create Acme", save: "acme"},
	{args: "orgs create Acme"},
	{args: "orgs create Acme --if-missing"},
	{args: "orgs create"},
	{args: "orgs create a b"},
	{args: "orgs create 'Globex Inc'", save: "globex"},
	{args: "projects create v1 --org Acme", save: "v1"},
	{args: "projects create v2 --org {acme} --if-missing"},
	{args: "projects create v1 --org Acme"},
	{args: "projects create v1"},
	{args: "products create search --org Acme", save: "search"},
	{args: "products create maps --org Acme"},
	{args: "projects list --org Acme"},
	{args: "products list --org Nobody"},
	{args: "products link search v1 --org Acme"},
	{args: "products link {search} {v1}"},
	{args: "products link search v1"},
	{args: "products link nothing v1 --org Acme"},
	{args: "products linked v1 --org Acme"},
	{args: "create --org Acme --project v1 --product search --owner alice", save: "key"},
	{args: "create --project {v1} --owner bob"},
	{args: "create --project v1"},
	{args: "create --org 'Globex Inc' --project {v1}"},
	{args: "create"},
	{args: "verify --product search --org Acme", stdin: "{key}"},
	{args: "products unlink search v1 --org Acme"},
	{args: "verify --product search --org Acme", stdin: "{key}"},
	{args: "orgs rename Acme 'Acme Corp'"},
	{args: "orgs suspend 'Acme Corp'"},
	{args: "orgs list"},
	{args: "verify", stdin: "{key}"},
	{args: "orgs resume {acme}"},
	{args: "projects rename v2 v3 --org {acme}"},
	{args: "products rename maps places --org {acme}"},
	{args: "revoke-all --owner alice"},
	{args: "revoke-all --org {acme} --owner bob --reason left", stdin: "n\n"},
	{args: "revoke-all --org {acme} --owner bob --reason left", stdin: "yes\n"},
	{args: "list --org {acme}"},
	{args: "projects delete v1 --org {acme} --yes"},
	{args: "products delete search --org {acme}", stdin: "y\n"},
	{args: "orgs delete 'Globex Inc'", stdin: "\n"},
	{args: "orgs delete 'Globex Inc'", stdin: "Y\n"},
	{args: "orgs delete {globex} --yes"},
	{args: "list"},
	{args: "orgs list"},
	{args: "orgs"},
	{args: "orgs lst"},
	{args: "lst"},
}

var jsonSession = []step{
	{args: "migrate up --json"},
	{args: "migrate status --json"},
	{args: "orgs create Acme --json"},
	{args: "orgs list --json"},
	{args: "orgs suspend Acme --json"},
	{args: "orgs resume Acme --json"},
	{args: "projects create v1 --org Acme --json"},
	{args: "projects list --org Acme --json"},
	{args: "products create search --org Acme --json"},
	{args: "products link search v1 --org Acme --json"},
	{args: "products linked v1 --org Acme --json"},
	{args: "products unlink search v1 --org Acme --json"},
	{args: `create --org Acme --owner alice --scope a --rate 5/hour --custom {"big":9007199254740993} --json`},
	{args: "create --org Acme --owner bob", save: "key"},
	{args: "list --json --owner bob --org Acme"},
	{args: "inspect - --json", stdin: "{key}"},
	{args: "update - --name x --json", stdin: "{key}"},
	{args: "verify --json --scope b", stdin: "{key}"},
	{args: "verify --json", stdin: "{key}x"},
	{args: "usage - --json", stdin: "{key}"},
	{args: "disable - --json", stdin: "{key}"},
	{args: "enable - --json", stdin: "{key}"},
	{args: "rotate - --overlap 1d --json", stdin: "{key}"},
	{args: "revoke - --json", stdin: "{key}"},
	{args: "revoke - --json --yes", stdin: "{key}"},
	{args: "revoke-all --org Acme --json --yes"},
	{args: "delete - --json --yes", stdin: "{key}"},
	{args: "delete 00000000-0000-4000-8000-000000000000 --json --yes"},
	{args: "purge --ended-before 2026-01-01 --json --yes"},
	{args: "projects delete v1 --org Acme --json --yes"},
	{args: "orgs delete Acme --json"},
	{args: "orgs delete Acme --json --yes"},
	{args: "scan-pattern --json"},
	{args: "list --json --status gone"},
	{args: "list --json --nothing"},
	{args: "migrate down --json"},
	{args: "migrate down --json --delete-every-key"},
	{args: "list --json"},
}

var migrateSession = []step{
	{args: "migrate"},
	{args: "migrate up"},
	{args: "migrate up"},
	{args: "migrate status"},
	{args: "orgs create Acme"},
	{args: "create --org Acme", save: "key"},
	{args: "migrate down"},
	{args: "verify", stdin: "{key}"},
	{args: "migrate down --delete-every-key"},
	{args: "migrate status"},
	{args: "verify", stdin: "{key}"},
	{args: "migrate down --delete-every-key"},
	{args: "migrate up"},
	{args: "orgs list"},
}

var usageSession = []step{
	{args: "migrate up"},
	{args: "orgs create Acme"},
	{args: "create --org Acme --name 'never used'", save: "key"},
	{args: "usage -", stdin: "{key}"},
	{args: "usage - --from 7d --to 2026-01-02", stdin: "{key}"},
	{args: "usage - --from 1h --to 2h", stdin: "{key}"},
	{args: "usage - --from yesterday", stdin: "{key}"},
	{args: "usage 00000000-0000-4000-8000-000000000000"},
}

var listsSession = []step{
	{args: "migrate up"},
	{args: "orgs create Acme"},
	{args: "create --org Acme --owner alice --name one --expires 1h"},
	{args: "create --org Acme --owner bob --name two --expires 2026-01-03"},
	{args: "create --org Acme --owner bob --name 100%"},
	{args: "list --limit 2"},
	{args: "list --owner bob --org Acme"},
	{args: "list --owner bob"},
	{args: "list --search %"},
	{args: "list --search ONE --status expired", wait: 2 * time.Hour},
	{args: "list --status active --created-before 1h"},
	{args: "list --all"},
	{args: "list --all --limit 1"},
	{args: "list --limit 201"},
	{args: "list --cursor x"},
	{args: "list --created-before yesterday"},
	{args: "list --search nothing --json"},
	{args: "create --org Acme --expires 2020-01-01"},
	{args: "create --org Acme --expires soon"},
	{args: "create --org Acme --expires 999999d"},
	{args: "create --org Acme --scope 'two words'"},
	{args: "create --org Acme --rate 10/fortnight"},
	{args: "create --org Acme --custom {"},
}

var eventsSession = []step{
	{args: "migrate up"},
	{args: "orgs create Acme"},
	{args: "create --org Acme --name soon --expires 7d", save: "key"},
	{args: "create --org Acme --name later --expires 90d"},
	{args: "expiring"},
	{args: "expiring --within 0"},
	{args: "expiring --within 1d --json"},
	{args: "orgs rename Acme Globex --actor carol"},
	{args: "events --org Globex --limit 2"},
	{args: "events --org Globex --limit 1 --json"},
	{args: "events --subject nonsense"},
}

var secretsSession = []step{
	{args: "migrate up"},
	{args: "orgs create Acme"},
	{args: "create --org Acme --owner alice", save: "key"},
	{args: "secrets count"},
	{args: "secrets retire 0123456789abcdef --yes"},
	{args: "secrets retire " + signingSecretID + " --yes"},
	{args: "secrets count", env: map[string]string{envSecret: nextSecret, envAccepted: signingSecret}},
	{args: "secrets retire " + signingSecretID, stdin: "y\n"},
	{args: "rotate - --overlap 0 --yes", stdin: "{key}", save: "new"},
	{args: "secrets retire " + signingSecretID, stdin: "n\n"},
	{args: "secrets retire " + signingSecretID, stdin: "y\n"},
	{args: "secrets count --json", env: map[string]string{envAccepted: ""}},
	{args: "verify", stdin: "{key}"},
	{args: "verify", stdin: "{new}"},
	{args: "secrets retire " + signingSecretID + " --yes --json"},
	{args: "list", env: map[string]string{envSecret: signingSecret}},
}

// A key of better-auth, and one of the Python SDK with the secret that it was hashed
// under.
const (
	betterAuthKey = "FVDxqTWzHbSaOeLkJmRgUyNcIpQvXsBtZdEiMwKfGhAjCrYloPuVnTqWzHbSaOeL"
	sdkKey        = "sk_Zm9yZWlnbi1rZXktb2YtYW5vdGhlci1zeXN0ZW0tMTI"
	sdkSecret     = "the secret of the Python SDK, which may be weak"
)

func digestOf(text string) string {
	d := sha256.Sum256([]byte(text))
	return hex.EncodeToString(d[:])
}

var importSession = []step{
	{args: "migrate up"},
	{args: "orgs create Acme"},
	{args: "import digests", stdin: `{"scheme":"better-auth","digest":"` + digestOf(betterAuthKey) + `","organization":"Acme"}`},
	{
		args: "import digests --dry-run", env: map[string]string{envImported: "better-auth python-sdk-0.1=sk_,app_ sha256=tok_/40"},
		stdin: `{"scheme":"better-auth","digest":"` + digestOf(betterAuthKey) + `","organization":"Acme","id":"k1"}`,
	},
	{args: "list"},
	{
		args: "import digests",
		stdin: `{"scheme":"better-auth","digest":"` + digestOf(betterAuthKey) + `","organization":"Acme","id":"k1","owner_id":"alice","name":"old one",
 "scopes":["read"],"rate_limits":["10/minute"],"use_count":7,"created_at":"2025-01-02T03:04:05Z","custom":{"n":1}}
{"scheme":"better-auth","digest":"` + digestOf("another") + `","organization":"Acme","id":"k2","scopes":["two words"]}
{"scheme":"python-sdk-0.1","digest":"` + digestOf(sdkKey) + `","organization":"Acme","id":"k3","expires_at":"2026-01-01T00:00:00Z"}`,
	},
	{args: "import digests --json", stdin: `{"scheme":"better-auth","digest":"` + digestOf(betterAuthKey) + `","organization":"Acme"}`},
	{args: "import digests", stdin: `{"scheme":"better-auth","digest":"x","organization":"Acme"}`},
	{args: "import digests", stdin: `{"scheme":"better-auth","digest":"` + digestOf(betterAuthKey) + `","organization":"Nobody"}`},
	{args: "import digests", stdin: `{"scheme":"better-auth","hash":"x"}`},
	{args: "import digests", stdin: `not JSON`},
	{args: "import digests", stdin: ``},
	{args: "list"},
	{args: "verify --scope read", stdin: betterAuthKey},
	{args: "verify", stdin: sdkKey},
	{args: "verify", stdin: betterAuthKey[1:] + "x"},
	{args: "revoke - --yes --reason migrated", stdin: betterAuthKey},
	{args: "verify", stdin: betterAuthKey, env: map[string]string{envImported: ""}},
	{args: "list --imported python-sdk=sk_"},
	{args: "list --imported sha256=tok_/x"},
	{args: "list --imported sha256=tok_"},
	{args: "list --imported nothing"},
	{args: "import python-sdk"},
}
