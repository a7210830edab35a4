package sqlstore

import (
	"time"

	"github.com/apikeys-platform/apikeys"
)

// windowID names a row of windows.
type windowID struct {
	subject apikeys.Subject
	span    int64 // seconds
}

// window is a row of windows: what was used of the window that starts then. The
// zero value stands for a row that is not there.
type window struct {
	starts  int64 // seconds since the Unix epoch
	used    int64
	changed bool // differs from what is stored
	moved   bool // starts differs too
}

// grant decides one request on locked rows, and changes the rows that it charges.
// Nothing here knows of a database: requests are decided one after the other on the
// same rows, so that what one was granted the next one finds used.
func grant(rows map[windowID]window, r apikeys.LeaseRequest, now time.Time) apikeys.LeaseGrant {
	g := apikeys.LeaseGrant{Now: now, Parts: make([]apikeys.GrantedPart, len(r.Parts))}
	short := false
	for i, part := range r.Parts {
		g.Parts[i] = offer(rows[windowID{r.Subject, int64(part.Limit.Window)}], part, now)
		short = short || g.Parts[i].Granted < part.Want
	}
	for i, part := range r.Parts {
		p := &g.Parts[i]
		if r.AllOrNothing && short {
			p.Granted = 0
		}
		if p.Granted > 0 {
			p.Used += p.Granted
			id, start := windowID{r.Subject, int64(part.Limit.Window)}, p.Start.Unix()
			rows[id] = window{start, p.Used, true, rows[id].moved || rows[id].starts != start}
		}
	}
	return g
}

// offer is what a window has for a part, before it is charged.
func offer(w window, part apikeys.LeasePart, now time.Time) apikeys.GrantedPart {
	start := part.Limit.Window.Start(now)
	p := apikeys.GrantedPart{Start: start}
	span := int64(part.Limit.Window)
	switch w.starts - start.Unix() {
	case 0:
		p.Used = w.used
	case span:
		// The next window was opened already: this clock is behind. What is
		// written of the next one stays, and this one is over.
		p.Used = part.Limit.Requests
	default:
		// An older window makes room. One that lies a whole window or more ahead
		// was opened by a clock gone wrong, and would else stay closed until then.
	}
	p.Granted = max(0, min(part.Want, part.Limit.Requests-p.Used))
	return p
}
