package httpapi

import "time"

// mediaType is JSON:API's (https://jsonapi.org/format/1.1/).
const mediaType = "application/vnd.api+json"

// The resource types.
const (
	typeKeys          = "api-keys"
	typeUsers         = "users"
	typeOrganizations = "organizations"
	typeProjects      = "projects"
	typeProducts      = "products"
	typeLimits        = "rate-limits"
)

// document is a JSON:API document with primary data.
type document struct {
	JSONAPI jsonapi `json:"jsonapi"`
	Data    any     `json:"data"` // *resource, []resource, *identifier, []identifier; nil is null
	Links   *links  `json:"links,omitempty"`
	Meta    any     `json:"meta,omitempty"`
}

type jsonapi struct {
	Version string `json:"version"`
}

type resource struct {
	identifier
	Attributes    any                     `json:"attributes"`
	Relationships map[string]relationship `json:"relationships,omitempty"`
	Links         links                   `json:"links"`
}

type identifier struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// relationship is to one or to none. Where Data is left out, the links tell.
type relationship struct {
	Data *identifier `json:"data"`
}

type links struct {
	Self string `json:"self"`
	Next string `json:"next,omitempty"` // absent on the last page
}

// to returns a relationship to one; to none, if the id is empty.
func to(kind, id string) relationship {
	if id == "" {
		return relationship{}
	}
	return relationship{Data: &identifier{kind, id}}
}

// timeOrNull is null for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// self returns the link to a resource.
func (a *api) self(kind, id string) string { return a.opts.BasePath + "/" + kind + "/" + id }
