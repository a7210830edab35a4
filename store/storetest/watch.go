package storetest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// patience bounds every call, so that a store that hangs fails its test instead of
// stopping them all.
const patience = 30 * time.Second

// watched passes every call on, bounds it, and looks at every error that comes
// back: none may hold what it was asked with.
type watched struct {
	t     *testing.T
	inner apikeys.Store
}

func watch(t *testing.T, inner apikeys.Store) apikeys.Store { return watched{t, inner} }

func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ends := ctx.(*countdown); ends {
		return ctx, func() {} // it must be the store that asks it
	}
	return context.WithTimeout(ctx, patience)
}

// check fails the test when an error tells an argument. The method's name stands
// in for the argument, so that the test does not tell it either.
func (w watched) check(method string, err error, args ...any) {
	if err == nil {
		return
	}
	text := strings.ToLower(err.Error())
	for _, arg := range args {
		for _, told := range tellable(reflect.ValueOf(arg)) {
			if strings.Contains(text, strings.ToLower(told)) {
				w.t.Errorf("%s: the error tells a hash, a setting or an argument of the call (%T)", method, arg)
				return
			}
		}
	}
}

// shortest is the length from which a text is taken for an argument's and not for
// a word of the error's own.
const shortest = 6

// tellable returns the texts in which an argument could show up. Ids may.
func tellable(v reflect.Value) []string {
	if !v.IsValid() || v.Type() == reflect.TypeFor[uuid.UUID]() || v.Type() == reflect.TypeFor[time.Time]() {
		return nil
	}
	var told []string
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() && v.Len() >= shortest {
			told = append(told, v.String())
		}
	case reflect.Pointer:
		told = tellable(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Action" { // a word that errors may well use
				told = append(told, tellable(v.Field(i))...)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return tellableBytes(v)
		}
		for i := range v.Len() {
			told = append(told, tellable(v.Index(i))...)
		}
	}
	return told
}

func tellableBytes(v reflect.Value) []string {
	b := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(b), v)
	if len(b) < shortest {
		return nil
	}
	return []string{string(b), hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b), fmt.Sprint(b)}
}

func (w watched) EnsureSettings(ctx context.Context, proposed apikeys.SettingsRecord) (apikeys.SettingsRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	standing, err := w.inner.EnsureSettings(ctx, proposed)
	w.check("EnsureSettings", err, proposed)
	return standing, err
}

func (w watched) CreateResource(ctx context.Context, m apikeys.Mutation, r apikeys.ResourceRecord) (apikeys.ResourceRecord, bool, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	standing, created, err := w.inner.CreateResource(ctx, m, r)
	w.check("CreateResource", err, m, r)
	return standing, created, err
}

func (w watched) UpdateResource(ctx context.Context, m apikeys.Mutation, ref apikeys.ResourceRef, change apikeys.ResourceChange) (apikeys.ResourceRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	r, err := w.inner.UpdateResource(ctx, m, ref, change)
	w.check("UpdateResource", err, m, ref, change)
	return r, err
}

func (w watched) ListResources(ctx context.Context, q apikeys.ResourceQuery) ([]apikeys.ResourceRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	list, err := w.inner.ListResources(ctx, q)
	w.check("ListResources", err, q)
	return list, err
}

func (w watched) SetLink(ctx context.Context, m apikeys.Mutation, link apikeys.LinkRef, linked bool) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	err := w.inner.SetLink(ctx, m, link, linked)
	w.check("SetLink", err, m, link)
	return err
}

func (w watched) Binding(ctx context.Context, projectID, productID uuid.UUID) (apikeys.Binding, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return w.inner.Binding(ctx, projectID, productID)
}

func (w watched) CreateKeys(ctx context.Context, m apikeys.Mutation, keys []apikeys.KeyRecord) ([]error, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	faults, err := w.inner.CreateKeys(ctx, m, keys)
	w.check("CreateKeys", err, m, keys)
	for _, fault := range faults {
		w.check("CreateKeys", fault, m, keys)
	}
	return faults, err
}

func (w watched) KeysByHash(ctx context.Context, hashes []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	found, err := w.inner.KeysByHash(ctx, hashes)
	w.check("KeysByHash", err, hashes)
	return found, err
}

func (w watched) GetKey(ctx context.Context, ref apikeys.KeyRef) (apikeys.KeyRecord, []apikeys.SecretRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	k, secrets, err := w.inner.GetKey(ctx, ref)
	w.check("GetKey", err, ref)
	return k, secrets, err
}

func (w watched) ListKeys(ctx context.Context, q apikeys.KeyQuery) ([]apikeys.KeyRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	list, err := w.inner.ListKeys(ctx, q)
	w.check("ListKeys", err, q)
	return list, err
}

func (w watched) UpdateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, change apikeys.KeyChange) (apikeys.KeyRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	k, err := w.inner.UpdateKey(ctx, m, ref, change)
	w.check("UpdateKey", err, m, ref, change)
	return k, err
}

func (w watched) RotateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, rotation apikeys.Rotation) (apikeys.KeyRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	k, err := w.inner.RotateKey(ctx, m, ref, rotation)
	w.check("RotateKey", err, m, ref, rotation)
	return k, err
}

func (w watched) RevokeKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery, reason string) ([]uuid.UUID, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	ids, err := w.inner.RevokeKeys(ctx, m, q, reason)
	w.check("RevokeKeys", err, m, q, reason)
	return ids, err
}

func (w watched) DeleteKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery) ([]uuid.UUID, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	ids, err := w.inner.DeleteKeys(ctx, m, q)
	w.check("DeleteKeys", err, m, q)
	return ids, err
}

func (w watched) AddHash(ctx context.Context, s apikeys.SecretRecord) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	err := w.inner.AddHash(ctx, s)
	w.check("AddHash", err, s)
	return err
}

func (w watched) CountHashes(ctx context.Context, at time.Time) (map[string]apikeys.HashCount, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return w.inner.CountHashes(ctx, at)
}

func (w watched) DeleteHashes(ctx context.Context, m apikeys.Mutation, signingID string, limit int) (int, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	n, err := w.inner.DeleteHashes(ctx, m, signingID, limit)
	w.check("DeleteHashes", err, m, signingID)
	return n, err
}

func (w watched) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return w.inner.Changes(ctx, since)
}

func (w watched) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	grants, err := w.inner.TakeLeases(ctx, requests)
	w.check("TakeLeases", err, requests)
	return grants, err
}

func (w watched) Admit(ctx context.Context, at time.Time, admissions []apikeys.Admission) ([]apikeys.LeaseGrant, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	grants, err := w.inner.Admit(ctx, at, admissions)
	w.check("Admit", err, admissions)
	return grants, err
}

func (w watched) ReturnLeases(ctx context.Context, unused []apikeys.LeaseReturn) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	err := w.inner.ReturnLeases(ctx, unused)
	w.check("ReturnLeases", err, unused)
	return err
}

func (w watched) AddUsage(ctx context.Context, batch apikeys.UsageBatch) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	err := w.inner.AddUsage(ctx, batch)
	w.check("AddUsage", err, batch)
	return err
}

func (w watched) FoldUsage(ctx context.Context) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return w.inner.FoldUsage(ctx)
}

func (w watched) KeyUsage(ctx context.Context, q apikeys.UsageQuery) ([]apikeys.UsageDelta, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	usage, err := w.inner.KeyUsage(ctx, q)
	w.check("KeyUsage", err, q)
	return usage, err
}

func (w watched) ListEvents(ctx context.Context, q apikeys.EventQuery) ([]apikeys.EventRecord, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	events, err := w.inner.ListEvents(ctx, q)
	w.check("ListEvents", err, q)
	return events, err
}

func (w watched) Sweep(ctx context.Context, p apikeys.SweepParams) (int, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return w.inner.Sweep(ctx, p)
}
