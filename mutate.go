package apikeys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// How often a write is sent whose outcome stays unknown, and how much longer each
// pause is: the time that a database takes to come back from a fail-over is not
// waited for.
const (
	attempts   = 3
	retryPause = 50 * time.Millisecond
)

// mutate runs one write under one operation id. A write that has begun is not
// abandoned when the caller's context ends: it is bounded by OpTimeout. When the
// outcome is unknown, the same operation is sent again under the same id, which
// the store applies once; only if that settles nothing, it is an
// OutcomeUnknownError.
func (c *Client) mutate(ctx context.Context, op operation, write func(context.Context, Mutation) error) error {
	if err := ctx.Err(); err != nil {
		return storeError(op.name(), err)
	}
	m, err := c.mutation(ctx, op)
	if err != nil {
		return err
	}
	unknown := false
	for i := range attempts {
		time.Sleep(time.Duration(i) * retryPause)
		err = c.changing(op.stale, func() error {
			call, cancel := c.call(context.WithoutCancel(ctx))
			defer cancel()
			return write(call, m)
		})
		if !errors.Is(err, ErrOutcomeUnknown) && (!unknown || settles(err)) {
			if err == nil {
				c.hook.changed(m.ID)
			}
			return storeError(op.name(), err)
		}
		unknown = true
	}
	c.hook.changed(m.ID) // if it was
	return &OutcomeUnknownError{Op: op.name(), ID: op.id, cause: err}
}

// operation is what a write is about.
type operation struct {
	kind   ResourceKind
	verb   string
	id     uuid.UUID
	detail map[string]any // for the event; may be nil
	stale  []Change       // what it makes stale in memory
}

func (op operation) name() string { return op.verb + " " + string(op.kind) }

func (c *Client) mutation(ctx context.Context, op operation) (Mutation, error) {
	m := Mutation{At: c.now(), Actor: actorFrom(ctx), Action: string(op.kind) + "." + op.verb}
	m.ID = newID(m.At)
	if len(op.detail) > 0 {
		detail, err := json.Marshal(op.detail)
		if err != nil {
			return Mutation{}, fmt.Errorf("apikeys: event detail: %w", err)
		}
		m.Detail = detail
	}
	return m, nil
}

// settles tells whether the answer to a repetition says what became of the write
// that is repeated: a store that could not be asked has not answered.
func settles(err error) bool {
	var ours Error
	return err == nil || errors.As(err, &ours) && !errors.Is(err, ErrUnavailable)
}

// newID returns a UUIDv7 (RFC 9562) of that time: ids sort by the time of
// creation, to the microsecond (section 6.2, method 3).
func newID(at time.Time) uuid.UUID {
	id := uuid.New()
	us := at.UnixMicro()
	ms, fraction := us/1000, us%1000*4096/1000
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | byte(fraction>>8)
	id[7] = byte(fraction)
	return id
}
