package clienttest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// Whatever is done to keys, in any order: they are what a model in memory says they
// are, and are judged as it says. Changes and questions go through a client that
// remembers keys; every question is put to one that does not as well.
func TestKeysThroughTheirLife(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		remembers := client(t, d.store, fakeClock(clock))
		asks := client(t, d.store, fakeClock(clock), func(c *apikeys.Config) { c.RevocationDelay = -1 })
		rapid.Check(t, func(t *rapid.T) {
			l := &life{T: t, c: remembers, clock: clock, judges: []*apikeys.Client{remembers, asks}}
			l.org = l.newOrganization()
			t.Repeat(map[string]func(*rapid.T){
				"create": l.create, "patch": l.patch, "disable": l.disable, "enable": l.enable, "rotate": l.rotate,
				"revoke": l.revoke, "revoke all": l.revokeAll, "delete": l.delete, "purge": l.purge,
				"suspend": l.suspend, "resume": l.resume, "wait": l.wait, "validate": l.validate, "": l.compare,
			})
		})
	})
}

// life is the model beside the clients.
type life struct {
	*rapid.T
	c      *apikeys.Client
	judges []*apikeys.Client
	clock  *apikeystest.Clock

	org       uuid.UUID
	suspended bool
	keys      []*modelKey
}

func (l *life) newOrganization() uuid.UUID {
	org, err := l.c.CreateOrganization(l.Context(), uuid.NewString())
	l.want("create organization", err, "")
	return org.ID
}

type modelKey struct {
	id                uuid.UUID
	name              string
	scopes            []string
	expires           time.Time
	disabled, deleted bool
	revoked           time.Time // zero: not
	version, uses     int64
	texts             []modelText // the newest last
}

type modelText struct {
	text string
	ends time.Time // zero: never
}

// code is that of the error that a key is refused with; empty: it is good.
func (l *life) code(k *modelKey, text modelText, scope string) string {
	now := l.clock.Now()
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case k.deleted:
		return apikeys.CodeInvalidKey
	case over(text.ends):
		return apikeys.CodeRetiredSecret
	case !k.revoked.IsZero():
		return apikeys.CodeRevokedKey
	case k.disabled:
		return apikeys.CodeDisabledKey
	case l.suspended:
		return apikeys.CodeSuspended
	case over(k.expires):
		return apikeys.CodeExpiredKey
	case scope != "" && !slices.Contains(k.scopes, scope):
		return apikeys.CodeInsufficientScope
	}
	return ""
}

func codeOf(err error) string {
	var ours apikeys.Error
	if errors.As(err, &ours) {
		return ours.Code()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (l *life) want(what string, err error, code string) {
	l.Helper()
	if got := codeOf(err); got != code {
		l.Fatalf("%s: got error %v, want %q", what, err, code)
	}
}

// pick draws one of the keys that were ever made.
func (l *life) pick() *modelKey {
	if len(l.keys) == 0 {
		l.Skip("no keys")
	}
	return rapid.SampledFrom(l.keys).Draw(l.T, "key")
}

var scopeSets = [][]string{nil, {"read"}, {"read", "write"}}

func (l *life) end() time.Time {
	hours := rapid.SampledFrom([]int{0, 0, -1, 1, 2}).Draw(l.T, "hours to live")
	if hours == 0 {
		return time.Time{}
	}
	return l.clock.Now().Add(time.Duration(hours) * time.Hour)
}

func (l *life) create(*rapid.T) {
	k := &modelKey{name: "n", scopes: rapid.SampledFrom(scopeSets).Draw(l.T, "scopes"), expires: l.end(), version: 1}
	issued, err := l.c.CreateKey(l.Context(), apikeys.CreateKeyParams{OrganizationID: l.org, Metadata: apikeys.KeyMetadata{
		Name: k.name, Scopes: k.scopes, ExpiresAt: k.expires,
	}})
	l.want("create", err, "")
	k.id, k.texts = issued.Key.ID, []modelText{{text: issued.Plaintext.Reveal()}}
	l.keys = append(l.keys, k)
}

// change expects an error for a key that is gone, and else a new version if
// something is different.
func (l *life) change(what string, k *modelKey, err error, differs bool) bool {
	l.Helper()
	if k.deleted {
		l.want(what, err, apikeys.CodeNotFound)
		return false
	}
	l.want(what, err, "")
	if differs {
		k.version++
	}
	return differs
}

func (l *life) patch(*rapid.T) {
	k, name := l.pick(), rapid.SampledFrom([]string{"n", "m"}).Draw(l.T, "name")
	scopes, end := rapid.SampledFrom(scopeSets).Draw(l.T, "scopes"), l.end()
	_, err := l.c.PatchKey(l.Context(), k.id, apikeys.KeyPatch{Name: &name, Scopes: &scopes, ExpiresAt: &end})
	differs := name != k.name || !slices.Equal(scopes, k.scopes) || !end.Equal(k.expires)
	if l.change("patch", k, err, differs) {
		k.name, k.scopes, k.expires = name, scopes, end
	}
}

func (l *life) disable(*rapid.T) {
	k := l.pick()
	_, err := l.c.DisableKey(l.Context(), k.id)
	if l.change("disable", k, err, !k.disabled) {
		k.disabled = true
	}
}

func (l *life) enable(*rapid.T) {
	k := l.pick()
	_, err := l.c.EnableKey(l.Context(), k.id)
	if l.change("enable", k, err, k.disabled) {
		k.disabled = false
	}
}

func (l *life) revoke(*rapid.T) {
	k := l.pick()
	_, err := l.c.RevokeKey(l.Context(), k.id, apikeys.RevokeParams{})
	if l.change("revoke", k, err, k.revoked.IsZero()) {
		k.revoked = l.clock.Now()
	}
}

func (l *life) revokeAll(*rapid.T) {
	if rapid.IntRange(0, 9).Draw(l.T, "really?") != 0 {
		l.Skip("not now")
	}
	n, err := l.c.RevokeKeys(l.Context(), apikeys.KeyFilter{OrganizationID: l.org}, apikeys.RevokeParams{})
	l.want("revoke all", err, "")
	for _, k := range l.keys {
		if !k.deleted && k.revoked.IsZero() {
			k.revoked = l.clock.Now()
			k.version++
			n--
		}
	}
	if n != 0 {
		l.Fatalf("revoke all: got %d too many", n)
	}
}

func (l *life) rotate(*rapid.T) {
	k := l.pick()
	overlap := rapid.SampledFrom([]time.Duration{0, time.Hour, 3 * time.Hour}).Draw(l.T, "overlap")
	issued, err := l.c.RotateKey(l.Context(), k.id, apikeys.RotateParams{Overlap: overlap})
	now := l.clock.Now()
	switch {
	case !k.deleted && !k.revoked.IsZero():
		l.want("rotate", err, apikeys.CodeRevokedKey)
	case !k.deleted && !k.expires.IsZero() && !now.Before(k.expires):
		l.want("rotate", err, apikeys.CodeExpiredKey)
	case !k.deleted && k.disabled:
		l.want("rotate", err, apikeys.CodeDisabledKey)
	case l.change("rotate", k, err, true):
		for i := range k.texts {
			end := now
			if i == len(k.texts)-1 {
				end = now.Add(overlap)
			}
			if ends := &k.texts[i].ends; ends.IsZero() || end.Before(*ends) {
				*ends = end
			}
		}
		k.texts = append(k.texts, modelText{text: issued.Plaintext.Reveal()})
	}
}

func (l *life) delete(*rapid.T) {
	k := l.pick()
	l.change("delete", k, l.c.DeleteKey(l.Context(), k.id), false)
	k.deleted = true
}

func (l *life) purge(*rapid.T) {
	before := l.clock.Now().Add(-time.Hour)
	n, err := l.c.Scoped(apikeys.Scope{OrganizationID: l.org}).PurgeKeys(l.Context(), apikeys.PurgeParams{EndedBefore: before})
	l.want("purge", err, "")
	for _, k := range l.keys {
		if !k.deleted && (!k.revoked.IsZero() && k.revoked.Before(before) || !k.expires.IsZero() && !k.expires.After(before)) {
			k.deleted = true
			n--
		}
	}
	if n != 0 {
		l.Fatalf("purge: got %d too many", n)
	}
}

func (l *life) suspend(*rapid.T) {
	_, err := l.c.SuspendOrganization(l.Context(), l.org)
	l.want("suspend", err, "")
	l.suspended = true
}

func (l *life) resume(*rapid.T) {
	_, err := l.c.ResumeOrganization(l.Context(), l.org)
	l.want("resume", err, "")
	l.suspended = false
}

func (l *life) wait(*rapid.T) {
	l.clock.Advance(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Hour}).Draw(l.T, "wait"))
}

func (l *life) validate(*rapid.T) {
	k := l.pick()
	text := rapid.SampledFrom(k.texts).Draw(l.T, "text")
	scope := rapid.SampledFrom([]string{"", "read", "write"}).Draw(l.T, "scope")
	var params apikeys.ValidateParams
	if scope != "" {
		params.Scopes = []string{scope}
	}
	for i, judge := range l.judges {
		want := l.code(k, text, scope)
		_, err := judge.Validate(l.Context(), text.text, params)
		l.want(fmt.Sprintf("validate, client %d", i), err, want)
		if want == "" {
			k.uses++
		}
	}
}

// compare sees that the keys there are, are those of the model.
func (l *life) compare(*rapid.T) {
	got, want := map[uuid.UUID]string{}, map[uuid.UUID]string{}
	for key, err := range l.c.Keys(l.Context(), apikeys.KeyFilter{OrganizationID: l.org}) {
		l.want("list", err, "")
		got[key.ID] = show(key.Metadata.Name, key.Metadata.Scopes, key.Metadata.ExpiresAt, !key.DisabledAt.IsZero(), key.RevokedAt, key.Version, key.UseCount)
	}
	for _, k := range l.keys {
		if !k.deleted {
			want[k.id] = show(k.name, k.scopes, k.expires, k.disabled, k.revoked, k.version, k.uses)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Fatalf("the keys (-want +got):\n%s", diff)
	}
}

func show(name string, scopes []string, expires time.Time, disabled bool, revoked time.Time, version, uses int64) string {
	return fmt.Sprintf("%s %q expires %s, disabled %t, revoked %s, version %d, %d uses",
		name, scopes, expires.Format(time.RFC3339Nano), disabled, revoked.Format(time.RFC3339Nano), version, uses)
}
