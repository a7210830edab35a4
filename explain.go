package apikeys

import (
	"context"
	"errors"
	"time"

	"github.com/apikeys-platform/apikeys/internal/token"
)

// Explanation tells how a key was judged, question by question.
type Explanation struct {
	// Key is the key that was found; nil when none was.
	Key *Key
	// Checks are the questions in the order in which they are asked. Where one
	// could not be asked, because an earlier one failed, it is left out.
	Checks []Check
	// Limits is where the key stands within its rate limits, nothing charged.
	Limits []LimitState
}

// Check is one question and its answer.
type Check struct {
	// Name is one of shape, tag (not of imported keys), known, secret, revoked, disabled, suspended,
	// expired, organization, resource, scopes, limits.
	Name string
	// Err is nil if the check was passed, and else what Validate would return if
	// this were the first to fail.
	Err error
}

// Err returns what Validate would: the first check's error that failed, or nil.
func (e *Explanation) Err() error {
	for _, check := range e.Checks {
		if check.Err != nil {
			return check.Err
		}
	}
	return nil
}

func (e *Explanation) add(name string, err error) bool {
	e.Checks = append(e.Checks, Check{Name: name, Err: err})
	return err == nil
}

// Explain asks all the questions that [Client.Validate] asks, goes on after a
// failed one where it can, and changes nothing: no use is counted, no limit
// charged. It is for support desks and tests; it tells more than a stranger
// should know, so do not answer requests with it. Its own error is for when it
// could not judge.
func (c *Client) Explain(ctx context.Context, plaintext string, params ValidateParams) (*Explanation, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	if err := params.check(); err != nil {
		return nil, err
	}
	e := &Explanation{}
	record, err := c.explainIdentity(ctx, e, plaintext)
	if err != nil || record == nil {
		return e, err
	}
	if e.Key, err = c.publicKey(*record); err != nil {
		return nil, err
	}
	now := c.now()
	for _, u := range usableChecks {
		e.add(u.name, u.check(record, now))
	}
	e.add("organization", checkOrganization(record, &params))
	_, resource := c.checkResource(ctx, record, &params)
	if errors.Is(resource, ErrUnavailable) {
		return nil, resource
	}
	e.add("resource", resource)
	e.add("scopes", checkScopes(&known{KeyRecord: record, scopes: record.Scopes}, &params))
	return e, c.explainLimits(ctx, e, record, params, now)
}

// explainIdentity asks whether there is such a key; nil if not.
func (c *Client) explainIdentity(ctx context.Context, e *Explanation, text string) (*KeyRecord, error) {
	_, shaped := token.Parse(text, c.heads)
	forms := c.importedForms(text)
	if !e.add("shape", unless(shaped || len(forms) > 0)) || shaped && !e.add("tag", unless(c.shared.Load().tagger.Check(text))) {
		return nil, nil
	}
	if shaped {
		forms = []string{text}
	}
	k, err := c.readAny(ctx, forms)
	if err != nil && !errors.Is(err, ErrInvalidKey) {
		return nil, err
	}
	if k != nil && !c.inView(k) {
		k = nil
	}
	if !e.add("known", unless(k != nil)) {
		return nil, nil
	}
	return k, nil
}

// readAny reads the key that is known by one of these texts, whatever is remembered.
func (c *core) readAny(ctx context.Context, texts []string) (*KeyRecord, error) {
	for _, text := range texts {
		k, err := c.readKey(ctx, text, c.signer.Sum(text))
		if !errors.Is(err, ErrInvalidKey) {
			return k, err
		}
	}
	return nil, ErrInvalidKey
}

func unless(ok bool) error {
	if ok {
		return nil
	}
	return ErrInvalidKey
}

// explainLimits looks at the limits without charging them.
func (c *Client) explainLimits(ctx context.Context, e *Explanation, k *KeyRecord, p ValidateParams, now time.Time) error {
	if p.SkipRateLimit || len(k.RateLimits) == 0 {
		return nil
	}
	d, err := c.decide(ctx, keySubject(k.ID), k.RateLimits, 0, now)
	if err != nil {
		return err
	}
	e.Limits = d.States[:len(k.RateLimits)]
	cost := max(p.Cost, 1)
	var fault error
	for _, s := range e.Limits {
		if s.Remaining < cost {
			fault = quotaError(k.ID, &d, len(k.RateLimits), cost)
		}
	}
	e.add("limits", fault)
	sortLimits(e.Limits)
	return nil
}

// Recognize tells, without asking the store, whether s is a key that was issued
// for this client's database and heads: its shape is right and its tag genuine.
// It says nothing about whether the key is still valid. Secret scanners and log
// filters use it. Imported keys carry no tag and are never recognised.
func (c *Client) Recognize(s string) bool {
	_, ok := token.Parse(s, c.heads)
	return ok && c.shared.Load().tagger.Check(s)
}

// ScanPattern returns a regular expression (RE2) that matches this client's keys
// in text, for secret scanners. What it finds, Recognize confirms.
func (c *Client) ScanPattern() string { return token.Pattern(c.heads) }
