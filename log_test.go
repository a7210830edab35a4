package apikeys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// hostileText forges a line of a log, colours it, turns it round, and is no UTF-8.
const hostileText = "x\r\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\ntime=0 level=ERROR msg=forged \"quoted\" \u2028\u2029\u202e\x1b[31m\x00\x7f\u009b\xff"

// babbling is a store whose every error has the hostile text.
type babbling struct {
	*memstore.Store
	broken  atomic.Bool
	listens atomic.Int64
	folds   atomic.Int64
}

func (s *babbling) fault() error {
	if s.broken.Load() {
		return errors.New(hostileText)
	}
	return nil
}

func (s *babbling) Listen(context.Context, func()) error {
	if s.listens.Add(1) == 1 {
		return errors.New(hostileText)
	}
	return fmt.Errorf("%s: %w", hostileText, errors.ErrUnsupported)
}

func (s *babbling) Changes(ctx context.Context, m apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	if err := s.fault(); err != nil {
		return apikeys.ChangeSet{}, err
	}
	return s.Store.Changes(ctx, m)
}

func (s *babbling) AddHash(ctx context.Context, r apikeys.SecretRecord) error {
	return errors.Join(s.fault(), s.Store.AddHash(ctx, r))
}

func (s *babbling) AddUsage(ctx context.Context, b apikeys.UsageBatch) error {
	if err := s.fault(); err != nil {
		return err
	}
	return s.Store.AddUsage(ctx, b)
}

func (s *babbling) ListEvents(ctx context.Context, q apikeys.EventQuery) ([]apikeys.EventRecord, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	return s.Store.ListEvents(ctx, q)
}

func (s *babbling) FoldUsage(ctx context.Context) error {
	switch s.folds.Add(1) {
	case 1:
		return errors.New(hostileText)
	case 2:
		panic(hostileText)
	}
	return s.Store.FoldUsage(ctx)
}

func (s *babbling) Sweep(context.Context, apikeys.SweepParams) (int, error) { panic(hostileText) }

// journal is what was logged, as text and as JSON.
type journal struct {
	mu         sync.Mutex
	text, json bytes.Buffer
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewMultiHandler(slog.NewTextHandler(locked{j, &j.text}, nil), slog.NewJSONHandler(locked{j, &j.json}, nil)))
}

type locked struct {
	*journal
	to *bytes.Buffer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}

// Whatever the database says, and whatever is presented, named and given as a reason,
// each line of the log is one record, and what is in it is printable.
func TestLogLinesAreInert(t *testing.T) {
	t.Parallel()
	var lines journal
	synctest.Test(t, func(t *testing.T) { babble(t, &lines) })
	messages := map[string]bool{}
	for line := range strings.Lines(lines.json.String()) {
		var record struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || !printable(line) {
			t.Errorf("got the line %q", line)
		}
		messages[record.Msg] = true
	}
	for line := range strings.Lines(lines.text.String()) {
		if !strings.HasPrefix(line, "time=2") || !printable(line) {
			t.Errorf("got the line %q", line)
		}
	}
	if a, b := strings.Count(lines.text.String(), "\n"), strings.Count(lines.json.String(), "\n"); a != b {
		t.Errorf("got %d lines of text for %d records", a, b)
	}
	for _, message := range logged(t) {
		if !messages[message] {
			t.Errorf("never logged: %q: the test does not show what becomes of it", message)
		}
	}
}

func printable(line string) bool {
	return !strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}

// logged are the messages that the package may log.
func logged(t *testing.T) (messages []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source := must(os.ReadFile(file))(t)
		for _, found := range regexp.MustCompile(`\.log\.\w+\((?:[\w.]+, )?"([^"]*)"`).FindAllStringSubmatch(string(source), -1) {
			messages = append(messages, found[1])
		}
	}
	if len(messages) < 10 {
		t.Fatalf("found %d messages in the source, want all", len(messages))
	}
	return messages
}

// babble leads a client through everything that it logs.
func babble(t *testing.T, lines *journal) {
	t.Helper()
	ctx, store := t.Context(), &babbling{Store: memstore.New()}
	client := func(s apikeys.Store, configure func(*apikeys.Config)) *apikeys.Client {
		config := apikeys.Config{SigningSecret: apikeys.NewSecret(secretOfTests)}
		configure(&config)
		c := must(apikeys.New(ctx, s, config))(t)
		t.Cleanup(func() { _ = c.Close(context.WithoutCancel(ctx)) })
		return c
	}
	accepting := func(signing, accepted string) func(*apikeys.Config) {
		return func(c *apikeys.Config) {
			c.SigningSecret, c.AcceptedSecrets = apikeys.NewSecret(signing), []apikeys.Secret{apikeys.NewSecret(accepted)}
		}
	}
	client(store.Store, func(*apikeys.Config) {})
	other := client(store.Store, accepting(otherSecret, secretOfTests))
	org := must(other.CreateOrganization(ctx, "Acme"))(t).ID
	exact := client(store, func(c *apikeys.Config) {
		accepting(secretOfTests, otherSecret)(c)
		c.Logger, c.RevocationDelay, c.UsageFlushInterval, c.RateLimiter = lines.logger(), -1, -1, apikeys.NewExactLimiter(store)
	})
	limited := issue(t, exact, apikeys.CreateKeyParams{OrganizationID: org, Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(10)}}})
	must(exact.Validate(ctx, limited.Plaintext.Reveal(), apikeys.ValidateParams{}))(t) // its use is not added up, twice
	time.Sleep(time.Minute)
	if err := exact.DeleteKey(ctx, limited.Key.ID); err != nil {
		t.Fatal(err)
	}

	c := client(store, func(c *apikeys.Config) {
		accepting(secretOfTests, otherSecret)(c)
		c.Logger, c.OnEvent = lines.logger(), func(apikeys.Event) { panic(hostileText) }
	})
	key := issue(t, other, apikeys.CreateKeyParams{OrganizationID: org, Metadata: apikeys.KeyMetadata{Custom: map[string]any{hostileText[:20]: "\r\n"}}})

	store.broken.Store(true)
	_, _ = c.Verify(ctx, key.Plaintext.Reveal()) // the hash under another secret is not stored, the use not counted
	_, _ = c.Verify(ctx, hostileText)
	_, _ = c.CreateOrganization(ctx, hostileText)
	_, _ = c.CreateOrganization(apikeys.ContextWithActor(ctx, hostileText), "Globex") // its event is not read
	_, _ = c.RevokeKey(ctx, key.Key.ID, apikeys.RevokeParams{Reason: hostileText})
	for range 10 { // looks at what changed fail, in the background
		_, _ = c.Verify(ctx, key.Plaintext.Reveal())
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(2 * time.Hour) // old rows are not removed
	store.broken.Store(false)
	must(c.CreateOrganization(ctx, "Initech"))(t) // the hook panics, and the sweep after it
	must(other.RetireSecret(ctx, apikeys.RetireSecretParams{ID: apikeys.NewSecret(secretOfTests).ID()}))(t)
	time.Sleep(time.Hour)
	must(c.GetOrganization(ctx, org))(t)
	_, _ = c.Verify(ctx, key.Plaintext.Reveal())
	time.Sleep(time.Hour)
	synctest.Wait()
}
