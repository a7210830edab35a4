package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/messages"
)

// details are what the clients of the API do wrong, and what they are told; where it is stands beside it in source. KEY and
// PROJECT are ids of alice's key and of a project.
var details = []struct {
	who, method, target, body string
	want                      string
}{
	{"stranger", "GET", "/api-keys", "", "This needs authentication."},
	{"broken", "GET", "/api-keys", "", "The service cannot answer at the moment."},
	{"alice", "GET", "/nothing", "", "There is no such thing."},
	{"alice", "PUT", "/api-keys", "", "This method is not for this path."},
	{"alice", "GET", "/api-keys", "{}", "This request takes no body."},
	{"alice", "GET", "/api-keys?a;b", "", "The query is malformed."},
	{"alice", "GET", "/api-keys?limit=3", "", "A query parameter is unknown here."},
	{"alice", "GET", "/api-keys?page[size]=1000", "", "This must be a whole number from 1 to 200."},
	{"alice", "GET", "/api-keys?page[size]=1&page[size]=2", "", "This parameter is there twice."},
	{"alice", "GET", "/api-keys?page[cursor]=", "", "This parameter is empty."},
	{"manager", "GET", "/api-keys?filter[project]=x", "", "This must be a UUID of 36 characters."},
	{"manager", "GET", "/api-keys?filter[owner]=%00", "", "No owner has this name."},
	{"admin", "GET", "/api-keys?filter[owner]=alice", "", "This is missing: owners are named within an organization."},
	{"admin", "GET", "/projects", "", "This is missing."},
	{"manager", "GET", "/users/%00/api-keys", "", "No user has this id."},
	{"suspended", "GET", "/api-keys", "", "Your organization is suspended."},
	{"alice", "POST", "/organizations", document("organizations", `"name":"x"`), "You may not do this."},

	{"alice", "POST", "/api-keys", "nonsense", "The body is not one valid JSON document."},
	{"alice", "POST", "/api-keys", "[]", "The body must be a JSON object."},
	{"alice", "POST", "/api-keys", strings.Repeat(" ", 70_000), "The body is larger than 64 KiB."},
	{"alice", "POST", "/api-keys", `{"data":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`, "This is nested too deep."},
	{"alice", "POST", "/api-keys", `{"data":{},"data":{}}`, "This field is there twice."},
	{"alice", "POST", "/api-keys", `{"name":"x"}`, "This field is unknown here."},
	{"alice", "POST", "/api-keys", `{"data":7}`, "This must be an object."},
	{"alice", "POST", "/api-keys", `{"data":{}}`, `This must be "api-keys".`},
	{"alice", "POST", "/api-keys", document("users", ""), "This is not the resource of this path."},
	{"alice", "POST", "/api-keys", `{"data":{"type":"api-keys","id":"x"}}`, "Ids are given by the server."},
	{"alice", "POST", "/api-keys", document("api-keys", `"name":7`), "This must be a string."},
	{"alice", "POST", "/api-keys", document("api-keys", `"name":"\ud800"`), "This text has half of a surrogate pair."},
	{"alice", "POST", "/api-keys", document("api-keys", `"scopes":"read"`), "This must be a list of strings; [] for none."},
	{"alice", "POST", "/api-keys", document("api-keys", `"scopes":[7]`), "Item 0 must be a string."},
	{"alice", "POST", "/api-keys", document("api-keys", `"rate_limits":[""]`), `Item 0 must be one rate limit, such as "100/minute".`},
	{"alice", "POST", "/api-keys", document("api-keys", `"expires_at":"soon"`), `This must be a time of RFC 3339, such as "2030-01-31T12:00:00Z", or null for never.`},
	{"alice", "POST", "/api-keys", document("api-keys", `"scopes":["admin"]`), `You cannot hand this out: what may be granted is "docs:*", "read".`},
	{"alice", "POST", "/api-keys", related("user", `{"type":"users","id":"bob"}`), "Your keys are your own."},
	{"manager", "POST", "/api-keys", related("user", `{"type":"people","id":"bob"}`), `This must be "users".`},
	{"manager", "POST", "/api-keys", related("user", `{"type":"users","id":""}`), "This must be a string that is not empty."},
	{"manager", "POST", "/users/alice/api-keys", related("user", `{"type":"users","id":"bob"}`), "This is not the user of this path."},
	{"admin", "POST", "/api-keys", document("api-keys", ""), "This is missing."},
	{"alice", "PATCH", "/api-keys/KEY", `{"data":{"type":"api-keys"}}`, "This must be the id of the resource."},
	{"alice", "PATCH", "/api-keys/KEY", `{"data":{"type":"api-keys","id":"KEY","attributes":{"version":0}}}`, "This must be the version of the key as you read it, 1 or more."},
	{"alice", "PATCH", "/api-keys/KEY", `{"data":{"type":"api-keys","id":"KEY","attributes":{"hint":"x"}}}`, "This cannot be changed."},
	{"alice", "POST", "/api-keys/KEY/rotate", `{"meta":{"overlap_seconds":-1}}`, "This must be a whole number from 0 to 31622400."},
	{"manager", "POST", "/projects", document("projects", ""), "This is missing."},
	{"manager", "POST", "/projects/PROJECT/relationships/products", `{"data":7}`, "This must be a list of at most 100 products."},
	{"admin", "POST", "/organizations", `{"data":{"type":"organizations","attributes":{"name":"x"},"relationships":{"user":{}}}}`, "An organization is created without relationships."},
	{"alice", "POST", "/api-keys/KEY/revoke", "", ""},
	{"alice", "POST", "/api-keys/KEY/revoke", "", "The key was revoked before."},
}

func document(kind, attributes string) string {
	return `{"data":{"type":"` + kind + `","attributes":{` + attributes + `}}}`
}

func related(name, data string) string {
	return `{"data":{"type":"api-keys","attributes":{},"relationships":{"` + name + `":{"data":` + data + `}}}}`
}

// otherwise are texts that need a request of another kind, or a fault.
var otherwise = []string{
	"Answers are %s without parameters.", "Bodies must not be encoded.", "The body must be %s.", // of headers: hostile_test.go
	"The body could not be read.", "The body is not valid JSON.", // a connection that breaks
	"A key cannot change itself.", "The service failed.",
	"httpapi: openapi.json: %w",
}

func TestDetailsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.send("alice", "POST", "/api-keys", document("api-keys", "")).text("data", "id")
	project := w.send("manager", "POST", "/projects", document("projects", `"name":"v1"`)).text("data", "id")
	ids := strings.NewReplacer("KEY", key, "PROJECT", project)
	var said []string
	for _, d := range details {
		r := w.send(d.who, d.method, ids.Replace(d.target), ids.Replace(d.body))
		if got := r.text("errors", 0, "detail"); got != d.want {
			t.Errorf("%s %s %s %.80s: got %d %q, want %q", d.who, d.method, d.target, d.body, r.status, got, d.want)
		}
		said = append(said, d.want)
	}
	unsaid, err := messages.Unsaid(".", said, "with", "wrong", "fault")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range unsaid {
		if !slices.Contains(otherwise, text) && !strings.HasPrefix(text, "httpapi: ") {
			t.Errorf("no row has %q", text)
		}
	}
}
