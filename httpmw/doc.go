// Package httpmw puts API keys in front of net/http handlers: it requires a key,
// hands what is known of it to the handler, and answers refusals as RFC 9457
// problems. It also limits requests by anything else: a user, an address.
//
//	func main() {
//		ctx := context.Background()
//		db, err := sqlite.Open(ctx, "app.db")
//		if err != nil {
//			log.Fatal(err)
//		}
//		if err := db.Migrate(ctx); err != nil {
//			log.Fatal(err)
//		}
//		secret, err := apikeys.SecretFromEnv("APIKEYS_SECRET")
//		if err != nil {
//			log.Fatal(err)
//		}
//		client, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer client.Close(ctx) // writes the last uses
//		mw := httpmw.New(client, httpmw.Options{})
//
//		mux := http.NewServeMux()
//		mux.Handle("GET /docs", mw.Require("docs:read")(http.HandlerFunc(docs)))
//		log.Println(http.ListenAndServe(":8080", mux))
//	}
//
//	func docs(w http.ResponseWriter, r *http.Request) {
//		v, _ := httpmw.ValidationFrom(r.Context())
//		fmt.Fprintln(w, "hello,", v.OwnerID())
//	}
//
// # Where a key may stand
//
// In the X-API-Key header, or after "Bearer " in Authorization (RFC 6750 §2.1;
// the scheme in any case, exactly one space). There must be exactly one header
// line of the two: two keys are refused, whatever they are, because the next hop
// might believe the other one. A key in the query, the body, a cookie, the path
// or a trailer is not read: these end up in logs and histories.
//
// Whoever reads a key off the wire can use it: serve over TLS, here or at the proxy
// in front. The middleware does not ask how a request came.
//
// The next handler sees the request without the key; the original request is not
// changed.
//
// # Answers
//
//	no key                                   401 no_credential
//	two keys                                 400 multiple_credentials
//	invalid, malformed, unknown, of another
//	environment: the same bytes              401 invalid_key
//	expired, replaced by a newer secret      401 expired_key, retired_secret
//	revoked                                  403 revoked_key, or 401: Options.RevokedStatus
//	disabled, organization suspended         403 disabled_key, suspended
//	scope missing, for something else        403 insufficient_scope
//	over a rate limit                        429 quota_exceeded
//	too many invalid keys from an address    429 too_many_failures
//	params of [Middleware.RequireFunc] wrong 400 invalid_request
//	the store does not answer                503 unavailable
//
// The body is application/problem+json with the members type, title, status,
// detail and code, and, where they say something, expired_at, missing_scopes,
// resource and retry_after. Code is stable; the texts are not. All refusals carry
// Cache-Control: no-store and X-Content-Type-Options: nosniff; 401, and 400 and 403 where RFC 6750 §3 has them, a
// WWW-Authenticate challenge; 429 and 503 Retry-After in whole seconds.
//
// Where limits were charged, accepted and refused answers carry RateLimit and
// RateLimit-Policy as draft-ietf-httpapi-ratelimit-headers-11 defines them. The
// policies are named after what is counted and its window:
//
//	RateLimit-Policy: "key-second";q=10;w=1, "key-minute";q=100;w=60
//	RateLimit: "key-second";r=9;t=1, "key-minute";r=50;t=30
//
// # Routers and frameworks
//
// Require and its likes return func(http.Handler) http.Handler, which is what chi
// and most others take:
//
//	r := chi.NewRouter()
//	r.Use(mw.Require())
//	r.With(mw.Require("docs:write")).Put("/docs/{id}", putDoc)
//
// One Require may stand within another of the same Middleware, as here: the
// request is counted and charged once, by the outermost, and the inner ones ask
// for what they add.
//
// Echo has echo.WrapMiddleware(mw.Require("docs:read")). For gin, and others that
// have no such function:
//
//	func ginMiddleware(mw func(http.Handler) http.Handler) gin.HandlerFunc {
//		return func(c *gin.Context) {
//			admitted := false
//			mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
//				admitted, c.Request = true, r
//				c.Next()
//			})).ServeHTTP(c.Writer, c.Request)
//			if !admitted {
//				c.Abort()
//			}
//		}
//	}
//
// Whoever has no handler to wrap (a websocket upgrade, a gRPC gateway) calls
// [Middleware.Check] and answers its error with [Middleware.WriteError] or the
// number that [Status] gives.
//
// Browsers send CORS preflights without a key: let the CORS middleware stand
// outside of this one.
package httpmw
