package keycache_test

import (
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

func TestSinceIsTheClockThatSaysMore(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mono, wall time.Duration // passed on each clock
		want       time.Duration
	}{
		"nothing happened":        {0, 0, 0},
		"time passes":             {time.Second, time.Second, time.Second},
		"the machine slept":       {time.Second, time.Hour, time.Hour},
		"the wall was set back":   {time.Second, -time.Hour, time.Second},
		"the wall was set ahead":  {time.Second, time.Hour, time.Hour},
		"the other came after us": {-time.Second, -time.Second, -time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			then := c.now()
			c.move(test.mono, test.wall)
			if got := c.now().Since(then); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestAtReadsBothClocks(t *testing.T) {
	t.Parallel()
	first := time.Now()
	second := first.Add(time.Second)
	got := keycache.At(second)
	then := keycache.At(first)
	if got.Mono-then.Mono != int64(time.Second) || got.Wall-then.Wall != int64(time.Second) {
		t.Errorf("a second apart: got %v and %v", then, got)
	}
	if got.Wall != second.UnixNano() {
		t.Errorf("Wall: got %d, want %d", got.Wall, second.UnixNano())
	}
	if between := keycache.Now().Since(then); between < 0 {
		t.Errorf("Now is %v before an earlier reading", -between)
	}
}
