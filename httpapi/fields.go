package httpapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Where things stand in a document.
const (
	attributesAt    = "/data/attributes"
	relationshipsAt = "/data/relationships"
)

// object is a JSON object and the pointer to it. Its readers return nil for a field
// that is absent, and refuse null unless they say otherwise.
type object struct {
	at     string
	fields map[string]any
}

func (o object) has(name string) bool {
	_, ok := o.fields[name]
	return ok
}

func (o object) wrong(name, detail string) error {
	return errBadRequest.with(detail).at(child(o.at, name))
}

// only refuses fields of other names; names are compared byte for byte.
func (o object) only(names ...string) error {
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		if !slices.Contains(names, name) {
			return o.wrong(name, "This field is unknown here.")
		}
	}
	return nil
}

// fixed refuses a change of what cannot be changed.
func (o object) fixed(names ...string) error {
	for _, name := range names {
		if o.has(name) {
			return errImmutable.at(child(o.at, name))
		}
	}
	return nil
}

// object returns an object within; an absent one is empty.
func (o object) object(name string) (object, error) {
	inner := object{at: child(o.at, name)}
	v, ok := o.fields[name]
	if !ok {
		return inner, nil
	}
	if inner.fields, ok = v.(map[string]any); !ok {
		return inner, o.wrong(name, "This must be an object.")
	}
	return inner, nil
}

func (o object) text(name string) (*string, error) {
	v, ok := o.fields[name]
	if !ok {
		return nil, nil
	}
	s, ok := v.(string)
	if !ok {
		return nil, o.wrong(name, "This must be a string.")
	}
	return &s, nil
}

// texts returns a list of strings: [] is an empty one, null is refused.
func (o object) texts(name string) (*[]string, error) {
	v, ok := o.fields[name]
	if !ok {
		return nil, nil
	}
	items, ok := v.([]any)
	if !ok {
		return nil, o.wrong(name, "This must be a list of strings; [] for none.")
	}
	list := make([]string, len(items))
	for i, item := range items {
		if list[i], ok = item.(string); !ok {
			return nil, o.wrong(name, "Item "+strconv.Itoa(i)+" must be a string.")
		}
	}
	return &list, nil
}

// limits reads a list such as ["100/minute", "1000/day"]: one limit in each string.
func (o object) limits(name string) (*[]apikeys.RateLimit, error) {
	list, err := o.texts(name)
	if list == nil || err != nil {
		return nil, err
	}
	limits := make([]apikeys.RateLimit, len(*list))
	for i, text := range *list {
		parsed, err := apikeys.ParseRateLimits(text)
		if err != nil {
			return nil, err
		}
		if len(parsed) != 1 {
			return nil, o.wrong(name, `Item `+strconv.Itoa(i)+` must be one rate limit, such as "100/minute".`)
		}
		limits[i] = parsed[0]
	}
	return &limits, nil
}

// time reads a time of RFC 3339; null is the zero time. The zero time as text is
// refused: it would mean never.
func (o object) time(name string) (*time.Time, error) {
	v, ok := o.fields[name]
	if !ok {
		return nil, nil
	}
	if v == nil {
		return &time.Time{}, nil
	}
	var t time.Time
	s, ok := v.(string)
	if !ok || t.UnmarshalText([]byte(s)) != nil || t.IsZero() {
		return nil, o.wrong(name, `This must be a time of RFC 3339, such as "2030-01-31T12:00:00Z", or null for never.`)
	}
	return &t, nil
}

// number reads a whole number from 0 to limit.
func (o object) number(name string, limit int64) (*int64, error) {
	v, ok := o.fields[name]
	if !ok {
		return nil, nil
	}
	digits, ok := v.(json.Number)
	n, err := strconv.ParseInt(digits.String(), 10, 64)
	if !ok || err != nil || n < 0 || n > limit {
		return nil, o.wrong(name, "This must be a whole number from 0 to "+strconv.FormatInt(limit, 10)+".")
	}
	return &n, nil
}

// custom reads any object; the client knows its bounds.
func (o object) custom(name string) (*map[string]any, error) {
	inner, err := o.object(name)
	if !o.has(name) || err != nil {
		return nil, err
	}
	return &inner.fields, nil
}

// relation reads a relationship to one resource: its id, "" for null or absent.
func (o object) relation(name, kind string) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	rel, err := o.object(name)
	if err != nil {
		return "", err
	}
	if err := rel.only("data"); err != nil {
		return "", err
	}
	v, ok := rel.fields["data"]
	switch {
	case !ok:
		return "", rel.wrong("data", "This is missing.")
	case v == nil:
		return "", nil
	}
	data, err := rel.object("data")
	if err != nil {
		return "", err
	}
	return data.identifier(kind)
}

// identifier reads a resource identifier object of one type.
func (o object) identifier(kind string) (string, error) {
	if err := o.only("type", "id"); err != nil {
		return "", err
	}
	if o.fields["type"] != kind {
		return "", o.wrong("type", "This must be "+strconv.Quote(kind)+".")
	}
	id, _ := o.fields["id"].(string)
	if id == "" {
		return "", o.wrong("id", "This must be a string that is not empty.")
	}
	return id, nil
}

// relationID is relation where ids are UUIDs; uuid.Nil for null or absent.
func (o object) relationID(name, kind string) (uuid.UUID, error) {
	text, err := o.relation(name, kind)
	if text == "" || err != nil {
		return uuid.Nil, err
	}
	return object{at: child(o.at, name) + "/data"}.uuid(text)
}

// uuid reads the id of a resource identifier object. The nil UUID names nothing.
func (o object) uuid(text string) (uuid.UUID, error) {
	id, err := parseID(text)
	switch {
	case err != nil:
		return uuid.Nil, errNoID.at(child(o.at, "id"))
	case id == uuid.Nil:
		return uuid.Nil, errNotFound
	}
	return id, nil
}
