package apikeys

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// A remembered key takes four cache lines beside its record: what the cache looks at,
// what a request looks at, what it writes, and the rest.
func TestARememberedKeyIsLaidOutForCacheLines(t *testing.T) {
	t.Parallel()
	if strconv.IntSize != 64 {
		t.Skip("words are of another size")
	}
	const line = 64
	entry, value := reflect.TypeFor[keycache.Entry[known]](), reflect.TypeFor[known]()
	at, _ := entry.FieldByName("Value")
	own, _ := value.FieldByName("own")
	if entry.Size() > 4*line || at.Offset != line || own.Offset != line {
		t.Errorf("an entry of %d bytes, its value at %d, and there at %d what each use writes", entry.Size(), at.Offset, own.Offset)
	}
}

func TestKeysWithTheSameScopesShareAList(t *testing.T) {
	t.Parallel()
	var lists scopeLists
	first := lists.share([]string{"read", "write"})
	again, other := lists.share([]string{"read", "write"}), lists.share([]string{"read write"})
	if &first[0] != &again[0] || len(again) != 2 || again[0] != "read" || again[1] != "write" {
		t.Errorf("got %q, want the list that was there", again)
	}
	if len(other) != 1 || other[0] != "read write" || lists.share(nil) != nil {
		t.Errorf("got %q of another key, want its own", other)
	}
	for i := range 1000 { // many more than are remembered
		own := strconv.Itoa(i)
		if got := lists.share([]string{own}); len(got) != 1 || got[0] != own {
			t.Fatalf("got %q, want %q", got, own)
		}
	}
}
