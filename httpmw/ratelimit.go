package httpmw

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Limiter counts requests of a subject against limits, all or none. An
// *apikeys.Client is one, shared by all processes on its store, and so is an
// *apikeys.MemoryLimiter, each process for itself, which asks no database. See
// [apikeys.Client.Allow].
type Limiter interface {
	Allow(ctx context.Context, subject string, limits []apikeys.RateLimit, cost int64) ([]apikeys.LimitState, error)
}

// RateLimitOptions says what [RateLimit] counts.
type RateLimitOptions struct {
	// By tells whose request it is: [ByAddress], which nil means, [ByIdentity], or a
	// function of yours. Requests with the same result share the limits. Its
	// errors refuse the request: those of apikeys as such, any other with 500.
	By func(*http.Request) (string, error)
	// Limits are what each subject has, at most one for each window; at least one.
	// See [LimitsFromEnv].
	Limits []apikeys.RateLimit
	// Name keeps the counts of one RateLimit apart from those of others on the same
	// store, and begins the names of its policies in the RateLimit fields. "" means
	// "default". Letters, digits, "_" and ".", at most 64; not "key".
	Name string
	// Cost is what a request takes. 0 means 1.
	Cost int64

	// ErrorWriter and Now are as in [Options].
	ErrorWriter func(http.ResponseWriter, *http.Request, Problem)
	Now         func() time.Time
}

// RateLimit returns a middleware that limits requests by anything, whether they
// carry a key or not. What is over the limit is answered 429, what the limiter
// cannot decide 503. It panics when the limiter is nil or an option is wrong.
func RateLimit(limiter Limiter, opts RateLimitOptions) func(http.Handler) http.Handler {
	l := newRateLimit(limiter, opts)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			states, err := l.charge(r)
			if err != nil {
				l.answers.refuse(w, r, err)
				return
			}
			setLimits(w.Header(), l.name, states, l.now)
			next.ServeHTTP(w, r)
		})
	}
}

type rateLimit struct {
	limiter Limiter
	by      func(*http.Request) (string, error)
	limits  []apikeys.RateLimit
	name    string
	cost    int64
	now     func() time.Time
	answers answers
}

func newRateLimit(limiter Limiter, opts RateLimitOptions) *rateLimit {
	l := &rateLimit{
		limiter: limiter,
		by:      opts.By,
		limits:  slices.Clone(opts.Limits),
		name:    policyName(opts.Name),
		cost:    max(opts.Cost, 1),
		now:     clock(opts.Now),
	}
	if isNil(limiter) {
		panic("httpmw: RateLimit: the limiter is nil")
	}
	if l.by == nil {
		l.by = ByAddress()
	}
	checkLimits(l.limits, opts.Cost)
	l.answers = answers{
		challenge: challenge("Bearer", ""),
		revoked:   http.StatusForbidden,
		policy:    l.name,
		write:     errorWriter(opts.ErrorWriter),
	}
	return l
}

func isNil(limiter Limiter) bool {
	client, isClient := limiter.(*apikeys.Client)
	memory, isMemory := limiter.(*apikeys.MemoryLimiter)
	return limiter == nil || isClient && client == nil || isMemory && memory == nil
}

func checkLimits(limits []apikeys.RateLimit, cost int64) {
	if len(limits) == 0 {
		panic("httpmw: RateLimit: there are no limits")
	}
	mustBeLimits("RateLimit: Limits", limits)
	if cost < 0 {
		panic("httpmw: RateLimit: the cost is negative; 0 means 1")
	}
	for _, limit := range limits {
		if cost > limit.Requests && limit.Requests > 0 {
			panic("httpmw: RateLimit: the cost can never pass the limit of " + limit.String())
		}
	}
}

// policyName checks a name that goes into header fields as it is. It has no "-",
// which separates it from the window there.
func policyName(name string) string {
	if name == "" {
		return "default"
	}
	plain := !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '.'
	})
	if !plain || len(name) > 64 || name == keyPolicy {
		panic("httpmw: RateLimit: the name must be of letters, digits, '_' and '.', at most 64, and not \"key\"")
	}
	return name
}

func (l *rateLimit) charge(r *http.Request) ([]apikeys.LimitState, error) {
	subject, err := l.by(r)
	if err != nil {
		return nil, err
	}
	if subject == "" {
		return nil, errNoSubject
	}
	return l.limiter.Allow(r.Context(), l.name+"\x00"+subject, l.limits, l.cost)
}

// errNoSubject: all requests without one would share one limit.
var errNoSubject = errors.New("httpmw: RateLimit: By returned an empty subject")

// ByIdentity returns a function that tells a request by who makes it, and by its
// address when nobody in particular does: when identity returns [ErrNoIdentity].
// Any other error of identity is an error of the request: a broken session store must
// not move everybody to the limits of strangers. An empty identity is an error
// too. A user whose name looks like an address is still a user.
//
// It panics when a function is nil.
func ByIdentity(identity, address func(*http.Request) (string, error)) func(*http.Request) (string, error) {
	if identity == nil || address == nil {
		panic("httpmw: ByIdentity: a function is nil")
	}
	return func(r *http.Request) (string, error) {
		id, err := identity(r)
		if errors.Is(err, ErrNoIdentity) {
			return prefixed("address:")(address(r))
		}
		return prefixed("identity:")(id, err)
	}
}

// prefixed keeps apart what comes from different sources.
func prefixed(prefix string) func(string, error) (string, error) {
	return func(s string, err error) (string, error) {
		if err != nil || s == "" {
			return "", err
		}
		return prefix + s, nil
	}
}

// LimitsFromEnv reads rate limits from an environment variable, as
// [apikeys.ParseRateLimits] does: RATE_LIMIT_DEFAULTS="100/minute; 1000 per hour".
// When it is not set or blank, the defaults given here stand; without any, that
// is an error. Errors are *apikeys.InvalidArgumentError and name the variable.
func LimitsFromEnv(name string, defaults ...apikeys.RateLimit) ([]apikeys.RateLimit, error) {
	text := os.Getenv(name)
	if strings.TrimSpace(text) == "" && len(defaults) > 0 {
		return slices.Clone(defaults), nil
	}
	limits, err := apikeys.ParseRateLimits(text)
	if wrong := (*apikeys.InvalidArgumentError)(nil); errors.As(err, &wrong) {
		return nil, &apikeys.InvalidArgumentError{Field: name, Reason: wrong.Reason}
	}
	if err == nil && len(limits) == 0 {
		return nil, &apikeys.InvalidArgumentError{Field: name, Reason: `holds no rate limit: write "100/minute" or "1000 per hour"`}
	}
	return limits, err
}
