package pythonsdk

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// The statements, which all three databases understand.
const (
	queryOrganizations = `SELECT id, name FROM organizations ORDER BY created_at, id`
	queryProjects      = `SELECT id, name, org_id FROM projects ORDER BY created_at, id`
	queryProducts      = `SELECT id, name, org_id FROM products ORDER BY created_at, id`
	queryLinks         = `SELECT project_id, product_id FROM project_products ORDER BY project_id, product_id`
	queryKeys          = `
SELECT id, org_id, project_id, product_id, key_prefix, key_hash, metadata, revoked_at, last_used_at, use_count, created_at
  FROM api_keys ORDER BY created_at, id`
)

// resource is an organization, a project or a product.
type resource struct {
	id, organization uuid.UUID
	name             string
}

// keyRow is a row of api_keys; err says what could not be read of it.
type keyRow struct {
	id, organization, project, product uuid.UUID
	prefix, hash, metadata             string
	revoked, lastUsed, created         time.Time
	uses                               int64
	err                                error
}

// each does something with every row of a query. Rows are not held in memory.
func each[T any](ctx context.Context, m *move, table string, read func(*scanner) T, query string, do func(T) error) error {
	rows, err := m.from.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("pythonsdk: read %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		s := scanner{rows: rows}
		row := read(&s)
		if s.fault != nil {
			return fmt.Errorf("pythonsdk: read %s: %w", table, s.fault)
		}
		if err := do(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("pythonsdk: read %s: %w", table, err)
	}
	return nil
}

// scanner reads the values of a row, whatever the driver makes of their types.
type scanner struct {
	rows   *sql.Rows
	values []any
	fault  error // of the query
	wrong  error // of a value: the first
}

func (s *scanner) scan(n int) {
	s.values = make([]any, n)
	targets := make([]any, n)
	for i := range s.values {
		targets[i] = &s.values[i]
	}
	s.fault = s.rows.Scan(targets...)
}

func (s *scanner) refuse(field, reason string) {
	if s.wrong == nil {
		s.wrong = wrong(field, reason)
	}
}

func (s *scanner) text(i int) string {
	switch v := s.values[i].(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

// id reads 32 hexadecimal digits, with hyphens or without, or 16 bytes. NULL is uuid.Nil.
func (s *scanner) id(i int, field string) uuid.UUID {
	if s.values[i] == nil {
		return uuid.Nil
	}
	text := s.text(i)
	id, err := uuid.Parse(text)
	if err != nil && len(text) == len(id) {
		id, err = uuid.FromBytes([]byte(text))
	}
	if err != nil {
		s.refuse(field, "is not a UUID")
	}
	return id
}

// time reads a time, or text that is one. NULL is the zero time.
func (s *scanner) time(i int, field string) time.Time {
	switch v := s.values[i].(type) {
	case nil:
		return time.Time{}
	case time.Time:
		return v.UTC()
	default:
		t, err := parseTime(s.text(i))
		if err != nil {
			s.refuse(field, "is not a time")
		}
		return t
	}
}

func (s *scanner) number(i int, field string) int64 {
	n, err := strconv.ParseInt(s.text(i), 10, 64)
	if err != nil {
		s.refuse(field, "is not a number")
	}
	return n
}

func readOrganization(s *scanner) (r resource) {
	if s.scan(2); s.fault == nil {
		r = resource{id: s.id(0, "id"), name: s.text(1)}
		s.fault = s.wrong
	}
	return r
}

func readOwned(s *scanner) (r resource) {
	if s.scan(3); s.fault == nil {
		r = resource{id: s.id(0, "id"), name: s.text(1), organization: s.id(2, "org_id")}
		s.fault = s.wrong
	}
	return r
}

func readLink(s *scanner) (l link) {
	if s.scan(2); s.fault == nil {
		l = link{project: s.id(0, "project_id"), product: s.id(1, "product_id")}
		s.fault = s.wrong
	}
	return l
}

func readKey(s *scanner) (k keyRow) {
	if s.scan(11); s.fault != nil {
		return k
	}
	k = keyRow{
		id: s.id(0, "ForeignID"), organization: s.id(1, "OrganizationID"), project: s.id(2, "ProjectID"), product: s.id(3, "ProductID"),
		prefix: s.text(4), hash: s.text(5), metadata: s.text(6),
		revoked: s.time(7, "RevokedAt"), lastUsed: s.time(8, "LastUsedAt"), uses: s.number(9, "UseCount"), created: s.time(10, "CreatedAt"),
	}
	switch {
	case s.wrong != nil:
		k.err = s.wrong
	case k.organization == uuid.Nil:
		k.err = &apikeys.NotFoundError{Kind: apikeys.KindOrganization}
	case k.created.IsZero():
		k.err = wrong("CreatedAt", "is missing")
	}
	return k
}
