package apikeys_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// desk is where users of the library meet its errors.
type desk struct {
	*apikeystest.Client
	t    *testing.T
	ctx  context.Context
	org  uuid.UUID
	text string // of a good key
}

// configured makes a client with a configuration that is right but for the change.
func configured(change func(*apikeys.Config)) func(*desk) error {
	return func(d *desk) error {
		config := apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret)}
		change(&config)
		return errOf(apikeys.New(d.ctx, d.Store, config))
	}
}

func signing(secret string) func(*desk) error {
	return configured(func(c *apikeys.Config) { c.SigningSecret = apikeys.NewSecret(secret) })
}

func creating(meta apikeys.KeyMetadata) func(*desk) error {
	return func(d *desk) error {
		return errOf(d.CreateKey(d.ctx, apikeys.CreateKeyParams{OrganizationID: d.org, Metadata: meta}))
	}
}

func asking(p apikeys.ValidateParams) func(*desk) error {
	return func(d *desk) error { return errOf(d.Validate(d.ctx, d.text, p)) }
}

func presenting(key func(*desk) *apikeys.IssuedKey, p apikeys.ValidateParams) func(*desk) error {
	return func(d *desk) error { return errOf(d.Validate(d.ctx, key(d).Plaintext.Reveal(), p)) }
}

// errOf drops the result beside an error.
func errOf[T any](_ T, err error) error { return err }

var nobody = uuid.MustParse("00000000-0000-4000-8000-000000000001")

type message struct {
	did  func(*desk) error
	want string
}

// messages are the errors that users of the library meet, each by what they did, with
// all that it says: what was wrong, with what, and what to do about it.
var messages = []message{
	// Configuration
	{func(d *desk) error { return errOf(apikeys.New(d.ctx, nil, apikeys.Config{})) },
		`apikeys: store: is nil: open one with store.Open or one of the packages under store`},
	{func(d *desk) error { return errOf(apikeys.New(d.ctx, d.Store, apikeys.Config{})) },
		`apikeys: SigningSecret: is missing: set it to 32 random bytes or more, such as the output of 'openssl rand -hex 32'`},
	{signing("short"),
		`apikeys: SigningSecret: is shorter than 32 bytes: make one with openssl rand -hex 32`},
	{signing("changeme-changeme-changeme-changeme"),
		`apikeys: SigningSecret: contains a placeholder, such as changeme, example, password, secret or your-: make one with openssl rand -hex 32`},
	{signing(strings.Repeat("ab", 20)),
		`apikeys: SigningSecret: has fewer than 8 different bytes: make one with openssl rand -hex 32`},
	{signing("8c1f0e7d5b3a49628f70d4c2b1a69e35c7d80f12\n"),
		`apikeys: SigningSecret: starts or ends with white space: remove it, such as the newline at the end of a file`},
	{signing("8c1f0e7d5b3a49628f70d4c2b1a69e35c7d80f12e4a6b59d"),
		`apikeys: SigningSecret: is not a secret that this database's keys were issued under; to change the signing secret, keep the one in use until now in AcceptedSecrets`},
	{configured(func(c *apikeys.Config) { c.KeyPrefix = "my-app" }),
		`apikeys: KeyPrefix: must hold only lower-case ASCII letters, digits and single underscores between them`},
	{configured(func(c *apikeys.Config) { c.KeyPrefix, c.Environment = "sk", "live" }),
		`apikeys: Environment: must not make keys that secret scanners report as those of Stripe (sk_live_...)`},
	{configured(func(c *apikeys.Config) { c.Environment = "LIVE" }),
		`apikeys: Environment: must start with a lower-case ASCII letter`},
	{configured(func(c *apikeys.Config) { c.AcceptedHeads = []string{"a__b"} }),
		`apikeys: AcceptedHeads: must hold only lower-case ASCII letters, digits and single underscores between them`},
	{configured(func(c *apikeys.Config) { c.MaxKeyLifetime = -1 }),
		`apikeys: MaxKeyLifetime: is negative; 0 means no maximum`},
	{func(d *desk) error { return errOf(apikeys.SecretFromEnv("APIKEYS_UNSET")) },
		`apikeys: Secret: the environment variable "APIKEYS_UNSET" is not set: set it to 32 random bytes or more, such as the output of 'openssl rand -hex 32'`},
	{func(d *desk) error {
		db, err := sqlite.Open(d.ctx, ":memory:")
		if err != nil {
			return err
		}
		return errors.Join(errOf(apikeys.New(d.ctx, db, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret)})), db.Close())
	},
		`apikeys: read settings: store unavailable: the database has no apikeys tables: call Migrate, or run the migrations with goose`},

	// Tenancy
	{func(d *desk) error { return errOf(d.CreateOrganization(d.ctx, "Test organization")) },
		`apikeys: organization with this name already exists: ID`},
	{func(d *desk) error { return errOf(d.CreateOrganization(d.ctx, "")) },
		`apikeys: name: must not be empty`},
	{func(d *desk) error { return errOf(d.CreateOrganization(d.ctx, strings.Repeat("x", 201))) },
		`apikeys: name: has 201 characters; at most 200`},
	{func(d *desk) error { return errOf(d.CreateOrganization(d.ctx, "a\u202eb")) },
		`apikeys: name: must not contain U+202E: control, invisible and text-direction characters are refused`},
	{func(d *desk) error { return errOf(d.CreateOrganization(d.ctx, "\xff")) },
		`apikeys: name: must be valid UTF-8`},
	{func(d *desk) error { return errOf(d.GetProject(d.ctx, nobody)) },
		`apikeys: project ID not found`},
	{func(d *desk) error { return errOf(d.Scoped(apikeys.Scope{}).GetOrganization(d.ctx, d.org)) },
		`apikeys: Scope: names no organization, so this view sees nothing; give Scoped the organization's id`},
	{func(d *desk) error {
		return errOf(d.Scoped(apikeys.Scope{OrganizationID: d.org}).CreateOrganization(d.ctx, "Globex"))
	},
		`apikeys: Scope: a view of one organization cannot create organizations`},
	{func(d *desk) error {
		return errOf(d.Scoped(apikeys.Scope{OrganizationID: d.org, OwnerID: "alice"}).CreateProject(d.ctx, d.org, "v1"))
	},
		`apikeys: Scope: a view of one owner cannot change organizations, projects and products`},

	// Keys
	{func(d *desk) error { return errOf(d.CreateKey(d.ctx, apikeys.CreateKeyParams{OrganizationID: nobody})) },
		`apikeys: organization ID not found`},
	{func(d *desk) error {
		return errOf(d.Scoped(apikeys.Scope{OrganizationID: d.org, OwnerID: "alice"}).CreateKey(d.ctx, apikeys.CreateKeyParams{OwnerID: "bob"}))
	},
		`apikeys: OwnerID: is not the owner whose keys this view is for`},
	{creating(apikeys.KeyMetadata{Scopes: []string{"read write"}}),
		`apikeys: Metadata.Scopes: scope "read write" has a character other than printable ASCII without space, " and \`},
	{creating(apikeys.KeyMetadata{Scopes: []string{"*:read"}}),
		`apikeys: Metadata.Scopes: scope "*:read" may have "*" only alone or as its last part, as in "docs:*"`},
	{creating(apikeys.KeyMetadata{Scopes: []string{"read:"}}),
		`apikeys: Metadata.Scopes: scope "read:" has an empty part before, after or between ":"`},
	{creating(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{{Requests: 5}}}),
		`apikeys: Metadata.RateLimits: the window of 0 seconds is unknown: use second, minute, hour or day`},
	{creating(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(-1)}}),
		`apikeys: Metadata.RateLimits: -1/day is negative; 0 denies everything`},
	{creating(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(1), apikeys.PerDay(2)}}),
		`apikeys: Metadata.RateLimits: 2/day is a second limit for each day: at most one`},
	{creating(apikeys.KeyMetadata{ExpiresAt: time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)}),
		`apikeys: Metadata.ExpiresAt: must be between the years 1970 and 9999; the zero time means never`},
	{creating(apikeys.KeyMetadata{Custom: map[string]any{"x": strings.Repeat("x", 20_000)}}),
		`apikeys: Metadata.Custom: is larger than 16 KiB as JSON`},
	{creating(apikeys.KeyMetadata{Custom: map[string]any{"x": func() {}}}),
		`apikeys: Metadata.Custom: at ["x"]: a func() has no JSON form`},
	{func(d *desk) error { return errOf(d.GetKey(d.ctx, nobody)) },
		`apikeys: key ID not found`},
	{func(d *desk) error { return errOf(d.PatchKey(d.ctx, nobody, apikeys.KeyPatch{IfVersion: -1})) },
		`apikeys: IfVersion: is negative; it is the Version of the key as you read it`},
	{func(d *desk) error { return errOf(d.RotateKey(d.ctx, nobody, apikeys.RotateParams{Overlap: -1})) },
		`apikeys: Overlap: is negative; 0 ends the old secret at once`},
	{func(d *desk) error {
		return errOf(d.ListKeys(d.ctx, apikeys.KeyFilter{Status: "dead"}, apikeys.ListOptions{}))
	},
		`apikeys: Status: "dead" is none of all, active, expired, revoked, disabled`},
	{func(d *desk) error {
		return errOf(d.ListKeys(d.ctx, apikeys.KeyFilter{OwnerID: "alice"}, apikeys.ListOptions{}))
	},
		`apikeys: OwnerID: needs OrganizationID: owners are named within an organization`},
	{func(d *desk) error {
		return errOf(d.ListKeys(d.ctx, apikeys.KeyFilter{}, apikeys.ListOptions{Limit: 1000}))
	},
		`apikeys: Limit: must be between 1 and 200, or 0 for 50`},
	{func(d *desk) error {
		return errOf(d.ListKeys(d.ctx, apikeys.KeyFilter{}, apikeys.ListOptions{Cursor: "x"}))
	},
		`apikeys: Cursor: is not one that this list returned; begin again without a cursor`},
	{func(d *desk) error { return errOf(d.RevokeKeys(d.ctx, apikeys.KeyFilter{}, apikeys.RevokeParams{})) },
		`apikeys: OrganizationID: is missing: keys are revoked in bulk within one organization only`},
	{func(d *desk) error { return errOf(d.PurgeKeys(d.ctx, apikeys.PurgeParams{})) },
		`apikeys: EndedBefore: is missing: it says how long ago a key must have ended`},

	// Requests
	{func(d *desk) error { return errOf(d.Validate(d.ctx, "sk_guessed", apikeys.ValidateParams{})) },
		`apikeys: invalid key`},
	{asking(apikeys.ValidateParams{Scopes: []string{"docs:*"}}),
		`apikeys: Scopes: scope "docs:*" has a "*", which can be granted but not required`},
	{asking(apikeys.ValidateParams{Scopes: []string{"admin"}}),
		`apikeys: key ID lacks scope ["admin"]`},
	{asking(apikeys.ValidateParams{ProjectID: nobody}),
		`apikeys: key ID is not for this project`},
	{asking(apikeys.ValidateParams{Cost: -1}),
		`apikeys: Cost: is negative; 0 means 1`},
	{presenting(func(d *desk) *apikeys.IssuedKey { return d.IssueLimited(apikeys.PerDay(1)) }, apikeys.ValidateParams{Cost: 2}),
		`apikeys: Cost: 2 can never pass the limit of 1/day`},
	{presenting(func(d *desk) *apikeys.IssuedKey { return d.IssueLimited(apikeys.PerDay(0)) }, apikeys.ValidateParams{}),
		`apikeys: rate limit 0/day exceeded; retry after 6h0m0s`},
	{presenting(func(d *desk) *apikeys.IssuedKey { return d.IssueExpired() }, apikeys.ValidateParams{}),
		`apikeys: key ID expired at 2026-01-02T17:59:59Z`},
	{presenting(func(d *desk) *apikeys.IssuedKey { return d.IssueRevoked() }, apikeys.ValidateParams{}),
		`apikeys: key ID was revoked at 2026-01-02T18:00:00Z`},
	{presenting(func(d *desk) *apikeys.IssuedKey { return d.IssueDisabled() }, apikeys.ValidateParams{}),
		`apikeys: key ID is disabled since 2026-01-02T18:00:00Z`},
	{func(d *desk) error {
		issued := d.Issue()
		if _, err := d.RotateKey(d.ctx, issued.Key.ID, apikeys.RotateParams{}); err != nil {
			return err
		}
		return errOf(d.Validate(d.ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{}))
	},
		`apikeys: this secret of key ID was replaced and ended at 2026-01-02T18:00:00Z; use the newer one`},
	{func(d *desk) error {
		org, err := d.CreateOrganization(d.ctx, "Late payer")
		if err != nil {
			return err
		}
		issued, err := d.CreateKey(d.ctx, apikeys.CreateKeyParams{OrganizationID: org.ID})
		if _, failed := d.SuspendOrganization(d.ctx, org.ID); failed != nil || err != nil {
			return errors.Join(err, failed)
		}
		return errOf(d.Validate(d.ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{}))
	},
		`apikeys: organization ID of key ID is suspended`},
	{func(d *desk) error { return errOf(d.Allow(d.ctx, "", []apikeys.RateLimit{apikeys.PerDay(1)}, 1)) },
		`apikeys: subject: is empty: all who have none would share one limit`},
	{func(d *desk) error { return errOf(apikeys.ParseRateLimits("100 requests")) },
		`apikeys: RateLimits: "100 requests" is not a rate limit: write "100/minute" or "1000 per hour", with second, minute, hour or day`},
}

func TestErrorsSayWhatToDo(t *testing.T) {
	client := apikeystest.New(t)
	d := &desk{Client: client, t: t, ctx: t.Context(), org: client.Organization.ID, text: client.Issue("read").Plaintext.Reveal()}
	for _, m := range slices.Concat(messages, rareMessages) {
		err := m.did(d)
		if err == nil {
			t.Errorf("no error; want %q", m.want)
			continue
		}
		if got := files.ReplaceAllString(ids.ReplaceAllString(err.Error(), "ID"), `"FILE"`); got != m.want {
			t.Errorf("got  %s\nwant %s", got, m.want)
		}
		var ours apikeys.Error
		if !errors.As(err, &ours) || ours.Code() == "" {
			t.Errorf("%v is no apikeys.Error", err)
		}
	}
}

var files = regexp.MustCompile(`"[^"]*.secret"`)

var ids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
