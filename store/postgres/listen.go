package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys"
)

var _ apikeys.NotifyingStore = (*Store)(nil)

// channel is what changes are told on.
const channel = "apikeys_changes"

// hangUpPatience bounds the farewell of a connection that listens.
const hangUpPatience = time.Second

// errPooler says that LISTEN would be lost: it belongs to a session, and the pooler gives
// the session to somebody else after the next statement. Notifications would then reach
// whoever has it, and be kept by a driver that nobody asks for them.
var errPooler = fmt.Errorf("postgres: the connections go through a pooler, behind which LISTEN may not work: %w", errors.ErrUnsupported)

// Listen implements [apikeys.NotifyingStore], with LISTEN on a connection of its own: it
// is made as those of the pool are, and is none of them. Behind a pooler such as
// PgBouncer it is [errors.ErrUnsupported].
func (s *Store) Listen(ctx context.Context, told func()) error {
	conn, err := s.connectAlone(ctx)
	if err != nil {
		return connectError(ctx, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpPatience)
		defer cancel()
		_ = conn.Close(ctx) // the server notices
	}()
	if err := s.listen(ctx, conn, told); ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

func (s *Store) listen(ctx context.Context, conn *pgx.Conn, told func()) error {
	direct, err := isDirect(ctx, conn)
	if err != nil {
		return dialect{}.Fault(err)
	}
	if !direct {
		return errPooler
	}
	if _, err := conn.PgConn().Exec(ctx, "LISTEN "+channel).ReadAll(); err != nil {
		return dialect{}.Fault(err)
	}
	told() // of what changed before we listened
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return dialect{}.Fault(err)
		}
		told()
	}
}

// isDirect tells whether the server that answers is the one that we connected to: a
// pooler makes up the process number that a client is told for cancelling.
func isDirect(ctx context.Context, conn *pgx.Conn) (bool, error) {
	results, err := conn.PgConn().Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return false, err
	}
	return string(results[0].Rows[0][0]) == strconv.FormatUint(uint64(conn.PgConn().PID()), 10), nil
}

// connectAlone makes a connection as the pool does, and keeps it out of the pool.
func (s *Store) connectAlone(ctx context.Context) (*pgx.Conn, error) {
	pool := s.db.pool.Config()
	config := pool.ConnConfig
	config.OnNotification = nil // the host's own
	if config.ConnectTimeout <= 0 {
		config.ConnectTimeout = connectPatience
	}
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, config); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil || pool.AfterConnect == nil {
		return conn, err
	}
	if err := pool.AfterConnect(ctx, conn); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}
