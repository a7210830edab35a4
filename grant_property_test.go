package apikeys_test

import (
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
	*apikeystest.Client
	houses []house
	start  time.Time
}

func (w *grantWorld) metadata(t *rapid.T, label string) apikeys.KeyMetadata {
	scopes := rapid.SampledFrom([]string{"*", "a", "b", "a:*", "a:b", "a:b:*", "a:b:c", "A"})
	m := apikeys.KeyMetadata{
		Scopes:     rapid.SliceOfN(scopes, 0, 3).Draw(t, label+" scopes"),
		RateLimits: w.limits(t, label),
	}
	if end := rapid.IntRange(0, 4).Draw(t, label+" end"); end > 0 {
		m.ExpiresAt = w.start.Add(time.Duration(end) * 20 * time.Second)
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
	c := apikeystest.New(t)
	w := &grantWorld{Client: c, houses: []house{build(t, c.Client, "a"), build(t, c.Client, "b")}, start: c.Clock.Now()}
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		c.Clock.Set(w.start)
		params := w.params(t, "maker")
		maker, err := c.CreateKey(t.Context(), params)
		if err != nil {
			t.Skip("no maker of this kind")
		}
		params = w.near(t, params)
		child := w.child(t, c.WithGrant(apikeys.GrantOf(maker.Key)), params)
		if child != "" {
			made++
		}
		for range rapid.IntRange(4, 12).Draw(t, "requests") {
			c.Clock.Advance(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second / 2, 5 * time.Second, 30 * time.Second}).Draw(t, "later"))
			request := w.request(t, params)
			if _, err := c.Validate(t.Context(), child, request); err != nil {
				continue
			}
			if _, err := c.Validate(t.Context(), maker.Plaintext.Reveal(), request); err != nil {
				t.Fatalf("the child may do what its maker may not: %v", err)
			}
		}
	})
	// A short test draws 20 times, a whole one 100 times.
	if made == 0 || !testing.Short() && made < 10 {
		t.Errorf("only %d children were made: the test shows nothing", made)
	}
}

// child gets hold of a text through the view, of a new key or of one that stands, and
// changes the key before and after; "" if the view refuses.
func (w *grantWorld) child(t *rapid.T, view *apikeys.Client, params apikeys.CreateKeyParams) string {
	var issued *apikeys.IssuedKey
	var err error
	if rapid.Bool().Draw(t, "new") {
		issued, err = view.CreateKey(t.Context(), params)
	} else {
		var standing *apikeys.IssuedKey
		if standing, err = w.CreateKey(t.Context(), params); err != nil {
			t.Skip("no key of this kind")
		}
		w.changes(t, view, standing.Key.ID, params)
		issued, err = view.RotateKey(t.Context(), standing.Key.ID, apikeys.RotateParams{})
	}
	if w.refusal(t, err); err != nil {
		return ""
	}
	w.changes(t, view, issued.Key.ID, params)
	return issued.Plaintext.Reveal()
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
