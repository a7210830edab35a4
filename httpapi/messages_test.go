package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpapi"
)

// Whoever sets the handler up wrongly is told what is wrong.
func TestMistakesAreExplained(t *testing.T) {
	t.Parallel()
	client := apikeystest.New(t).Client
	nobody := func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{}, httpapi.ErrUnauthenticated }
	for _, tt := range []struct {
		client *apikeys.Client
		opts   httpapi.Options
		want   string
	}{
		{nil, httpapi.Options{}, `httpapi: the client is nil`},
		{client, httpapi.Options{}, `httpapi: Options.Authenticate is missing: it says who sends a request`},
		{client, httpapi.Options{Authenticate: nobody, BasePath: "v1/"}, `httpapi: Options.BasePath must be empty or begin with "/" and not end with it`},
		{client, httpapi.Options{Authenticate: nobody, Challenge: "ü"}, `httpapi: Options.Challenge must be printable ASCII`},
	} {
		if _, err := httpapi.New(tt.client, tt.opts); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
