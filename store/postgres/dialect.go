package postgres

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// dialect is Postgres's. Every value is of a type that pgx can encode without asking
// the server what is expected, as text and as binary: so the statements work in all
// of its query exec modes.
type dialect struct{}

var _ sqlstore.Dialect = dialect{}

func (dialect) ID(id uuid.UUID) any { return pgtype.UUID{Bytes: id, Valid: true} }

func (dialect) NullID(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return pgtype.UUID{Bytes: id, Valid: true}
}

func (dialect) Hash(h [32]byte) any { return h[:] }

func (dialect) Time(t time.Time) any { return t.UTC() }

func (dialect) NullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}

func (dialect) JSON(text json.RawMessage) any { return string(text) }

func (dialect) IDs(ids []uuid.UUID) any {
	list := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		list[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return list
}

func (dialect) Hashes(list [][32]byte) any {
	all := make([][]byte, len(list))
	for i := range list {
		all[i] = list[i][:]
	}
	return all
}

func (dialect) Numbers(list []int64) any { return list }

func (dialect) ScanID(id *uuid.UUID) any  { return (*scanID)(id) }
func (dialect) ScanHash(h *[32]byte) any  { return (*scanHash)(h) }
func (dialect) ScanTime(t *time.Time) any { return (*scanTime)(t) }
func (dialect) ScanJSON(text *[]byte) any { return text }

type (
	scanID   uuid.UUID
	scanHash [32]byte
	scanTime time.Time
)

// ScanUUID implements pgtype.UUIDScanner.
func (id *scanID) ScanUUID(v pgtype.UUID) error {
	*id = scanID{} // NULL
	if v.Valid {
		*id = v.Bytes
	}
	return nil
}

// ScanBytes implements pgtype.BytesScanner. The bytes are the driver's own. The
// error does not tell the value.
func (h *scanHash) ScanBytes(b []byte) error {
	switch len(b) {
	case 0:
		*h = scanHash{} // NULL
	case len(h):
		copy(h[:], b)
	default:
		return errHashLength
	}
	return nil
}

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *scanTime) ScanTimestamptz(v pgtype.Timestamptz) error {
	switch {
	case !v.Valid:
		*t = scanTime{}
	case v.InfinityModifier != pgtype.Finite:
		return errInfinity
	default:
		*t = scanTime(v.Time.UTC())
	}
	return nil
}
