package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/token"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// endless is a store in which every hash is that of a key.
type endless struct {
	*sqlite.Store
	custom json.RawMessage
	mu     sync.Mutex
	signer string // the id of the signing secret
	shield [][]byte
}

func newEndless(ctx context.Context) (*endless, error) {
	db, err := sqlite.Open(ctx, ":memory:")
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(custom())
	if err != nil {
		return nil, err
	}
	return &endless{Store: db, custom: text}, db.Migrate(ctx)
}

// EnsureSettings keeps what a key is made with.
func (e *endless) EnsureSettings(ctx context.Context, proposed apikeys.SettingsRecord) (apikeys.SettingsRecord, error) {
	s, err := e.Store.EnsureSettings(ctx, proposed)
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.shield, e.signer = s.ShieldKeys, s.Canaries[0].SigningID
	}
	return s, err
}

// KeysByHash makes a key for each hash.
func (e *endless) KeysByHash(_ context.Context, hashes []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	records := make([]apikeys.KeyRecord, len(hashes))
	for i, h := range hashes {
		id := uuid.New()
		records[i] = apikeys.KeyRecord{
			ID: id, OrganizationID: uuid.UUID{1}, OwnerID: "owner-" + id.String()[:8], Head: "sk", Name: "key " + id.String()[:8],
			Scopes: []string{"docs:read", "docs:write"},
			Custom: append(json.RawMessage(nil), e.custom...), Version: 1,
			Secret: apikeys.SecretRecord{KeyID: id, Number: 1, Hash: h, SigningID: e.signer},
		}
	}
	return records, nil
}

// memory measures what remembered keys take, and that keys beyond the size of the
// cache take no more.
func memory(ctx context.Context, c config) error {
	store, err := newEndless(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	empty := heap()
	client, err := newClient(ctx, store, nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	tagger, err := token.NewTagger(store.shield)
	if err != nil {
		return err
	}
	params := apikeys.ValidateParams{SkipRateLimit: true, SkipUsage: true} // those have bounds of their own
	use := func(n int) error {
		for range n {
			if _, err := client.Validate(ctx, tagger.New("sk"), params); err != nil {
				return err
			}
		}
		return nil
	}
	if err := use(c.memory); err != nil {
		return err
	}
	full := heap() - empty
	cached := client.Stats().Cached
	if err := use(c.scan); err != nil {
		return err
	}
	after, then := heap()-empty, client.Stats().Cached
	c.table.add(fmt.Sprintf("memory of %d remembered keys with %d bytes of custom data", cached, len(store.custom)),
		megabytes(full), "≤ 120 MB")
	c.table.add(fmt.Sprintf("… after a scan of %d other keys, %d remembered", c.scan, then), megabytes(after), "the same")
	return nil
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func megabytes(n uint64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
