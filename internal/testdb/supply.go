package testdb

import (
	"context"
	"sync"
	"testing"
)

// Supply has databases for many tests, one after the other: to empty one is many times faster than to make one. Its
// methods may be called at the same time.
type Supply struct {
	t        testing.TB // which the databases live as long as
	template *Template
	empty    func(ctx context.Context, dsn string) error
	mu       sync.Mutex
	free     []string
}

// NewSupply returns a supply of copies of a template, for the subtests of t. Empty makes of a copy that was used what it
// was.
func NewSupply(t testing.TB, template *Template, empty func(ctx context.Context, dsn string) error) *Supply {
	t.Helper()
	return &Supply{t: t, template: template, empty: empty}
}

// Take returns the DSN of a database like the template, for as long as the test runs. What the test opens on it has to be
// closed with the test.
func (s *Supply) Take(t testing.TB) string {
	t.Helper()
	dsn := s.get()
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t)
		defer cancel()
		if err := s.empty(ctx, dsn); err != nil {
			t.Errorf("empty the test's database: %v", err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free = append(s.free, dsn)
	})
	return dsn
}

func (s *Supply) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.free) - 1; last >= 0 {
		dsn := s.free[last]
		s.free = s.free[:last]
		return dsn
	}
	return s.template.Copy(s.t)
}
