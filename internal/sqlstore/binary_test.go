package sqlstore_test

import (
	"database/sql"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

func scanInto(t *testing.T, dest, src any) error {
	t.Helper()
	return dest.(sql.Scanner).Scan(src)
}

func TestBinaryTimes(t *testing.T) {
	t.Parallel()
	var d sqlstore.Binary
	at := time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.FixedZone("", 3600))
	for name, tc := range map[string]struct {
		arg  any
		want time.Time
	}{
		"required":      {d.Time(at), at},
		"nullable":      {d.NullTime(at), at},
		"never":         {d.NullTime(time.Time{}), time.Time{}},
		"zero":          {d.Time(time.Time{}), time.Time{}},
		"before 1970":   {d.Time(time.UnixMicro(-1)), time.UnixMicro(-1)},
		"a far future":  {d.Time(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
		"an exact hour": {d.Time(at.Truncate(time.Hour)), at.Truncate(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := time.Now()
			if err := scanInto(t, d.ScanTime(&got), tc.arg); err != nil {
				t.Fatal(err)
			}
			if !got.Equal(tc.want) || got.Location() != time.UTC {
				t.Errorf("got %v, want %v in UTC", got, tc.want)
			}
		})
	}
}

func TestBinaryIDsAndHashes(t *testing.T) {
	t.Parallel()
	var d sqlstore.Binary
	want := uuid.New()
	for _, arg := range []any{d.ID(want), d.NullID(want)} {
		var got uuid.UUID
		if err := scanInto(t, d.ScanID(&got), arg); err != nil || got != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	got := want
	if err := scanInto(t, d.ScanID(&got), d.NullID(uuid.Nil)); err != nil || got != uuid.Nil {
		t.Errorf("NULL: got %v, %v, want %v", got, err, uuid.Nil)
	}
	hash := [32]byte{1, 2, 31: 3}
	var read [32]byte
	if err := scanInto(t, d.ScanHash(&read), d.Hash(hash)); err != nil || read != hash {
		t.Errorf("got another hash, %v", err)
	}
	for what, src := range map[string]any{"short": []byte{1, 2}, "long": make([]byte, 33), "text": "topsecret", "number": int64(1)} {
		if err := scanInto(t, d.ScanHash(&read), src); err == nil {
			t.Errorf("%s: got no error", what)
		}
	}
}

func TestBinaryJSONIsCopied(t *testing.T) {
	t.Parallel()
	var d sqlstore.Binary
	buffer := []byte(`{"a":1}`)
	var got []byte
	if err := scanInto(t, d.ScanJSON(&got), buffer); err != nil {
		t.Fatal(err)
	}
	buffer[2] = 'b'
	if string(got) != `{"a":1}` {
		t.Errorf("got %s: the driver's buffer was kept", got)
	}
	if _, ok := d.JSON(json.RawMessage(`{}`)).(string); !ok {
		t.Error("JSON is given as bytes, which SQLite stores as a BLOB")
	}
}

func TestBinaryLists(t *testing.T) {
	t.Parallel()
	var d sqlstore.Binary
	for name, tc := range map[string]struct{ got, want any }{
		"none": {d.IDs(nil), "[]"},
		"one":  {d.IDs([]uuid.UUID{{0xab, 15: 1}}), `["ab000000000000000000000000000001"]`},
		"two":  {d.IDs([]uuid.UUID{{}, uuid.Max}), `["00000000000000000000000000000000","ffffffffffffffffffffffffffffffff"]`},
		"hash": {d.Hashes([][32]byte{{31: 9}}), `["0000000000000000000000000000000000000000000000000000000000000009"]`},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
}
