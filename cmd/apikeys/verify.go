package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newVerify(a *app) *cobra.Command {
	var at target
	var scopes []string
	var anyScope bool
	var cost int64
	cmd := &cobra.Command{
		Use:   "verify [flags] < FILE",
		Short: "Judge a key whose text is on standard input",
		Long: `Judge a key whose text is on standard input, as the service would for a request, and
show every question with its answer. No use is counted and no limit
charged. The exit status is 0 if the key is good, 3 if it is not, and 1 if that could
not be found out.`,
		Example: "  apikeys verify --scope docs:read < key.txt\n  pbpaste | apikeys verify --json",
		Args:    arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			ids, err := at.find(ctx, c)
			if err != nil {
				return err
			}
			text, err := a.readKey()
			if err != nil {
				return err
			}
			e, err := c.Explain(ctx, text, apikeys.ValidateParams{
				OrganizationID: ids.org, ProjectID: ids.project, ProductID: ids.product,
				Scopes: scopes, AnyScope: anyScope, Cost: cost,
			})
			if err != nil {
				return err
			}
			return a.showVerdict(e)
		}),
	}
	at.flags(cmd, "is it for this organization?", "is it for this project?", "is it for this product?")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "does it grant this `scope`? Repeat for more")
	cmd.Flags().BoolVar(&anyScope, "any-scope", false, "one of the scopes is enough")
	cmd.Flags().Int64Var(&cost, "cost", 1, "what the request would cost of its rate limits")
	return cmd
}

// verdict is what verify found.
type verdict struct {
	Valid  bool            `json:"valid"`
	Code   string          `json:"code"` // of the first check that failed; "" if valid
	Key    *keyDocument    `json:"key"`  // null if it is not known
	Checks []checkDocument `json:"checks"`
	Limits []limitDocument `json:"limits"`
}

type checkDocument struct {
	Name    string `json:"name"`
	Passed  bool   `json:"passed"`
	Code    string `json:"code"`    // "" if passed
	Message string `json:"message"` // "" if passed
}

type limitDocument struct {
	Limit     string    `json:"limit"`
	Remaining int64     `json:"remaining"`
	ResetAt   time.Time `json:"reset_at"`
}

func (a *app) showVerdict(e *apikeys.Explanation) error {
	v := verdict{Valid: e.Err() == nil, Checks: mapped(e.Checks, checkOf), Limits: mapped(e.Limits, func(l *apikeys.LimitState) limitDocument {
		return limitDocument{l.Limit.String(), l.Remaining, l.ResetAt}
	})}
	if e.Key != nil {
		key := a.keyDocument(e.Key)
		v.Key = &key
	}
	if !v.Valid {
		v.Code = code(e.Err())
	}
	if err := a.show(v, func(t *table) { verdictRows(t, v) }); err != nil || v.Valid {
		return err
	}
	return errRefused
}

func checkOf(c *apikeys.Check) checkDocument {
	d := checkDocument{Name: c.Name, Passed: c.Err == nil}
	if c.Err != nil {
		d.Code, d.Message = code(c.Err), orText(unknown[c.Name], withoutKeys(message(c.Err)))
	}
	return d
}

// unknown says what strangers are not told: why a key is none of ours.
var unknown = map[string]string{
	"shape": "not a key of this service: another prefix or environment, or not a key at all",
	"tag":   "made up, mistyped, or of another database",
	"known": "there is no such key any more, or it was hashed under a signing secret that is not configured here",
}

func verdictRows(t *table, v verdict) {
	if v.Valid {
		t.row("The key is good.")
	} else {
		t.row("The key is refused: " + v.Code + ".")
	}
	if v.Key != nil {
		t.fact("Key", v.Key.ID)
		t.fact("Hint", v.Key.Hint)
		t.fact("Organization", v.Key.OrganizationID)
		t.fact("Owner", v.Key.OwnerID)
	}
	t.gap()
	t.row("CHECK", "ANSWER")
	for _, c := range v.Checks {
		t.row(c.Name, orText(c.Message, "passed"))
	}
	if len(v.Limits) > 0 {
		t.gap()
		t.row("LIMIT", "REMAINING", "RESETS")
		for _, l := range v.Limits {
			t.row(l.Limit, strconv.FormatInt(l.Remaining, 10), timeText(l.ResetAt))
		}
	}
}
