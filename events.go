package apikeys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Event tells of one change: who changed what, and when. Every change that a
// client makes writes one in the same transaction; a call that had nothing to change
// writes none. Nothing in it is secret: a key is told by its id and its hint.
type Event struct {
	// ID is the change's. Ids of later changes are greater, as far as the clocks of
	// the processes agree.
	ID     uuid.UUID
	At     time.Time
	Actor  string // as [ContextWithActor] named it; may be empty
	Action string // "key.create", "organization.suspend", …
	// OrganizationID is whose it is; uuid.Nil: of no single one.
	OrganizationID uuid.UUID
	// Kind and SubjectID say what was changed; uuid.Nil: several, or a signing secret.
	Kind      ResourceKind
	SubjectID uuid.UUID
	// Before and After are what the change made different, as it was and as it is;
	// nil where there was or is nothing. Of a key's custom data an event tells only that
	// it changed. A key's events lose both, and Detail, when the key is deleted.
	Before, After map[string]any
	// Detail is what else there is to tell: "keys" of changes to several at once,
	// "old_ends_at" of a rotation.
	Detail map[string]any
}

// EventFilter selects events. Zero fields select nothing away.
type EventFilter struct {
	OrganizationID uuid.UUID // events outlive their organization
	// SubjectID selects the changes of one organization, project, product or key.
	// What was done to several keys at once is found by their organization.
	SubjectID uuid.UUID
}

// ListEvents returns a page of the audit events, the newest first, as far back as
// Config.EventRetention. A view sees those of its organization; the view of one owner
// sees those of one key at a time, which must be the owner's: SubjectID is required.
func (c *Client) ListEvents(ctx context.Context, filter EventFilter, opts ListOptions) (Page[Event], error) {
	q, err := c.eventQuery(ctx, filter)
	if err != nil {
		return Page[Event]{}, err
	}
	list := fmt.Sprintf("event %s %s", q.Scope.OrganizationID, q.SubjectID)
	records, err := paginate(c, list, opts, func(before uuid.UUID, limit int) ([]EventRecord, error) {
		q.Before, q.Limit = before, limit
		return c.readEvents(ctx, q)
	}, func(e EventRecord) uuid.UUID { return e.ID })
	if err != nil {
		return Page[Event]{}, err
	}
	page := Page[Event]{Items: make([]Event, 0, len(records.Items)), NextCursor: records.NextCursor}
	for _, r := range records.Items {
		e, err := eventOf(r)
		if err != nil {
			return Page[Event]{}, err
		}
		page.Items = append(page.Items, e)
	}
	return page, nil
}

// eventQuery gives a filter the form that stores take, within this view.
func (c *Client) eventQuery(ctx context.Context, f EventFilter) (EventQuery, error) {
	if err := c.ready(); err != nil {
		return EventQuery{}, err
	}
	if c.view && f.OrganizationID == uuid.Nil {
		f.OrganizationID = c.scope.OrganizationID
	}
	if f.OrganizationID != uuid.Nil {
		if err := c.sees(f.OrganizationID); err != nil {
			return EventQuery{}, err
		}
	}
	if c.scope.OwnerID != "" {
		if f.SubjectID == uuid.Nil {
			return EventQuery{}, invalid("SubjectID", "is missing: the view of one owner sees the events of one key at a time")
		}
		if _, err := c.getRecord(ctx, f.SubjectID); err != nil {
			return EventQuery{}, err
		}
	}
	return EventQuery{Scope: Scope{OrganizationID: f.OrganizationID}, SubjectID: f.SubjectID}, nil
}

func (c *core) readEvents(ctx context.Context, q EventQuery) ([]EventRecord, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	records, err := c.store.ListEvents(ctx, q)
	return records, storeError("list events", err)
}

// eventOf gives a record its public form.
func eventOf(r EventRecord) (Event, error) {
	e := Event{
		ID: r.ID, At: r.At, Actor: r.Actor, Action: r.Action,
		OrganizationID: r.OrganizationID, Kind: r.Kind, SubjectID: r.SubjectID,
	}
	if len(r.Detail) == 0 {
		return e, nil
	}
	d := json.NewDecoder(bytes.NewReader(r.Detail))
	d.UseNumber()
	if err := d.Decode(&e.Detail); err != nil {
		return Event{}, storeError("read event", errors.New("its detail is not the JSON that was stored"))
	}
	e.Before, e.After = part(e.Detail, "before"), part(e.Detail, "after")
	if len(e.Detail) == 0 {
		e.Detail = nil
	}
	return e, nil
}

// part takes a member out of an event's detail; nil if there is nothing in it.
func part(detail map[string]any, name string) map[string]any {
	members, ok := detail[name].(map[string]any)
	if ok {
		delete(detail, name)
	}
	if len(members) == 0 {
		return nil
	}
	return members
}
