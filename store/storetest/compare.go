package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// diff tells where got first differs from want, as ".Field: got … want …", "" when
// nowhere. Times must be
// equal and UTC; nil and empty slices are the same, and so are no JSON and {}.
// Hashes and other bytes are compared but never shown.
func diff(got, want any) string {
	return compare("", reflect.ValueOf(got), reflect.ValueOf(want))
}

func compare(path string, got, want reflect.Value) string {
	switch {
	case !got.IsValid() && !want.IsValid(): // both are nil
		return ""
	case !got.IsValid() || !want.IsValid() || got.Type() != want.Type():
		return differ(path, got, want)
	}
	switch g := got.Interface().(type) {
	case time.Time:
		return compareTimes(path, g, want.Interface().(time.Time))
	case json.RawMessage:
		if w := want.Interface().(json.RawMessage); string(object(g)) != string(object(w)) {
			return fmt.Sprintf("%s: got %.200s, want %.200s", path, object(g), object(w))
		}
		return ""
	case apikeys.Hash:
		if g != want.Interface().(apikeys.Hash) {
			return path + ": got another hash"
		}
		return ""
	case []byte:
		if !bytes.Equal(g, want.Interface().([]byte)) {
			return path + ": got other bytes"
		}
		return ""
	}
	return compareParts(path, got, want)
}

func compareParts(path string, got, want reflect.Value) string {
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			if d := compare(path+"."+got.Type().Field(i).Name, got.Field(i), want.Field(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		for i := range min(got.Len(), want.Len()) {
			if d := compare(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i)); d != "" {
				return d
			}
		}
		if got.Len() != want.Len() {
			return fmt.Sprintf("%s: got %d, want %d of them", path, got.Len(), want.Len())
		}
		return ""
	}
	if !reflect.DeepEqual(got.Interface(), want.Interface()) {
		return differ(path, got, want)
	}
	return ""
}

func differ(path string, got, want reflect.Value) string {
	return fmt.Sprintf("%s: got %v, want %v", path, got, want)
}

func compareTimes(path string, got, want time.Time) string {
	switch {
	case !got.Equal(want):
		return fmt.Sprintf("%s: got %v, want %v", path, got, want)
	case !got.IsZero() && got.Location() != time.UTC:
		return fmt.Sprintf("%s: got a time in %v, want UTC", path, got.Location())
	}
	return ""
}

// object is the JSON object that b stands for.
func object(b json.RawMessage) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("{}")
	}
	return b
}

// snapshot is all that can be read of a store.
type snapshot struct {
	Resources []apikeys.ResourceRecord
	Links     []apikeys.ResourceRecord
	Keys      []apikeys.KeyRecord
	Secrets   []apikeys.SecretRecord
	Events    []apikeys.EventRecord
	Mark      apikeys.ChangeMark
}

func (f *fixture) snapshot() snapshot {
	f.Helper()
	var s snapshot
	for _, kind := range []apikeys.ResourceKind{apikeys.KindOrganization, apikeys.KindProject, apikeys.KindProduct} {
		s.Resources = append(s.Resources, f.resources(apikeys.ResourceQuery{Kind: kind})...)
	}
	for _, r := range s.Resources {
		if r.Kind == apikeys.KindProject {
			s.Links = append(s.Links, f.resources(apikeys.ResourceQuery{Kind: apikeys.KindProduct, LinkOf: r.ID})...)
		}
	}
	for _, k := range f.list(apikeys.KeyQuery{}) {
		s.Keys = append(s.Keys, stored(k))
		s.Secrets = append(s.Secrets, byNumber(f.secrets(k.ID))...)
	}
	s.Events = f.events(apikeys.EventQuery{})
	s.Mark = f.mark()
	return s
}

// unchanged ends the test if what is done changes anything.
func (f *fixture) unchanged(what string, do func()) {
	f.Helper()
	before := f.snapshot()
	do()
	f.equal("after "+what+", the store", f.snapshot(), before)
}

// byNumber puts secrets in one order: the newest first, those of one number by
// their signing secret.
func byNumber(secrets []apikeys.SecretRecord) []apikeys.SecretRecord {
	slices.SortStableFunc(secrets, func(a, b apikeys.SecretRecord) int {
		if a.Number != b.Number {
			return b.Number - a.Number
		}
		return bytes.Compare([]byte(a.SigningID), []byte(b.SigningID))
	})
	return secrets
}

// idsOf returns ids in the order of the records.
func idsOf[T any](records []T, id func(T) uuid.UUID) []uuid.UUID {
	ids := make([]uuid.UUID, len(records))
	for i, r := range records {
		ids[i] = id(r)
	}
	return ids
}

func keyID(k apikeys.KeyRecord) uuid.UUID           { return k.ID }
func resourceID(r apikeys.ResourceRecord) uuid.UUID { return r.ID }
func eventID(e apikeys.EventRecord) uuid.UUID       { return e.ID }

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// sorted returns ids in ascending order, to compare lists that have none.
func sorted(ids []uuid.UUID) []uuid.UUID { return slices.SortedFunc(slices.Values(ids), compareIDs) }

// newestFirst returns ids in the order of lists.
func newestFirst(ids ...uuid.UUID) []uuid.UUID {
	ids = sorted(ids)
	slices.Reverse(ids)
	return ids
}
