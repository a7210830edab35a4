package main

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// From many connections at once, a key gets exactly what its limit says; each
// refusal is a 429 that tells truly when to come back, and counts as no use. The
// full dose is wrk with limit.lua, see docs/http.md.
func TestLimitIsExact(t *testing.T) {
	const limit, connections, each = 300, 8, 100
	s := start(t)
	for { // a window may end meanwhile
		hour := time.Now().Truncate(time.Hour)
		_, key := s.newKey("300/hour")
		accepted := s.storm(key, connections, each)
		if !time.Now().Truncate(time.Hour).Equal(hour) {
			s.post("/organizations", url.Values{"name": {hour.String()}})
			continue
		}
		if accepted != limit {
			t.Errorf("%d requests of %d were accepted, want %d", accepted, connections*each, limit)
		}
		_, _, who := s.send("GET", "/v1/whoami", "", withKey(key))
		if got := s.find(who, `"use_count":(\d+)`); got != strconv.Itoa(limit) {
			t.Errorf("%s uses were counted, want %d", got, limit)
		}
		return
	}
}

// storm sends requests on several connections at once and returns how many were accepted.
func (s *server) storm(key string, connections, each int) int {
	var wg sync.WaitGroup
	accepted := make([]int, connections)
	for i := range connections {
		wg.Go(func() {
			for range each {
				asked := time.Now()
				status, header, _ := s.send("GET", "/hello", "", withKey(key))
				switch status {
				case http.StatusOK:
					accepted[i]++
				case http.StatusTooManyRequests:
					s.truth(header, asked)
				default:
					s.t.Errorf("got status %d", status)
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range accepted {
		sum += n
	}
	return sum
}

// truth holds Retry-After against the end of the hour in which the answer was asked for.
// The refusal itself may be a millisecond older, and so a second more.
func (s *server) truth(header http.Header, asked time.Time) {
	ends := asked.Truncate(time.Hour).Add(time.Hour)
	left := time.Until(ends)
	if left <= 0 {
		return // the storm is repeated
	}
	least, most := int(left.Seconds()), int(ends.Sub(asked).Seconds())+2
	if got, err := strconv.Atoi(header.Get("Retry-After")); err != nil || got < least || got > most {
		s.t.Errorf("got Retry-After %q, want %d to %d", header.Get("Retry-After"), least, most)
	}
}
