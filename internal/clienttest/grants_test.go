package clienttest_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// grantWorld is what keys of the property test are drawn from.
type grantWorld struct {
	*apikeys.Client
	houses []house
	clock  *apikeystest.Clock
}

// house is an organization with two projects and two products; only the first of each
// are linked.
type house struct{ org, p1, p2, x1, x2 uuid.UUID }

func build(t testing.TB, c *apikeys.Client) house {
	t.Helper()
	ctx := t.Context()
	h := house{org: must(c.CreateOrganization(ctx, uuid.NewString()))(t).ID}
	h.p1 = must(c.CreateProject(ctx, h.org, "p1"))(t).ID
	h.p2 = must(c.CreateProject(ctx, h.org, "p2"))(t).ID
	h.x1 = must(c.CreateProduct(ctx, h.org, "x1"))(t).ID
	h.x2 = must(c.CreateProduct(ctx, h.org, "x2"))(t).ID
	if err := c.AddProductToProject(ctx, h.x1, h.p1); err != nil {
		t.Fatal(err)
	}
	return h
}

func (w *grantWorld) metadata(t *rapid.T, label string) apikeys.KeyMetadata {
	scopes := rapid.SampledFrom([]string{"*", "a", "b", "a:*", "a:b", "a:b:*", "a:b:c", "A"})
	m := apikeys.KeyMetadata{
		Scopes:     rapid.SliceOfN(scopes, 0, 3).Draw(t, label+" scopes"),
		RateLimits: w.limits(t, label),
	}
	if end := rapid.IntRange(0, 4).Draw(t, label+" end"); end > 0 {
		m.ExpiresAt = epoch.Add(time.Duration(end) * 20 * time.Second)
	}
	return m
}

func (w *grantWorld) limits(t *rapid.T, label string) (limits []apikeys.RateLimit) {
	for _, window := range []apikeys.RateLimitWindow{apikeys.WindowSecond, apikeys.WindowMinute} {
		if n := rapid.Int64Range(-3, 3).Draw(t, label+" per "+window.String()); n >= 0 {
			limits = append(limits, apikeys.RateLimit{Requests: n, Window: window})
		}
	}
	return limits
}

func (w *grantWorld) params(t *rapid.T, label string) apikeys.CreateKeyParams {
	h := rapid.SampledFrom(w.houses).Draw(t, label+" organization")
	return apikeys.CreateKeyParams{
		OrganizationID: h.org,
		ProjectID:      rapid.SampledFrom([]uuid.UUID{uuid.Nil, h.p1, h.p2}).Draw(t, label+" project"),
		ProductID:      rapid.SampledFrom([]uuid.UUID{uuid.Nil, h.x1, h.x2}).Draw(t, label+" product"),
		Metadata:       w.metadata(t, label),
	}
}

// near draws a key that differs from another in few respects: most that have nothing
// to do with it are beyond it.
func (w *grantWorld) near(t *rapid.T, p apikeys.CreateKeyParams) apikeys.CreateKeyParams {
	other := w.params(t, "child")
	differ := rapid.IntRange(0, 3)
	if differ.Draw(t, "differ in scopes") == 0 {
		p.Metadata.Scopes = other.Metadata.Scopes
	}
	if differ.Draw(t, "differ in limits") == 0 {
		p.Metadata.RateLimits = other.Metadata.RateLimits
	}
	if differ.Draw(t, "differ in end") == 0 {
		p.Metadata.ExpiresAt = other.Metadata.ExpiresAt
	}
	if differ.Draw(t, "wider in project") == 0 {
		p.ProjectID = uuid.Nil
	}
	if differ.Draw(t, "wider in product") == 0 {
		p.ProductID = uuid.Nil
	}
	if differ.Draw(t, "differ in tenant") == 0 {
		p.OrganizationID, p.ProjectID, p.ProductID = other.OrganizationID, other.ProjectID, other.ProductID
	}
	return p
}

// request draws what a key is asked for: mostly something that it could be good for.
func (w *grantWorld) request(t *rapid.T, of apikeys.CreateKeyParams) apikeys.ValidateParams {
	h := w.houses[0]
	if of.OrganizationID == w.houses[1].org {
		h = w.houses[1]
	}
	r := apikeys.ValidateParams{
		OrganizationID: rapid.SampledFrom([]uuid.UUID{uuid.Nil, h.org}).Draw(t, "asked organization"),
		ProjectID:      rapid.SampledFrom([]uuid.UUID{uuid.Nil, h.p1, h.p2}).Draw(t, "asked project"),
		ProductID:      rapid.SampledFrom([]uuid.UUID{uuid.Nil, h.x1, h.x2}).Draw(t, "asked product"),
		AnyScope:       rapid.Bool().Draw(t, "any scope"),
		Cost:           rapid.Int64Range(0, 2).Draw(t, "cost"),
	}
	if rapid.Bool().Draw(t, "with scopes") {
		r.Scopes = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a:b", "a:b:c", "a:x", "A", "z"}), 1, 2).Draw(t, "asked scopes")
	}
	return r
}

// Whatever the child may do, the maker may: whoever makes or changes a key through
// a view with the grant of a key, by whatever sequence of calls, gets no text that
// opens more than the key itself does. The judge is Validate, which knows nothing
// of grants.
func TestWhateverTheChildMayDoTheMakerMay(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		c := client(t, d.store, imports, func(c *apikeys.Config) { c.Now = clock.Now })
		w := &grantWorld{c, []house{build(t, c), build(t, c)}, clock}
		tries := 4
		if testing.Short() { // which draws few cases
			tries = 12
		}
		made, allowed := 0, 0
		rapid.Check(t, func(t *rapid.T) {
			for range tries {
				child, requests := w.try(t)
				made, allowed = made+child, allowed+requests
			}
		})
		if made < 10 || allowed == 0 {
			t.Errorf("%d children were made, and allowed %d requests: the test shows little", made, allowed)
		}
	})
}

// try makes a maker and a child, and asks the same of both. It returns how many
// children there are, and how many requests they were allowed.
func (w *grantWorld) try(t *rapid.T) (children, allowed int) {
	w.clock.Set(epoch)
	params := w.params(t, "maker")
	maker, err := w.CreateKey(t.Context(), params)
	if errors.Is(err, apikeys.ErrInvalidArgument) {
		return 0, 0 // bound to what is not linked, or expired
	}
	w.refusal(t, err)
	params = w.near(t, params)
	child := w.child(t, w.WithGrant(apikeys.GrantOf(maker.Key)), params)
	if child == "" {
		return 0, 0
	}
	for range rapid.IntRange(4, 12).Draw(t, "requests") {
		w.clock.Advance(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second / 2, 5 * time.Second, 30 * time.Second}).Draw(t, "later"))
		request := w.request(t, params)
		if _, err := w.Validate(t.Context(), child, request); err != nil {
			continue
		}
		allowed++
		if _, err := w.Validate(t.Context(), maker.Plaintext.Reveal(), request); err != nil {
			t.Fatalf("the child may do what its maker may not: %v", err)
		}
	}
	return 1, allowed
}

// child gets hold of a text through the view, of a new key, of one that is imported or
// of one that stands, and changes the key before and after; "" if the view refuses.
func (w *grantWorld) child(t *rapid.T, view *apikeys.Client, params apikeys.CreateKeyParams) string {
	var id uuid.UUID
	var text string
	var err error
	switch rapid.SampledFrom([]string{"new", "imported", "rotated"}).Draw(t, "child") {
	case "new":
		id, text, err = issuedBy(view.CreateKey(t.Context(), params))
	case "imported":
		id, text, err = w.importThrough(t, view, params)
	default:
		if id, _, err = issuedBy(w.CreateKey(t.Context(), params)); err == nil {
			w.changes(t, view, id, params)
			id, text, err = issuedBy(view.RotateKey(t.Context(), id, apikeys.RotateParams{}))
		}
	}
	if w.refusal(t, err); err != nil {
		return ""
	}
	w.changes(t, view, id, params)
	return text
}

func issuedBy(k *apikeys.IssuedKey, err error) (id uuid.UUID, text string, _ error) {
	if err != nil {
		return uuid.Nil, "", err
	}
	return k.Key.ID, k.Plaintext.Reveal(), nil
}

// importThrough imports a key whose text the importer has chosen.
func (w *grantWorld) importThrough(t *rapid.T, view *apikeys.Client, p apikeys.CreateKeyParams) (uuid.UUID, string, error) {
	text := "legacy." + letters(32)
	results, err := view.ImportKeys(t.Context(), []apikeys.ImportKey{{
		Scheme: apikeys.ImportSHA256, Digest: sha256.Sum256([]byte(text)), OrganizationID: p.OrganizationID, ProjectID: p.ProjectID, ProductID: p.ProductID,
		Metadata: p.Metadata,
	}}, apikeys.ImportParams{})
	if err != nil {
		return uuid.Nil, "", err
	}
	return results[0].KeyID, text, results[0].Err
}

func (w *grantWorld) changes(t *rapid.T, view *apikeys.Client, id uuid.UUID, params apikeys.CreateKeyParams) {
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		m := w.near(t, params).Metadata
		patch := rapid.SampledFrom([]apikeys.KeyPatch{
			{Scopes: &m.Scopes}, {RateLimits: &m.RateLimits}, {ExpiresAt: &m.ExpiresAt},
			{Scopes: &m.Scopes, RateLimits: &m.RateLimits, ExpiresAt: &m.ExpiresAt, Custom: &m.Custom},
		}).Draw(t, "patch")
		_, err := view.PatchKey(t.Context(), id, patch)
		w.refusal(t, err)
	}
}

// refusal ends the test at an error that is no refusal.
func (w *grantWorld) refusal(t *rapid.T, err error) {
	if err != nil && !errors.Is(err, apikeys.ErrBeyondGrant) && !errors.Is(err, apikeys.ErrInvalidArgument) && !errors.Is(err, apikeys.ErrExpiredKey) {
		t.Fatalf("got %v", err)
	}
}
