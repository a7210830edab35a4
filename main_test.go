package apikeys_test

import (
	"context"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(tidy{m}) }

// tidy ends what the examples began.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer ofExamples.close()
	return m.M.Run()
}

// ofExamples is what examples get without opening it themselves, so that they show their own subject alone. They run one
// after the other.
var ofExamples closers

// closers are called when all tests have ended, the last one first.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c *closers) addClient(client *apikeys.Client) {
	c.add(func() error { return client.Close(context.Background()) })
}

func (c *closers) close() {
	for _, f := range slices.Backward(*c) {
		check(f())
	}
}
