package httpmw

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// PathID reads an id from the path of a request (http.Request.PathValue), for
// [Middleware.RequireFunc]. It takes the usual form of 36 characters and no other
// (no braces, no "urn:uuid:"); anything else, nothing included, is an error,
// answered 400. The nil UUID names nothing and would ask nothing of the key: it is
// apikeys.ErrNotFound, answered 404.
func PathID(r *http.Request, name string) (uuid.UUID, error) {
	text := r.PathValue(name)
	if len(text) != 36 {
		return uuid.Nil, errPathID
	}
	id, err := uuid.Parse(text)
	switch {
	case err != nil:
		return uuid.Nil, errPathID
	case id == uuid.Nil:
		return uuid.Nil, apikeys.ErrNotFound
	}
	return id, nil
}

var errPathID error = &sentinel{CodeInvalidRequest, "httpmw: the id in the path is no UUID"}
