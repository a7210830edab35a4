package memstore_test

import (
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
	"github.com/apikeys-platform/apikeys/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) apikeys.Store { return memstore.New() })
}
