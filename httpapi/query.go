package httpapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// The query parameters.
const (
	paramSize         = "page[size]"
	paramCursor       = "page[cursor]"
	paramStatus       = "filter[status]"
	paramOwner        = "filter[owner]"
	paramOrganization = "filter[organization]"
	paramProject      = "filter[project]"
	paramProduct      = "filter[product]"
	paramQuery        = "filter[query]"
)

// maxPageSize is the client's own bound.
const maxPageSize = 200

// query holds the parameters of a request, each once.
type query struct{ values url.Values }

// readQuery refuses parameters that are not known, as JSON:API 1.1 asks, and those
// that are there twice.
func readQuery(raw string, known []string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, errBadRequest.with("The query is malformed.")
	}
	for name, all := range values {
		if !slices.Contains(known, name) {
			return query{}, errBadRequest.with("A query parameter is unknown here.").in(clip(name))
		}
		if len(all) > 1 {
			return query{}, errBadRequest.with("This parameter is there twice.").in(name)
		}
		if all[0] == "" {
			return query{}, errBadRequest.with("This parameter is empty.").in(name)
		}
	}
	return query{values}, nil
}

// clip keeps what is repeated to the sender short.
func clip(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), maxPointerName)], "\uFFFD")
}

func (q query) get(name string) string { return q.values.Get(name) }

// id reads an id; uuid.Nil if it is absent. The nil UUID names nothing.
func (q query) id(name string) (uuid.UUID, error) {
	if q.get(name) == "" {
		return uuid.Nil, nil
	}
	id, err := parseID(q.get(name))
	switch {
	case err != nil:
		return uuid.Nil, errNoID.in(name)
	case id == uuid.Nil:
		return uuid.Nil, errNotFound
	}
	return id, nil
}

// bounds reads the ids that a list of keys is bounded by.
func (q query) bounds(f *apikeys.KeyFilter) (err error) {
	if f.OrganizationID, err = q.id(paramOrganization); err != nil {
		return err
	}
	if f.ProjectID, err = q.id(paramProject); err != nil {
		return err
	}
	f.ProductID, err = q.id(paramProduct)
	return err
}

// page reads which page is wanted.
func (q query) page() (apikeys.ListOptions, error) {
	opts := apikeys.ListOptions{Cursor: q.get(paramCursor)}
	if q.get(paramSize) == "" {
		return opts, nil
	}
	n, err := strconv.ParseUint(q.get(paramSize), 10, 64)
	if err != nil || n < 1 || n > maxPageSize {
		return opts, errBadRequest.with("This must be a whole number from 1 to " + strconv.Itoa(maxPageSize) + ".").in(paramSize)
	}
	opts.Limit = int(n) // at most maxPageSize
	return opts, nil
}

// owner reads the name of an owner: text that a key's owner could be.
func (q query) owner() (string, error) {
	owner := q.get(paramOwner)
	if !couldBeOwner(owner) {
		return "", errBadRequest.with("No owner has this name.").in(paramOwner)
	}
	return owner, nil
}

func couldBeOwner(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// with returns the query with one parameter changed, for links.
func (q query) with(name, value string) string {
	values := url.Values{name: {value}}
	for n, v := range q.values {
		if n != name {
			values[n] = v
		}
	}
	return values.Encode()
}

// pageLinks are the links of a page of a list.
func (c *call) pageLinks(next string) *links {
	here := c.api.opts.BasePath + c.r.URL.EscapedPath()
	l := &links{Self: here}
	if len(c.query.values) > 0 {
		l.Self += "?" + c.query.values.Encode()
	}
	if next != "" {
		l.Next = here + "?" + c.query.with(paramCursor, next)
	}
	return l
}

var errNoID = errBadRequest.with("This must be a UUID of 36 characters.")

// parseID takes ids in the usual form of 36 characters and no other, as
// httpmw.PathID does for those in paths.
func parseID(text string) (uuid.UUID, error) {
	if len(text) != 36 {
		return uuid.Nil, errNoID
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, errNoID
	}
	return id, nil
}
