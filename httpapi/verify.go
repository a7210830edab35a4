package httpapi

import (
	"errors"
	"net/http"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
)

func verifyRoutes() []route {
	return []route{{pattern: "POST /verify", do: (*call).verify}}
}

// verdict says how a key was judged.
type verdict struct {
	Valid bool `json:"valid"`
	// Code says why not; absent for a valid key.
	Code string `json:"code,omitempty"`
	// MissingScopes are what the key does not grant.
	MissingScopes []string `json:"missing_scopes,omitempty"`
	// RetryAfter is when to come back, in seconds, after quota_exceeded.
	RetryAfter int64 `json:"retry_after,omitempty"`
}

// verify judges a key that somebody presented to the principal. It is a use of the
// key: counted, and charged to its limits. Keys that the principal does not see are
// invalid.
func (c *call) verify() (answer, error) {
	meta, err := c.meta("key", "scopes")
	if err != nil {
		return answer{}, err
	}
	text, err := meta.text("key")
	if err != nil {
		return answer{}, err
	}
	if text == nil {
		return answer{}, meta.wrong("key", "This is missing.")
	}
	scopes, err := meta.texts("scopes")
	if err != nil {
		return answer{}, err
	}
	var params apikeys.ValidateParams
	set(&params.Scopes, scopes)
	v, err := c.client.Validate(c.ctx(), *text, params)
	if err != nil {
		return refused(err)
	}
	key := v.Key()
	return answer{doc: &document{Data: c.api.keyResource(&key), Meta: verdict{Valid: true}}}, nil
}

// refused tells apart what is wrong with the key, which is the answer, and what is
// wrong with the question or the service.
func refused(err error) (answer, error) {
	switch httpmw.Status(err) {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
	default:
		return answer{}, err
	}
	var (
		ours    apikeys.Error
		lacking *apikeys.InsufficientScopeError
		quota   *apikeys.QuotaError
	)
	errors.As(err, &ours)
	v := verdict{Code: ours.Code()}
	if errors.As(err, &lacking) {
		v.MissingScopes = lacking.Missing
	}
	if errors.As(err, &quota) {
		v.RetryAfter = wholeSeconds(quota.RetryAfter)
	}
	return answer{doc: &document{Meta: v}}, nil
}
