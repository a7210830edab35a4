package apikeys_test

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	messagetexts "github.com/apikeys-platform/apikeys/internal/messages"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// other makes a second client of the desk's database.
func (d *desk) other(store apikeys.Store, change func(*apikeys.Config)) *apikeys.Client {
	config := apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), Now: d.Clock.Now}
	change(&config)
	client, err := apikeys.New(d.ctx, store, config)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

func importingFrom(keys apikeys.ImportedKeys) func(*desk) error {
	return configured(func(c *apikeys.Config) { c.Imported = []apikeys.ImportedKeys{keys} })
}

// importing imports one key that is right but for the change.
func importing(change func(*apikeys.ImportKey)) func(*desk) error {
	return func(d *desk) error {
		client := d.other(d.Store, func(c *apikeys.Config) {
			c.Imported = []apikeys.ImportedKeys{{Scheme: apikeys.ImportSHA256, Prefixes: []string{"old_"}, Length: 32}, {Scheme: apikeys.ImportSanctum}}
		})
		key := apikeys.ImportKey{Scheme: apikeys.ImportSHA256, Digest: apikeys.Hash{1}, OrganizationID: d.org}
		change(&key)
		results, err := client.ImportKeys(d.ctx, []apikeys.ImportKey{key, key}, apikeys.ImportParams{DryRun: true})
		if err != nil {
			return err
		}
		return cmp.Or(results[0].Err, results[1].Err)
	}
}

// granting creates a key in a view that may not hand it out.
func granting(g apikeys.Grant) func(*desk) error {
	return func(d *desk) error {
		return errOf(d.WithGrant(g).CreateKey(d.ctx, apikeys.CreateKeyParams{
			OrganizationID: d.org, Metadata: apikeys.KeyMetadata{Scopes: []string{"read"}},
		}))
	}
}

func fromFile(content string) func(*desk) error {
	return func(d *desk) error {
		path := filepath.Join(d.t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
		return errOf(apikeys.SecretFromFile(path))
	}
}

// oddStore answers some calls as a store with a fault does.
type oddStore struct{ apikeys.Store }

func (oddStore) CreateResource(context.Context, apikeys.Mutation, apikeys.ResourceRecord) (apikeys.ResourceRecord, bool, error) {
	return apikeys.ResourceRecord{}, false, apikeys.ErrOutcomeUnknown
}

func (oddStore) ListEvents(context.Context, apikeys.EventQuery) ([]apikeys.EventRecord, error) {
	return []apikeys.EventRecord{{Detail: json.RawMessage("{")}}, nil
}

func (s oddStore) GetKey(ctx context.Context, ref apikeys.KeyRef) (apikeys.KeyRecord, []apikeys.SecretRecord, error) {
	k, secrets, err := s.Store.GetKey(ctx, ref)
	k.Custom = json.RawMessage("{")
	return k, secrets, err
}

// odd does something on a store with a fault.
func odd(do func(*desk, *apikeys.Client) error) func(*desk) error {
	return func(d *desk) error { return do(d, d.other(oddStore{d.Store}, func(*apikeys.Config) {})) }
}

// changing does something while the signing secret is changed: old signs with the desk's, new with another one.
func changing(do func(d *desk, old, new *apikeys.Client) error) func(*desk) error {
	return func(d *desk) error {
		d = &desk{Client: apikeystest.New(d.t), t: d.t, ctx: d.ctx} // a database of its own
		renewed := d.other(d.Store, func(c *apikeys.Config) {
			c.AcceptedSecrets, c.SigningSecret = []apikeys.Secret{c.SigningSecret}, apikeys.NewSecret(otherSecret)
		})
		return do(d, d.Client.Client, renewed)
	}
}

func retiring(client *apikeys.Client, secret string, loseKeys bool) error {
	return errOf(client.RetireSecret(context.Background(), apikeys.RetireSecretParams{ID: apikeys.NewSecret(secret).ID(), LoseKeys: loseKeys}))
}

var rareMessages = []message{
	// Configuration
	{importingFrom(apikeys.ImportedKeys{Scheme: "jwt"}),
		`apikeys: Imported[0].Scheme: "jwt" is none of the schemes that keys can be imported from: take one of the constants, such as ImportSHA256, which is "sha256"`},
	{importingFrom(apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256, Prefixes: []string{"sk_"}, Length: 49}),
		`apikeys: Imported[0].Prefixes: makes texts that look like keys of this client's own, which begin with sk_`},
	{importingFrom(apikeys.ImportedKeys{Scheme: apikeys.ImportPythonSDK}),
		`apikeys: Imported[0].Secret: is missing: it is the secret that the other system signed with`},
	{importingFrom(apikeys.ImportedKeys{Scheme: apikeys.ImportSanctum, Secret: apikeys.NewSecret("x")}),
		`apikeys: Imported[0].Secret: is set, and the scheme has none`},
	{importingFrom(apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256}),
		`apikeys: Imported[0].Prefixes: is missing: it says what texts begin with`},
	{importingFrom(apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256, Prefixes: []string{"a b"}}),
		`apikeys: Imported[0].Prefixes: must be printable ASCII without space, at most 64 bytes each`},
	{importingFrom(apikeys.ImportedKeys{Scheme: apikeys.ImportSanctum, Length: 8}),
		`apikeys: Imported[0].Length: is set, and the scheme has one of its own`},
	{importingFrom(apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256, Prefixes: []string{"old_"}, Length: 1}),
		`apikeys: Imported[0].Length: must be between 20 and 512: how many characters follow the prefix`},
	{configured(func(c *apikeys.Config) { c.EventRetention = time.Second }),
		`apikeys: EventRetention: is less than 24h0m0s; negative keeps all for ever`},
	{func(d *desk) error {
		d.t.Setenv("APIKEYS_EMPTY", "")
		return errOf(apikeys.SecretFromEnv("APIKEYS_EMPTY"))
	},
		`apikeys: Secret: the environment variable "APIKEYS_EMPTY" is empty: set it to 32 random bytes or more, such as the output of 'openssl rand -hex 32'`},
	{fromFile(""), `apikeys: Secret: the file "FILE" is empty`},
	{fromFile(strings.Repeat("x", 1<<17)), `apikeys: Secret: the file "FILE" is larger than 64 KiB`},
	{func(d *desk) error {
		return errOf(apikeys.New(d.ctx, apikeys.UnimplementedStore{}, apikeys.Config{SigningSecret: apikeys.NewSecret(otherSecret)}))
	},
		`apikeys: read settings: store unavailable: the store does not implement this method`},

	// Keys
	{func(d *desk) error { return errOf(d.CreateKey(d.ctx, apikeys.CreateKeyParams{})) },
		`apikeys: organization not found: its id is missing`},
	{func(d *desk) error { return errOf(d.FindOrganization(d.ctx, "Nobody")) },
		`apikeys: no organization has this name`},
	{func(d *desk) error {
		client := d.other(d.Store, func(c *apikeys.Config) { c.MaxKeyLifetime = time.Hour })
		return errOf(client.CreateKey(d.ctx, apikeys.CreateKeyParams{OrganizationID: d.org}))
	},
		`apikeys: Metadata.ExpiresAt: must be at most 1h0m0s after the key's creation (Config.MaxKeyLifetime)`},
	{func(d *desk) error {
		project, err := d.CreateProject(d.ctx, d.org, "website")
		if err != nil {
			return err
		}
		product, err := d.CreateProduct(d.ctx, d.org, "api")
		if err != nil {
			return err
		}
		return errOf(d.CreateKey(d.ctx, apikeys.CreateKeyParams{OrganizationID: d.org, ProjectID: project.ID, ProductID: product.ID}))
	},
		`apikeys: ProductID: is not linked to the project; call AddProductToProject first`},
	{creating(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(1e18)}}),
		`apikeys: Metadata.RateLimits: 1000000000000000000/day is too large: at most 10^15 requests`},
	{creating(apikeys.KeyMetadata{Scopes: numbered(65)}),
		`apikeys: Metadata.Scopes: has more than 64 scopes`},
	{asking(apikeys.ValidateParams{Scopes: numbered(65)}),
		`apikeys: Scopes: has 65 scopes; at most 64`},
	{func(d *desk) error {
		return errOf(d.PatchKey(d.ctx, d.Issue().Key.ID, apikeys.KeyPatch{Name: new("x"), IfVersion: 7}))
	},
		`apikeys: changed meanwhile; read it again and retry`},
	{func(d *desk) error {
		for _, err := range d.ExpiringKeys(d.ctx, -1) {
			return err
		}
		return nil
	},
		`apikeys: within: must be positive: it says how soon a key must expire to be listed`},

	// Views
	{granting(apikeys.Grant{}),
		`apikeys: Metadata.Scopes: beyond the grant: what may be granted is nothing`},
	{granting(apikeys.Grant{OrganizationID: nobody}),
		`apikeys: OrganizationID: beyond the grant: the key must be bound to ID`},
	{granting(apikeys.Grant{OwnerID: "alice"}),
		`apikeys: OwnerID: beyond the grant: the key must be of the owner "alice"`},
	{granting(apikeys.Grant{Environments: []string{"live", "test"}}),
		`apikeys: Environment: beyond the grant: the key must be of "live", "test"`},
	{granting(apikeys.Grant{Scopes: []string{"*"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(10)}}),
		`apikeys: Metadata.RateLimits: beyond the grant: the key needs a limit of 10/minute or fewer`},
	{granting(apikeys.Grant{Scopes: []string{"*"}, ExpiresBy: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}),
		`apikeys: Metadata.ExpiresAt: beyond the grant: the key must end by 2027-01-01T00:00:00Z`},
	{func(d *desk) error {
		return errOf(d.WithGrant(apikeys.Grant{ProjectID: nobody}).CreateProject(d.ctx, d.org, "website"))
	},
		`apikeys: Grant: beyond the grant: a view with a grant for one project or product cannot change organizations, projects and products`},
	{func(d *desk) error { return errOf(d.WithGrant(apikeys.Grant{}).ResumeOrganization(d.ctx, d.org)) },
		`apikeys: Grant: beyond the grant: a view with a grant cannot resume an organization, which would bring back keys beyond it`},
	{func(d *desk) error {
		view := d.Scoped(apikeys.Scope{OrganizationID: d.org, OwnerID: "alice"})
		return errOf(view.ListEvents(d.ctx, apikeys.EventFilter{}, apikeys.ListOptions{}))
	},
		`apikeys: SubjectID: is missing: the view of one owner sees the events of one key at a time`},
	{func(d *desk) error {
		return errOf(d.Scoped(apikeys.Scope{OrganizationID: d.org}).CountKeysBySecret(d.ctx))
	},
		`apikeys: Scope: a view sees no signing secrets; use the client that it was made from`},
	{func(d *desk) error { return errOf(d.Scoped(apikeys.Scope{OrganizationID: d.org}).Sweep(d.ctx)) },
		`apikeys: Scope: a view sweeps nothing; use the client that it was made from`},

	// Imports
	{func(*desk) error { return errOf(apikeys.ParseDigest("secret")) },
		`apikeys: Digest: is not a SHA-256 digest in hexadecimal or base64`},
	{importing(func(*apikeys.ImportKey) {}),
		`apikeys: Digest: is that of an earlier key of this import`},
	{importing(func(k *apikeys.ImportKey) { k.Digest = apikeys.Hash{} }),
		`apikeys: Digest: is missing: it is what the other system kept of the key's text`},
	{importing(func(k *apikeys.ImportKey) { k.Scheme, k.ForeignID = apikeys.ImportSanctum, "no id" }),
		`apikeys: ForeignID: must be the id in the key's text: up to 36 letters, digits and hyphens`},
	{importing(func(k *apikeys.ImportKey) { k.Scheme = "jwt" }),
		`apikeys: Scheme: "jwt" is not in Config.Imported, so the key could not be used`},
	{importing(func(k *apikeys.ImportKey) { k.CreatedAt = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }),
		`apikeys: CreatedAt: lies in the future`},
	{importing(func(k *apikeys.ImportKey) { k.UseCount = -1 }),
		`apikeys: UseCount: is negative`},
	{importing(func(k *apikeys.ImportKey) { k.RevokedReason = "leaked" }),
		`apikeys: RevokedReason: is set, and RevokedAt is not`},
	{importing(func(k *apikeys.ImportKey) { k.Hint = strings.Repeat("x", 41) }),
		`apikeys: Hint: has more than 40 characters`},
	{func(d *desk) error {
		elsewhere, err := d.CreateOrganization(d.ctx, "Elsewhere")
		if err != nil {
			return err
		}
		client := d.other(d.Store, func(c *apikeys.Config) { c.Imported = []apikeys.ImportedKeys{{Scheme: apikeys.ImportBetterAuth}} })
		key := []apikeys.ImportKey{{Scheme: apikeys.ImportBetterAuth, Digest: apikeys.Hash{2}, OrganizationID: elsewhere.ID}}
		if _, err := client.ImportKeys(d.ctx, key, apikeys.ImportParams{}); err != nil {
			return err
		}
		key[0].OrganizationID = d.org
		results, err := client.Scoped(apikeys.Scope{OrganizationID: d.org}).ImportKeys(d.ctx, key, apikeys.ImportParams{})
		return cmp.Or(err, results[0].Err)
	},
		`apikeys: Digest: cannot be imported here`},

	// Signing secrets
	{changing(func(_ *desk, old, _ *apikeys.Client) error { return retiring(old, apikeystest.SigningSecret, false) }),
		`apikeys: ID: is the secret that this client signs with; sign with another one everywhere first`},
	{changing(func(_ *desk, old, _ *apikeys.Client) error {
		return retiring(old, strings.Repeat("nowhere-", 5), false)
	}),
		`apikeys: ID: names no signing secret of this database; CountKeysBySecret lists them`},
	{changing(func(d *desk, _, renewed *apikeys.Client) error {
		d.Issue()
		return retiring(renewed, apikeystest.SigningSecret, false)
	}),
		`apikeys: LoseKeys: 1 keys hang on this secret alone; wait until they were used, end them, or set LoseKeys to give them up`},
	{changing(func(d *desk, old, renewed *apikeys.Client) error {
		if err := retiring(renewed, apikeystest.SigningSecret, true); err != nil {
			return err
		}
		return errOf(old.CreateKey(d.ctx, apikeys.CreateKeyParams{OrganizationID: d.Organization.ID}))
	}),
		`apikeys: issue key: store unavailable: the signing secret of this process was retired from this database, and no secret comes back; ` +
			`sign with the one that the other processes sign with, or with a new one`},
	{changing(func(d *desk, _, renewed *apikeys.Client) error {
		if err := retiring(renewed, apikeystest.SigningSecret, true); err != nil {
			return err
		}
		return errOf(apikeys.New(d.ctx, d.Store, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret)}))
	}),
		`apikeys: SigningSecret: was retired from this database, and no secret comes back; ` +
			`sign with the one that the other processes sign with, or with a new one`},

	// The store, and what is left
	{odd(func(d *desk, c *apikeys.Client) error { return errOf(c.CreateOrganization(d.ctx, "Odd")) }),
		`apikeys: create organization ID: the store did not say whether it was done; look before repeating`},
	{odd(func(d *desk, c *apikeys.Client) error {
		return errOf(c.ListEvents(d.ctx, apikeys.EventFilter{}, apikeys.ListOptions{}))
	}),
		`apikeys: read event: store unavailable: its detail is not the JSON that was stored`},
	{odd(func(d *desk, c *apikeys.Client) error { return errOf(c.GetKey(d.ctx, d.Issue().Key.ID)) }),
		`apikeys: read key: store unavailable: its custom data is not the JSON that was stored`},
	{func(d *desk) error {
		client := d.other(d.Store, func(*apikeys.Config) {})
		return cmp.Or(client.Close(d.ctx), errOf(client.Verify(d.ctx, d.text)))
	},
		`apikeys: client is closed`},
	{func(d *desk) error {
		db, err := sqlite.Open(d.ctx, ":memory:")
		if err != nil {
			return err
		}
		return cmp.Or(db.Migrate(d.ctx), db.Close(), errOf(apikeys.New(d.ctx, db, apikeys.Config{SigningSecret: apikeys.NewSecret(otherSecret)})))
	},
		`apikeys: read settings: store unavailable: sqlite: it was closed: close the store after the client`},

	// The sentinels by themselves, as stores of others may return some of them
	{func(*desk) error { return apikeys.ErrExpiredKey }, `apikeys: key expired`},
	{func(*desk) error { return apikeys.ErrRevokedKey }, `apikeys: key revoked`},
	{func(*desk) error { return apikeys.ErrDisabledKey }, `apikeys: key disabled`},
	{func(*desk) error { return apikeys.ErrSuspended }, `apikeys: organization suspended`},
	{func(*desk) error { return apikeys.ErrInsufficientScope }, `apikeys: insufficient scope`},
	{func(*desk) error { return apikeys.ErrQuotaExceeded }, `apikeys: rate limit exceeded`},
	{func(*desk) error { return apikeys.ErrAlreadyExists }, `apikeys: already exists`},
	{func(*desk) error { return apikeys.ErrNotFound }, `apikeys: not found`},
	{func(*desk) error { return apikeys.ErrInvalidArgument }, `apikeys: invalid argument`},
	{func(*desk) error { return apikeys.ErrBeyondGrant }, `apikeys: beyond the grant`},
	{func(*desk) error { return apikeys.ErrUnavailable }, `apikeys: store unavailable`},
	{func(*desk) error { return apikeys.ErrOutcomeUnknown }, `apikeys: outcome unknown`},
}

// nobodyMeets are texts that no user meets by themselves, as the tables have them.
var nobodyMeets = []string{
	"apikeys: read secret: %w",                                                                 // the operating system's own error follows
	"apikeys: decode custom metadata: %w",                                                      // encoding/json's own error follows
	"apikeys: event detail: %w",                                                                // what is marshalled is always JSON
	"event %s %s",                                                                              // a line in a log
	"custom metadata is not a JSON object: %w", "custom metadata has more than one JSON value", // replaced: see "its custom data is not the JSON"
}

// numbered returns so many scopes.
func numbered(n int) []string {
	scopes := make([]string, n)
	for i := range scopes {
		scopes[i] = "s" + strings.Repeat("x", i)
	}
	return scopes
}

// No text of an error is missing in the tables.
func TestEveryMessageIsInTheTables(t *testing.T) {
	t.Parallel()
	var said []string
	for _, m := range slices.Concat(messages, rareMessages) {
		said = append(said, m.want)
	}
	unsaid, err := messagetexts.Unsaid(".", said, "invalid", "beyond", "sentinel", "Sprintf")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range unsaid {
		if !slices.Contains(nobodyMeets, text) {
			t.Errorf("no row has %q", text)
		}
	}
}
