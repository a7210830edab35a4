package httpmw

import (
	"context"
	"net/http"

	"github.com/apikeys-platform/apikeys"
)

// ValidationFrom returns what is known of the key that the request was admitted
// with. It is false for a request without a key, which only [Middleware.Optional]
// admits, and for a context that went through no middleware.
func ValidationFrom(ctx context.Context) (apikeys.Validation, bool) {
	a := admissionFrom(ctx)
	if a == nil {
		return apikeys.Validation{}, false
	}
	return a.validation, true
}

// admission is the context of an admitted request: one allocation where
// context.WithValue and a boxed Validation would be two.
type admission struct {
	context.Context
	by         *Middleware
	validation apikeys.Validation
	// text returns the key, for a Require within this one: the header is gone by
	// then. A function, because printers walk through structs, and see no more of
	// a function than its address.
	text func() string
}

type admissionKey struct{}

// Value returns the admission itself under its key.
func (a *admission) Value(key any) any {
	if key == (admissionKey{}) {
		return a
	}
	return a.Context.Value(key)
}

func admissionFrom(ctx context.Context) *admission {
	a, _ := ctx.Value(admissionKey{}).(*admission)
	return a
}

// admit returns the request as the next handler shall see it.
func (m *Middleware) admit(r *http.Request, a attempt, v apikeys.Validation) *http.Request {
	if a.again {
		return r // the outer one has done it
	}
	text := a.text
	out := r.WithContext(&admission{
		Context:    r.Context(),
		by:         m,
		validation: v,
		text:       func() string { return text },
	})
	if a.header != "" && !m.keep {
		out.Header = without(r.Header, a.header)
	}
	return out
}
