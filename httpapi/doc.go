// Package httpapi is a management API to mount: organizations, projects, products
// and API keys over HTTP, in documents of JSON:API 1.1 (https://jsonapi.org).
//
//	api, err := httpapi.New(client, httpapi.Options{
//		BasePath:     "/v1",
//		Authenticate: principalOf, // your sessions, your users
//	})
//	mux.Handle("/v1/", http.StripPrefix("/v1", api))
//
// # Who may do what
//
// Options.Authenticate tells who sends a request: an administrator, an
// organization's manager, or a user; see [Principal]. Whoever is not an
// administrator works through a view of the client (apikeys.Client.Scoped), whose
// bounds the store puts into every statement. What lies outside does not exist: the
// answer is, byte for byte, the 404 for an id that nobody has.
//
// Users see and change their own keys. The owner of what they create is
// themselves, whatever the document says; managers and administrators may name one
// (the relationship "user"). Nobody grants more than [Principal].Grant, in what they
// create, change, enable or rotate. Who acts in an organization that is suspended is
// answered 403.
//
// # Routes
//
//	POST   /api-keys                              create; the text is in this answer only
//	GET    /api-keys                              list
//	GET    /api-keys/{id}
//	PATCH  /api-keys/{id}                         name, scopes, rate_limits, expires_at, custom
//	DELETE /api-keys/{id}                         erase, with its history
//	POST   /api-keys/{id}/rotate                  a new text; meta.overlap_seconds
//	POST   /api-keys/{id}/revoke                  for good; meta.reason; the second time is 409
//	POST   /api-keys/{id}/disable, /enable
//	GET    /api-keys/{id}/relationships/user
//	POST   /users/{id}/api-keys                   as under /api-keys, for this owner
//	GET    /users/{id}/api-keys
//	POST   /verify                                judge a key: meta.key, meta.scopes
//	GET    /organizations, /organizations/{id}
//	POST   /organizations                         administrators; so the next four
//	PATCH  /organizations/{id}
//	DELETE /organizations/{id}                    with all it owns
//	POST   /organizations/{id}/suspend, /resume
//	POST   /projects, /products                   managers and administrators change these
//	GET    /projects, /products
//	GET    /projects/{id}, /products/{id}
//	PATCH  /projects/{id}, /products/{id}
//	DELETE /projects/{id}, /products/{id}         with the keys bound to it
//	GET    /projects/{id}/products
//	GET    /projects/{id}/relationships/products
//	POST   /projects/{id}/relationships/products  link
//	DELETE /projects/{id}/relationships/products  unlink
//
// The holder of a key asks with the key itself, as package httpmw reads it, and
// pays nothing for it:
//
//	GET    /whoami
//	GET    /whoami/limits
//	POST   /whoami/revoke
//
// Everybody may read the OpenAPI 3.1 document of all this, which is openapi.json
// in this package's folder, fitted to the [Options]:
//
//	GET    /openapi.json
//
// Lists take page[size] (1 to 200, else 50) and page[cursor], the newest first; follow
// links.next, which the last page lacks. Lists of keys take filter[status] (active,
// expired, revoked, disabled, all), filter[owner], filter[organization],
// filter[project], filter[product] and filter[query], which looks into names and
// hints. Administrators name the organization of projects, products and owners, in
// filter[organization] or the relationship "organization", unless they act in one.
//
// # Documents
//
// Rate limits are strings ("100/minute"), times are of RFC 3339, custom is any JSON
// object. In a PATCH an absent attribute stays as it is, [] and {} empty it, and null
// is refused, but for expires_at, where it means never. An attribute "version" in a
// PATCH makes it conditional: 409 if the key has another by then. What cannot be
// changed is refused with 403.
//
// Bodies are at most 64 KiB of application/vnd.api+json, without coding. Fields that
// are unknown, there twice, or written in another case are refused.
//
// # Errors
//
// Refusals are JSON:API error objects with a stable code, and with source where one
// part of the request is to blame:
//
//	400 invalid_request, invalid_argument
//	401 unauthenticated
//	403 forbidden, suspended, beyond_grant, immutable_field, client_id
//	404 not_found
//	405 method_not_allowed
//	406 not_acceptable
//	409 already_exists, already_revoked, conflict, type_mismatch,
//	    revoked_key, expired_key, disabled_key
//	413 body_too_large
//	415 unsupported_media_type
//	429 quota_exceeded
//	500 internal_error
//	503 unavailable, outcome_unknown, closed
//
// The holder's routes answer as package httpmw does: 401 no_credential, 403
// revoked_key and so on. 401 has WWW-Authenticate, 429 and 503 have Retry-After; all
// answers have Cache-Control: no-store and X-Content-Type-Options: nosniff.
package httpapi
