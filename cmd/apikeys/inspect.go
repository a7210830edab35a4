package main

import (
	"strconv"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// secretDocument is one of the secrets that a key has or had.
type secretDocument struct {
	Number     int        `json:"number"` // 1 is the first
	Hint       string     `json:"hint"`
	CreatedAt  time.Time  `json:"created_at"`
	EndsAt     *time.Time `json:"ends_at"` // null: as long as the key
	LastUsedAt *time.Time `json:"last_used_at"`
}

// inspection is a key and its secrets.
type inspection struct {
	keyDocument
	Secrets []secretDocument `json:"secrets"`
}

func (a *app) showKey(key *apikeys.Key, secrets []apikeys.KeySecret) error {
	document := inspection{a.keyDocument(key), mapped(secrets, func(s *apikeys.KeySecret) secretDocument {
		return secretDocument{s.Number, s.Hint, s.CreatedAt, timeOrNull(s.EndsAt), timeOrNull(s.LastUsedAt)}
	})}
	return a.show(document, func(t *table) {
		a.keyFacts(t, key)
		t.gap()
		t.row("SECRET", "HINT", "CREATED", "ENDS", "LAST USED")
		for _, s := range secrets {
			t.row(strconv.Itoa(s.Number), s.Hint, timeText(s.CreatedAt), orText(timeText(s.EndsAt), "with the key"), orText(timeText(s.LastUsedAt), "never"))
		}
	})
}
