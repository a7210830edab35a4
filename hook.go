package apikeys

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// ActionRetiredSecret is the action of the event that tells [Config.OnEvent] that a
// key was presented with a text that was replaced by a rotation, after its end. It
// changes nothing, so it is not among the events that [Client.ListEvents] lists; how
// often it happened stands in [Client.KeyUsage].
const ActionRetiredSecret = "key.retired_secret"

const (
	// hookQueue is how many events may wait for a hook.
	hookQueue = 1024
	// noticed bounds how many replaced secrets are told of in one hour.
	noticed = 10_000
)

// hook tells a function of the caller's what happened, on a goroutine of its own.
// Nobody waits for it, and nothing that it does reaches anybody else. A nil hook
// tells nobody.
type hook struct {
	call func(Event)
	read func(ctx context.Context, id uuid.UUID) (e Event, found bool, err error)
	log  *slog.Logger

	queue chan notice
	stop  chan struct{}
	ended chan struct{}
	ctx   context.Context // of what is read; ends when Close waits no longer
	end   context.CancelFunc

	told, dropped atomic.Int64
	retired       retiredUses
}

// notice is what waits to be told: an event, or the id of a change whose event is to
// be read. It is read again, because the store has added to it what it found before
// the change, and because a change that changed nothing has none.
type notice struct {
	change uuid.UUID
	event  *Event
}

// startHook begins to tell of events, if somebody wants to know.
func (c *core) startHook(call func(Event)) {
	if call == nil {
		return
	}
	h := &hook{
		call: call, read: c.eventByID, log: c.log,
		queue: make(chan notice, hookQueue), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	h.ctx, h.end = context.WithCancel(context.Background())
	c.hook = h
	go h.run()
}

func (c *core) eventByID(ctx context.Context, id uuid.UUID) (e Event, found bool, err error) {
	records, err := c.readEvents(ctx, EventQuery{ID: id, Limit: 1})
	if err != nil || len(records) == 0 {
		return Event{}, false, err
	}
	e, err = eventOf(records[0])
	return e, err == nil, err
}

// changed tells of a change that was committed, or may have been.
func (h *hook) changed(id uuid.UUID) {
	if h != nil {
		h.offer(notice{change: id})
	}
}

// offer never waits: what finds no room is dropped and counted.
func (h *hook) offer(n notice) {
	select {
	case h.queue <- n:
	default:
		h.dropped.Add(1)
	}
}

func (h *hook) run() {
	defer close(h.ended)
	for {
		select {
		case n := <-h.queue:
			h.tell(n)
		case <-h.stop:
			h.drain()
			return
		}
	}
}

func (h *hook) drain() {
	for {
		select {
		case n := <-h.queue:
			h.tell(n)
		default:
			return
		}
	}
}

func (h *hook) tell(n notice) {
	e, found := n.event, true
	if e == nil {
		var read Event
		var err error
		if read, found, err = h.find(n.change); err != nil {
			h.dropped.Add(1)
			h.log.WarnContext(h.ctx, "apikeys: an event could not be read, so OnEvent was not told of it", "error", inert{err})
			return
		}
		e = &read
	}
	if found {
		h.told.Add(1)
		h.protect(func() { h.call(*e) })
	}
}

// find reads the event of a change; a store that has just lost a connection is asked
// again.
func (h *hook) find(id uuid.UUID) (e Event, found bool, err error) {
	for i := range attempts {
		select {
		case <-time.After(time.Duration(i) * retryPause):
		case <-h.ctx.Done():
		}
		if e, found, err = h.read(h.ctx, id); err == nil {
			break
		}
	}
	return e, found, err
}

// protect survives a panic of the caller's function.
func (h *hook) protect(call func()) {
	defer func() {
		if v := recover(); v != nil {
			h.log.ErrorContext(h.ctx, "apikeys: OnEvent panicked", "type", fmt.Sprintf("%T", v))
		}
	}()
	call()
}

// close tells of what waits, until ctx ends; the rest is dropped.
func (h *hook) close(ctx context.Context) {
	if h == nil {
		return
	}
	defer h.end()
	close(h.stop)
	select {
	case <-h.ended:
	case <-ctx.Done():
		h.dropped.Add(int64(len(h.queue)))
	}
}

// retiredUse tells that a replaced secret was presented after its end: once an hour
// for each, and for a bounded number of them.
func (h *hook) retiredUse(k *KeyRecord, now time.Time) {
	if h == nil || !h.retired.first(k.ID, k.Secret.Number, now) {
		return
	}
	now = now.UTC().Truncate(time.Microsecond)
	h.offer(notice{event: &Event{
		ID: newID(now), At: now, Action: ActionRetiredSecret,
		OrganizationID: k.OrganizationID, Kind: KindKey, SubjectID: k.ID,
		Detail: map[string]any{"secret": k.Secret.Number, "hint": k.Secret.Hint, "retired_at": k.Secret.EndsAt},
	}})
}

// retiredUses remembers which secrets were told of within this hour.
type retiredUses struct {
	mu   sync.Mutex
	hour time.Time
	seen map[retiredUse]bool
}

type retiredUse struct {
	key    uuid.UUID
	number int
}

func (r *retiredUses) first(key uuid.UUID, number int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if hour := now.Truncate(time.Hour); !hour.Equal(r.hour) {
		r.hour, r.seen = hour, map[retiredUse]bool{}
	}
	use := retiredUse{key, number}
	if r.seen[use] || len(r.seen) >= noticed {
		return false
	}
	r.seen[use] = true
	return true
}
