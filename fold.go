package apikeys

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// foldInterval is about how often a client adds up the uses that its store has noted
// (see Store.FoldUsage). Reads do not wait for it: they add up first. It bounds how much
// they find to do, and how long the notes become.
const foldInterval = 2 * time.Second

// folder adds up noted uses in the background.
type folder struct {
	noted atomic.Bool // since it was last done
	end   context.CancelFunc
	ended chan struct{}
}

func (c *core) startFolding() {
	if c.admissions == nil {
		return
	}
	ctx, end := context.WithCancel(context.Background())
	f := &folder{end: end, ended: make(chan struct{})}
	c.folder = f
	go func() {
		defer close(f.ended)
		for wait(ctx, jitter(foldInterval)) {
			if f.noted.Swap(false) {
				c.foldOnce(ctx)
			}
		}
	}()
}

// foldOnce survives a panic of the store. What could not be added up stays noted.
func (c *core) foldOnce(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			c.folder.noted.Store(true)
			c.log.ErrorContext(ctx, "apikeys: adding up uses panicked", "type", fmt.Sprintf("%T", v))
		}
	}()
	if err := c.fold(ctx); err != nil && !errors.Is(err, context.Canceled) {
		c.folder.noted.Store(true)
		c.log.WarnContext(ctx, "apikeys: uses not added up yet; they are noted, and the next attempt counts them", "error", inert{err})
	}
}

func (c *core) fold(ctx context.Context) error {
	ctx, cancel := c.call(ctx)
	defer cancel()
	return storeError("add up uses", c.store.FoldUsage(ctx))
}

// closeFolding ends the background and leaves nothing noted by this client, if ctx
// allows; what it leaves, the next one who reads counts adds up.
func (c *core) closeFolding(ctx context.Context) error {
	if c.folder == nil {
		return nil
	}
	c.folder.end()
	select {
	case <-c.folder.ended:
	case <-ctx.Done():
		return storeError("add up uses", ctx.Err())
	}
	return c.fold(ctx)
}
