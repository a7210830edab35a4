package httpmw

import (
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// maxAddresses bounds the memory of failures, to about 2 MiB.
const maxAddresses = 1 << 16

// failures counts the invalid keys of each address in the current window. It is
// there to save work, not to keep secrets: keys cannot be guessed. So when more
// addresses fail than it has room for, it forgets some rather than refuse
// those that did not fail.
type failures struct {
	limit   apikeys.RateLimit
	address func(*http.Request) (string, error)
	now     func() time.Time
	seed    maphash.Seed

	mu     sync.Mutex
	window time.Time        // start of the window that counts belong to
	counts map[uint64]int64 // by hash of the address: bounded, whatever the text
}

// newFailures returns nil when the options set no limit.
func newFailures(opts Options, now func() time.Time) *failures {
	if opts.FailureLimit == (apikeys.RateLimit{}) {
		return nil
	}
	mustBeLimits("New: Options.FailureLimit", []apikeys.RateLimit{opts.FailureLimit})
	if opts.FailureLimit.Requests == 0 {
		panic("httpmw: New: Options.FailureLimit of 0 would refuse everybody")
	}
	f := &failures{
		limit:   opts.FailureLimit,
		address: opts.Address,
		now:     now,
		seed:    maphash.MakeSeed(),
		counts:  map[uint64]int64{},
	}
	if f.address == nil {
		f.address = ByAddress()
	}
	return f
}

// admit returns the address of a request, or the error that refuses it.
func (f *failures) admit(r *http.Request) (address uint64, err error) {
	text, err := f.address(r)
	if err != nil {
		return 0, err
	}
	address, now := maphash.String(f.seed, text), f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roll(now)
	if f.counts[address] < f.limit.Requests {
		return address, nil
	}
	return 0, &TooManyFailuresError{RetryAfter: max(0, f.window.Add(f.limit.Window.Duration()).Sub(now))}
}

// count remembers an invalid key.
func (f *failures) count(address uint64) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roll(now)
	if _, known := f.counts[address]; !known && len(f.counts) >= maxAddresses {
		for other := range f.counts {
			delete(f.counts, other)
			break
		}
	}
	f.counts[address]++
}

// roll begins a new window when the time has come.
func (f *failures) roll(now time.Time) {
	if start := f.limit.Window.Start(now); !start.Equal(f.window) {
		f.window = start
		clear(f.counts)
	}
}

// mustBeLimits panics unless these are rate limits, at most one for each window.
func mustBeLimits(what string, limits []apikeys.RateLimit) {
	texts := make([]string, len(limits))
	for i, l := range limits {
		texts[i] = l.String()
	}
	if _, err := apikeys.ParseRateLimits(strings.Join(texts, ";")); err != nil {
		panic("httpmw: " + what + ": " + err.Error())
	}
}
