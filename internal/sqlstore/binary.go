package sqlstore

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Binary is the part of a Dialect that SQLite and MySQL have in common: ids of 16
// bytes, times as microseconds since the Unix epoch, JSON as text, and lists as a
// JSON array of hexadecimal texts.
type Binary struct{}

func (Binary) ID(id uuid.UUID) any { return id[:] }

func (Binary) NullID(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id[:]
}

func (Binary) Hash(h [32]byte) any { return h[:] }

func (Binary) Time(t time.Time) any { return t.UnixMicro() }

func (Binary) NullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func (Binary) JSON(text json.RawMessage) any { return string(text) }

func (Binary) IDs(ids []uuid.UUID) any {
	return hexList(ids, func(id uuid.UUID) []byte { return id[:] })
}

func (Binary) Hashes(list [][32]byte) any {
	return hexList(list, func(h [32]byte) []byte { return h[:] })
}

// Numbers is [1,2,…].
func (Binary) Numbers(list []int64) any {
	text := make([]byte, 0, 2+len(list)*8)
	text = append(text, '[')
	for i, n := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return string(append(text, ']'))
}

// hexList returns ["00ff…", …].
func hexList[T any](list []T, bytes func(T) []byte) string {
	text := make([]byte, 0, 2+len(list)*67)
	text = append(text, '[')
	for i, v := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '"')
		text = hex.AppendEncode(text, bytes(v))
		text = append(text, '"')
	}
	return string(append(text, ']'))
}

func (Binary) ScanID(id *uuid.UUID) any  { return (*binaryID)(id) }
func (Binary) ScanHash(h *[32]byte) any  { return (*binaryHash)(h) }
func (Binary) ScanTime(t *time.Time) any { return (*microTime)(t) }
func (Binary) ScanJSON(text *[]byte) any { return (*jsonText)(text) }

type (
	binaryID   uuid.UUID
	binaryHash [32]byte
	microTime  time.Time
	jsonText   []byte
)

func (id *binaryID) Scan(src any) error  { return scanBytes(id[:], src) }
func (h *binaryHash) Scan(src any) error { return scanBytes(h[:], src) }

// scanBytes fills dst, with zeros for NULL. The error does not tell the value.
func scanBytes(dst []byte, src any) error {
	switch b := src.(type) {
	case nil:
		clear(dst)
		return nil
	case []byte:
		if len(b) == len(dst) {
			copy(dst, b)
			return nil
		}
	}
	return problem("sqlstore: a column of bytes has another type or length")
}

func (t *microTime) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = microTime{}
	case int64:
		*t = microTime(time.UnixMicro(v).UTC())
	default:
		return problem("sqlstore: a column of times is not an integer")
	}
	return nil
}

func (j *jsonText) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*j = nil
	case string:
		*j = jsonText(v)
	case []byte:
		*j = append(jsonText(nil), v...) // the driver's own until the next row
	default:
		return problem("sqlstore: a column of JSON is not text")
	}
	return nil
}
