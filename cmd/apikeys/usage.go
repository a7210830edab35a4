package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newUsage(a *app) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "usage KEY [flags]",
		Short: "Show how a key was used, hour by hour",
		Long: `Show how a key was used, by hour, secret and outcome: accepted, or the code of the
refusal. What the processes of the service have not written yet (1 second by default) is
not in it.`,
		Example: "  apikeys usage 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a --from 7d",
		Args:    arguments("KEY"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			begin, end, err := a.readRange(from, to)
			if err != nil {
				return err
			}
			id, err := a.keyID(ctx, c, args[0])
			if err != nil {
				return err
			}
			hours, err := c.KeyUsage(ctx, id, begin, end)
			if err != nil {
				return err
			}
			return a.showUsage(usageDocument{KeyID: id.String(), From: begin, To: end}, hours)
		}),
	}
	cmd.Flags().StringVar(&from, "from", "24h", "from the hour of this `time`, date, or so long ago")
	cmd.Flags().StringVar(&to, "to", "", "before this `time`, date, or so long ago (default now)")
	return cmd
}

// readRange reads the hours that are asked about.
func (a *app) readRange(from, to string) (begin, end time.Time, err error) {
	if begin, err = a.readPast("--from", from); err != nil {
		return begin, end, err
	}
	begin = begin.Truncate(time.Hour)
	if to == "" {
		return begin, a.clock().Truncate(time.Hour).Add(time.Hour), nil
	}
	if end, err = a.readPast("--to", to); err == nil && !begin.Before(end) {
		err = usagef("--to: must be after --from")
	}
	return begin, end, err
}

// usageDocument is the use of a key as programs read it.
type usageDocument struct {
	KeyID    string         `json:"key_id"`
	From     time.Time      `json:"from"`
	To       time.Time      `json:"to"`
	Accepted int64          `json:"accepted"`
	Refused  int64          `json:"refused"`
	Hours    []hourDocument `json:"hours"`
}

type hourDocument struct {
	Hour    time.Time `json:"hour"`   // its beginning
	Secret  int       `json:"secret"` // its number, as inspect shows it
	Outcome string    `json:"outcome"`
	Count   int64     `json:"count"`
	LastAt  time.Time `json:"last_at"`
}

func (a *app) showUsage(d usageDocument, hours []apikeys.UsageDelta) error {
	for _, h := range hours {
		if h.Outcome == apikeys.OutcomeAccepted {
			d.Accepted += h.Count
		} else {
			d.Refused += h.Count
		}
	}
	d.Hours = mapped(hours, func(h *apikeys.UsageDelta) hourDocument {
		return hourDocument{h.Hour, h.Secret, h.Outcome, h.Count, h.LastAt}
	})
	return a.show(d, func(t *table) {
		t.row("HOUR", "SECRET", "OUTCOME", "COUNT", "LAST")
		for _, h := range d.Hours {
			t.row(timeText(h.Hour), strconv.Itoa(h.Secret), h.Outcome, strconv.FormatInt(h.Count, 10), timeText(h.LastAt))
		}
		t.gap()
		t.fact("Accepted", strconv.FormatInt(d.Accepted, 10))
		t.fact("Refused", strconv.FormatInt(d.Refused, 10))
	})
}
