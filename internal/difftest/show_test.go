package difftest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// How answers are compared: as texts that hold every field of every record, with
// names for ids and hashes. What the contract calls equal has the same text, and the
// text of one check is that of another: rapid tells by it what it has seen before.

// shower writes values.
type shower struct {
	w *world
	// loose leaves out what a store adds to the events of updates: how it says what
	// was before and is after is its own affair. The SQL stores must agree on it.
	loose bool
}

func (s shower) all(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = s.show(reflect.ValueOf(v))
	}
	return strings.Join(texts, " ")
}

func (s shower) show(v reflect.Value) string {
	if !v.IsValid() {
		return "-"
	}
	switch v := v.Interface().(type) {
	case uuid.UUID:
		if label := s.w.ids[v]; label != "" {
			return label
		}
		return "an id of nobody"
	case apikeys.Hash:
		return s.label(v)
	case apikeys.Subject:
		return s.label(v)
	case time.Time:
		return showTime(v)
	case json.RawMessage:
		return clip(string(object(v)))
	case []byte:
		return fmt.Sprintf("%d bytes (%x)", len(v), checksum(v))
	case string:
		return fmt.Sprintf("%q", clip(strings.ReplaceAll(v, s.w.tag, "<>")))
	case error:
		return class(v)
	case apikeys.EventRecord:
		return s.event(v)
	}
	return s.parts(v)
}

func (s shower) parts(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "-"
		}
		return s.show(v.Elem())
	case reflect.Struct:
		return s.fields(v)
	case reflect.Slice:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = s.show(v.Index(i))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// fields leaves out those that are zero, and what is the same: empty lists and no
// JSON, which stands for {}.
func (s shower) fields(v reflect.Value) string {
	var texts []string
	for i := range v.NumField() {
		if text := s.show(v.Field(i)); !v.Field(i).IsZero() && text != "[]" && text != "{}" {
			texts = append(texts, v.Type().Field(i).Name+": "+text)
		}
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

func (s shower) label(b [32]byte) string {
	if label := s.w.bytes[b]; label != "" {
		return label
	}
	return "unknown bytes"
}

// showTime shows what a store did not return in UTC as something else.
func showTime(t time.Time) string {
	text := t.Format(time.RFC3339Nano)
	if !t.IsZero() && t.Location() != time.UTC {
		return text + " in " + t.Location().String()
	}
	return text
}

// clip keeps long texts short and different.
func clip(text string) string {
	if len(text) <= 100 {
		return text
	}
	return fmt.Sprintf("%.40s… (%d bytes, %x)", text, len(text), checksum([]byte(text)))
}

func checksum(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}

// object is the JSON object that text stands for.
func object(text json.RawMessage) json.RawMessage {
	if len(text) == 0 {
		return json.RawMessage("{}")
	}
	return text
}

func (s shower) event(e apikeys.EventRecord) string {
	detail := s.detail(e.Detail)
	e.Detail = nil
	return s.fields(reflect.ValueOf(e)) + " " + detail
}

// detail is an event's, with its fields in order: they are the mutation's and the
// store's, and nothing says how they are put together. Ids of keys are in any order.
func (s shower) detail(text json.RawMessage) string {
	fields := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(object(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return "not a JSON object: " + clip(string(text))
	}
	if s.loose {
		delete(fields, "before")
		delete(fields, "after")
	}
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name]
		if list, ok := value.([]any); ok && name == "keys" {
			value = s.keys(list)
		}
		texts = append(texts, fmt.Sprintf("%q: %v", name, value))
	}
	return strings.Join(texts, ", ")
}

func (s shower) keys(list []any) []string {
	texts := make([]string, len(list))
	for i, v := range list {
		id, err := uuid.Parse(fmt.Sprint(v))
		if err != nil {
			return []string{"not an id"}
		}
		texts[i] = s.show(reflect.ValueOf(id))
	}
	slices.Sort(texts)
	return texts
}

// class is the error that an error is.
func class(err error) string {
	for _, known := range []error{apikeys.ErrNotFound, apikeys.ErrAlreadyExists, apikeys.ErrConflict} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "a fault: " + err.Error()
	}
	return "no error"
}

// isFault tells of an error that no operation of these tests may meet.
func isFault(err error) bool { return strings.HasPrefix(class(err), "a fault") }

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// sorted is for ids that come in any order.
func sorted(ids []uuid.UUID) []uuid.UUID { return slices.SortedFunc(slices.Values(ids), compareIDs) }
