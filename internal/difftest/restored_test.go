package difftest_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// After a backup was restored the same revision is another change. A client that has seen
// the number notices by the stamp, and believes nothing that it remembers.
func TestARestoredBackupReissuesARevision(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			dsn := d.Empty(t)
			newClient := func() *apikeys.Client { return clientOn(t, d, dsn) }
			client, operator := newClient(), newClient()
			ctx := t.Context()
			org, err := operator.CreateOrganization(ctx, "Acme")
			if err != nil {
				t.Fatal(err)
			}
			var keys [2]*apikeys.IssuedKey
			for i := range keys {
				if keys[i], err = operator.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org.ID}); err != nil {
					t.Fatal(err)
				}
			}
			history := newBackup(t, d.Name, dsn)
			if _, err := operator.RevokeKey(ctx, keys[0].Key.ID, apikeys.RevokeParams{}); err != nil {
				t.Fatal(err)
			}
			verify := func() error {
				_, err := client.Verify(ctx, keys[1].Plaintext.Reveal())
				return err
			}
			until(t, "the client knows the change that the backup does not have", func() bool {
				if err := verify(); err != nil {
					t.Fatal(err)
				}
				return client.Stats().Revision == 1
			})
			history.restore(t)
			// Another process, after the restore.
			if _, err := newClient().RevokeKey(ctx, keys[1].Key.ID, apikeys.RevokeParams{}); err != nil {
				t.Fatal(err)
			}
			// A load may see the revocation before a look does, and a look what was restored
			// before there is one.
			until(t, "the key is refused, and the client knows why", func() bool {
				refused, s := errors.Is(verify(), apikeys.ErrRevokedKey), client.Stats()
				return refused && s.Resets > 0 && s.Revision == 1
			})
			if resets := client.Stats().Resets; resets != 1 {
				t.Errorf("got %d resets, want one", resets)
			}
		})
	}
}

func clientOn(t *testing.T, d stores.Database, dsn string) *apikeys.Client {
	t.Helper()
	s, err := d.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := apikeys.New(t.Context(), s, apikeys.Config{
		SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), RevocationDelay: 100 * time.Millisecond,
		OpTimeout: time.Minute, // the machine may be busy
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// until waits for what takes a delay or two.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// backup is one of the history, in the database itself.
type backup struct{ db *sql.DB }

func newBackup(t *testing.T, database, dsn string) backup {
	t.Helper()
	b := backup{stores.SQL(t, database, dsn)}
	b.exec(t, "CREATE TABLE saved_state AS SELECT * FROM apikeys_state", "CREATE TABLE saved_changes AS SELECT * FROM apikeys_changes")
	return b
}

func (b backup) restore(t *testing.T) {
	t.Helper()
	b.exec(t,
		"DELETE FROM apikeys_state", "INSERT INTO apikeys_state SELECT * FROM saved_state",
		"DELETE FROM apikeys_changes", "INSERT INTO apikeys_changes SELECT * FROM saved_changes")
}

func (b backup) exec(t *testing.T, statements ...string) {
	t.Helper()
	tx, err := b.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, s := range statements {
		if _, err := tx.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
