package apikeys_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys"
)

func ExampleParseRateLimits() {
	limits, err := apikeys.ParseRateLimits("1000 per hour; 100/minute")
	fmt.Println(limits, err)
	_, err = apikeys.ParseRateLimits("100/week")
	fmt.Println(err)
	// Output:
	// [100/minute 1000/hour] <nil>
	// apikeys: RateLimits: "100/week" is not a rate limit: write "100/minute" or "1000 per hour", with second, minute, hour or day
}

func TestParseRateLimits(t *testing.T) {
	t.Parallel()
	type limits = []apikeys.RateLimit
	hundred := limits{apikeys.PerMinute(100)}
	for in, want := range map[string]limits{
		"":                                 nil,
		"  \n":                             nil,
		";":                                nil,
		"100/minute":                       hundred,
		"100/minute;":                      hundred,
		"\t100 / minute \n":                hundred,
		"100 per minute":                   hundred,
		"100 PER Minutes":                  hundred,
		"100  per\tmin":                    hundred,
		"100/M":                            hundred,
		"0100/m":                           hundred,
		"0/day":                            {apikeys.PerDay(0)},
		"1000000000000000/d":               {apikeys.PerDay(1e15)},
		"100/minute; 1000 per hour":        {apikeys.PerMinute(100), apikeys.PerHour(1000)},
		"1000 per hour, 100/minute":        {apikeys.PerMinute(100), apikeys.PerHour(1000)},
		"4/d\n3/h\r\n2/m\n\n1/s\n":         {apikeys.PerSecond(1), apikeys.PerMinute(2), apikeys.PerHour(3), apikeys.PerDay(4)},
		"1 per s,2 per m;3 per h\n4 per d": {apikeys.PerSecond(1), apikeys.PerMinute(2), apikeys.PerHour(3), apikeys.PerDay(4)},
	} {
		got, err := apikeys.ParseRateLimits(in)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", in, err, diff)
		}
	}
}

func TestParseRateLimitsKnowsItsUnits(t *testing.T) {
	t.Parallel()
	for window, units := range map[apikeys.RateLimitWindow]string{
		apikeys.WindowSecond: "s sec second seconds",
		apikeys.WindowMinute: "m min minute minutes",
		apikeys.WindowHour:   "h hr hour hours",
		apikeys.WindowDay:    "d day days",
	} {
		want := []apikeys.RateLimit{{Requests: 7, Window: window}}
		for unit := range strings.FieldsSeq(units) {
			for _, in := range []string{"7/" + unit, "7 per " + unit, "7/" + strings.ToUpper(unit)} {
				got, err := apikeys.ParseRateLimits(in)
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%q: %v (-want +got):\n%s", in, err, diff)
				}
			}
		}
	}
}

func TestParseRateLimitsRefuses(t *testing.T) {
	t.Parallel()
	maxInt := strconv.FormatInt(math.MaxInt64, 10)
	for in, quoted := range map[string]string{
		"100":                        `"100"`,
		"-1/minute":                  `"-1/minute"`,
		"+1/minute":                  `"+1/minute"`,
		"1.5/minute":                 `"1.5/minute"`,
		"1e3/minute":                 `"1e3/minute"`,
		"1_000/minute":               `"1_000/minute"`,
		"1,000/minute":               `"1"`,
		"0x10/minute":                `"0x10/minute"`,
		"٣/minute":                   `"٣/minute"`,
		"/minute":                    `"/minute"`,
		"minute":                     `"minute"`,
		"100/":                       `"100/"`,
		"100 per":                    `"100 per"`,
		"100 minute":                 `"100 minute"`,
		"100 each minute":            `"100 each minute"`,
		"100 per minute max":         `"100 per minute max"`,
		"100 perminute":              `"100 perminute"`,
		"100 per per minute":         `"100 per per minute"`,
		"100 requests per minute":    `"100 requests per minute"`,
		"100//minute":                `"100//minute"`,
		"100/minute/hour":            `"100/minute/hour"`,
		"100/60s":                    `"100/60s"`,
		"100/week":                   `"100/week"`,
		"100/RateLimitWindow(7)":     `"100/RateLimitWindow(7)"`,
		"100/ſ":                      `"100/ſ"`, // long s, which folds to s
		"100/minute 5/hour":          `"100/minute 5/hour"`,
		"100/minute\x00":             `"100/minute\x00"`,
		"1000000000000001/day":       `"1000000000000001/day"`,
		maxInt + "/day":              `"` + maxInt + `/day"`,
		"99999999999999999999/day":   `"99999999999999999999/day"`,
		"1/m; 2/minute":              `"2/minute"`,
		"1/m; 1/m":                   `"1/m"`,
		"5/hour; nonsense":           `"nonsense"`,
		strings.Repeat("é", 100_000): `"` + strings.Repeat("é", 40) + `"`,
	} {
		got, err := apikeys.ParseRateLimits(in)
		var bad *apikeys.InvalidArgumentError
		switch {
		case !errors.As(err, &bad) || !errors.Is(err, apikeys.ErrInvalidArgument) || got != nil:
			t.Errorf("%.60q: got %v, %v, want an InvalidArgumentError", in, got, err)
		case bad.Field != "RateLimits" || !strings.HasPrefix(bad.Reason, quoted+" is "):
			t.Errorf("%.60q: got %q for field %q, want %s quoted for RateLimits", in, bad.Reason, bad.Field, quoted)
		case len(bad.Reason) > 300:
			t.Errorf("%.60q: the reason is %d bytes long", in, len(bad.Reason))
		}
	}
}

func TestParseRateLimitsSaysWhatIsAccepted(t *testing.T) {
	t.Parallel()
	_, err := apikeys.ParseRateLimits("lots")
	want := `apikeys: RateLimits: "lots" is not a rate limit: write "100/minute" or "1000 per hour", with second, minute, hour or day`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func FuzzParseRateLimits(f *testing.F) {
	for _, seed := range []string{
		"", "100/minute; 1000 per hour", "1/s,2/m\n3/h;4/d", "-1/day", "1.5/m", "99999999999999999999/d", "5 PER hr;", "1/m;1/m",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		limits, err := apikeys.ParseRateLimits(s)
		if err != nil {
			if limits != nil || !errors.Is(err, apikeys.ErrInvalidArgument) {
				t.Fatalf("got %v with error %v, want no limits and an invalid argument", limits, err)
			}
			return
		}
		written := make([]string, len(limits))
		for i, l := range limits {
			written[i] = l.String()
			if l.Requests < 0 || l.Requests > 1e15 || i > 0 && limits[i-1].Window >= l.Window {
				t.Fatalf("got %v, want them in range, sorted, one for each window", limits)
			}
		}
		again, err := apikeys.ParseRateLimits(strings.Join(written, ";"))
		if diff := cmp.Diff(limits, again); diff != "" || err != nil {
			t.Fatalf("%v, read again (-want +got):\n%s", err, diff)
		}
	})
}
