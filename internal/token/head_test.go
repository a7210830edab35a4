package token_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys/internal/token"
)

func TestHeadJoinsPrefixAndEnvironment(t *testing.T) {
	t.Parallel()
	a32 := strings.Repeat("a", token.MaxPartLen)
	for _, tt := range []struct{ prefix, environment, want string }{
		{"sk", "", "sk"},
		{"sk", "prod", "sk_prod"},
		{"sk", "dev", "sk_dev"},
		{"myapp", "live", "myapp_live"},
		{"my_app", "", "my_app"},
		{"my_app", "eu_1", "my_app_eu_1"},
		{"a", "b2", "a_b2"},
		{"a_1", "", "a_1"},
		{a32, a32, a32 + "_" + a32},
		// Beginnings and ends of claimed heads that are words of their own.
		{"ghpages", "", "ghpages"},
		{"npmx", "live", "npmx_live"},
		{"laughs", "live", "laughs_live"},
		{"myapp", "asia", "myapp_asia"},
		{"myapp", "npm", "myapp_npm"},
		{"risk", "prod", "risk_prod"},
		{"skip", "live", "skip_live"},
	} {
		got, err := token.Head(tt.prefix, tt.environment)
		if err != nil || got != tt.want {
			t.Errorf("Head(%q, %q): got %q, %v, want %q", tt.prefix, tt.environment, got, err, tt.want)
		}
		if err := token.CheckHead(got); err != nil {
			t.Errorf("CheckHead(%q): %v", got, err)
		}
	}
}

func TestHeadRefuses(t *testing.T) {
	t.Parallel()
	a33 := strings.Repeat("a", token.MaxPartLen+1)
	for _, tt := range []struct{ prefix, environment, field, reason string }{
		{"", "", "KeyPrefix", "empty"},
		{"", "live", "KeyPrefix", "empty"},
		{a33, "", "KeyPrefix", "32 bytes"},
		{"sk", a33, "Environment", "32 bytes"},
		{"my-app", "", "KeyPrefix", "lower-case"},
		{"_a", "", "KeyPrefix", "start"},
		{"1a", "", "KeyPrefix", "start"},
		{"a_", "", "KeyPrefix", "between"},
		{"a__b", "", "KeyPrefix", "single"},
		{"SK", "", "KeyPrefix", "start"},
		{"sK", "", "KeyPrefix", "lower-case"},
		{"sé", "", "KeyPrefix", "ASCII"},
		{"ѕк", "", "KeyPrefix", "ASCII"},
		{"ｓｋ", "", "KeyPrefix", "ASCII"},
		{"s\u200bk", "", "KeyPrefix", "ASCII"},
		{"sk ", "", "KeyPrefix", "lower-case"},
		{"sk\x00", "", "KeyPrefix", "lower-case"},
		{"sk", "LIVE", "Environment", "start"},
		{"sk", "_", "Environment", "start"},
		{"sk", " ", "Environment", "start"},
		{"sk", "2", "Environment", "start"},
		{"sk", "eu__1", "Environment", "single"},

		{"sk", "live", "Environment", "Stripe"},
		{"sk", "test", "Environment", "Stripe"},
		{"rk", "live", "Environment", "Stripe"},
		{"rk_test", "", "KeyPrefix", "Stripe"},
		{"pk", "live", "Environment", "Stripe"},
		{"pk", "test_eu", "Environment", "Stripe"},
		{"rk_live_eu", "", "KeyPrefix", "Stripe"},
		{"ghp", "", "KeyPrefix", "GitHub"},
		{"ghp", "live", "KeyPrefix", "GitHub"},
		{"github_pat", "", "KeyPrefix", "GitHub"},
		{"glpat", "prod", "KeyPrefix", "GitLab"},
		{"xoxb", "", "KeyPrefix", "Slack"},
		{"akia", "", "KeyPrefix", "AWS"},
		{"asia", "", "KeyPrefix", "AWS"},
		{"hf", "", "KeyPrefix", "Hugging Face"},
		{"dop_v1", "", "KeyPrefix", "DigitalOcean"},
		{"sk", "ant", "Environment", "Anthropic"},
		{"sk_proj", "", "KeyPrefix", "OpenAI"},
		{"whsec", "", "KeyPrefix", "Stripe"},
		{"eyj", "", "KeyPrefix", "JSON Web Tokens"},
		// Found inside a word.
		{"task", "live", "Environment", "Stripe"},
		{"my_work", "live", "Environment", "Stripe"},
		{"laughs", "", "KeyPrefix", "GitHub"},
		{"my", "ghs", "Environment", "GitHub"},
		{"berlin", "api", "Environment", "Linear"},
	} {
		head, err := token.Head(tt.prefix, tt.environment)
		var fault *token.HeadError
		if !errors.As(err, &fault) || head != "" {
			t.Errorf("Head(%q, %q): got %q, %v, want a *HeadError", tt.prefix, tt.environment, head, err)
			continue
		}
		if fault.Field != tt.field || !strings.Contains(fault.Reason, tt.reason) {
			t.Errorf("Head(%q, %q): got %v, want field %s and %q in the reason", tt.prefix, tt.environment, fault, tt.field, tt.reason)
		}
	}
}

// An operator who puts the wrong value into the wrong variable must not find it in a log.
func TestHeadErrorDoesNotRepeatTheValue(t *testing.T) {
	t.Parallel()
	const value = "p4ss-W0rd"
	_, asPrefix := token.Head(value, "")
	_, asEnvironment := token.Head("sk", value)
	for _, err := range []error{asPrefix, asEnvironment, token.CheckHead(value)} {
		if err == nil || strings.Contains(err.Error(), value) {
			t.Errorf("got %v, want an error without the value", err != nil)
		}
	}
}

func TestCheckHead(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]string{
		"sk":                                    "",
		"sk_live":                               "",
		"my_app_live":                           "",
		strings.Repeat("a", token.MaxHeadLen):   "",
		strings.Repeat("a", token.MaxHeadLen+1): "AcceptedHeads: must not be longer than 65 bytes",
		"":                                      "AcceptedHeads: must not be empty",
		"a_":                                    "AcceptedHeads: must hold only lower-case ASCII letters, digits and single underscores between them",
	} {
		got := ""
		if err := token.CheckHead(head); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("CheckHead(%q): got %q, want %q", head, got, want)
		}
	}
}

func TestHeadAcceptsNothingThatCheckHeadRefuses(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.StringMatching(`[a-zA_0-9]{0,34}`), rapid.String(), aHead())
	rapid.Check(t, func(t *rapid.T) {
		head, err := token.Head(part.Draw(t, "prefix"), part.Draw(t, "environment"))
		if err == nil && token.CheckHead(head) != nil {
			t.Fatalf("%q: accepted by Head alone", head)
		}
	})
}
