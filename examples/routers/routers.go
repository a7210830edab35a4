// Package routers shows the middleware with routers of others. It is a module of its
// own: the library links none of them.
package routers

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"

	"github.com/apikeys-platform/apikeys/httpmw"
)

// Chi takes the middleware as it is. The key is judged once, although two of its
// middlewares ask for it: the inner one asks for what it adds.
func Chi(guard *httpmw.Middleware) http.Handler {
	r := chi.NewRouter()
	r.Use(guard.Require())
	r.Get("/docs", docs)
	r.With(guard.Require("docs:write")).Put("/docs/{id}", docs)
	return r
}

// Gin needs an adapter.
func Gin(guard *httpmw.Middleware) http.Handler {
	r := gin.New()
	r.Use(adapt(guard.Require()))
	r.GET("/docs", gin.WrapF(docs))
	r.PUT("/docs/:id", adapt(guard.Require("docs:write")), gin.WrapF(docs))
	return r
}

// adapt makes a gin middleware of one for net/http.
func adapt(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		admitted := false
		middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			admitted, c.Request = true, r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !admitted {
			c.Abort()
		}
	}
}

func docs(w http.ResponseWriter, r *http.Request) {
	v, _ := httpmw.ValidationFrom(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, "documents of", v.OwnerID())
}
