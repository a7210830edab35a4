package faulttest_test

import (
	"github.com/anishathalye/porcupine"

	"github.com/apikeys-platform/apikeys"
)

// The operations of a history.
type (
	input struct {
		op   string
		text int // validate: which text of the key, by the order of their issue
		// overtaken: it may have been done, its answer lost, and the key deleted by another
		// before it was sent again, which then says that there is no such key.
		overtaken bool
	}
	output struct {
		code string // "ok", an error's code, or unknownOutcome
		text int    // create, rotate: the new text
	}
	// state of a key; texts before the current one were replaced.
	state struct {
		there, revoked, disabled, deleted bool
		text                              int
	}
)

// unknownOutcome: it was done, or not, or will yet be.
const unknownOutcome = "unknown"

// lifecycle is what a key does when one operation comes after the other.
func lifecycle() *porcupine.NondeterministicModel {
	return &porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, in, out any) []any { return s.(state).step(in.(input), out.(output)) },
	}
}

func (s state) step(in input, out output) []any {
	if in.op == "validate" {
		if out.code == s.judge(in.text) {
			return []any{s}
		}
		return nil
	}
	next, want := s.change(in, out)
	switch {
	case out.code == unknownOutcome:
		return []any{s, next}
	case out.code == apikeys.CodeNotFound && in.overtaken && !s.deleted:
		return []any{next}
	case out.code == want, out.code == apikeys.CodeConflict && in.op == "rotate" && want != "ok":
		return []any{next}
	}
	return nil
}

// judge is what a validation says.
func (s state) judge(text int) string {
	switch {
	case !s.there || s.deleted:
		return apikeys.CodeInvalidKey
	case text != s.text:
		return apikeys.CodeRetiredSecret
	case s.revoked:
		return apikeys.CodeRevokedKey
	case s.disabled:
		return apikeys.CodeDisabledKey
	}
	return "ok"
}

// change is what a change makes of a key, and what it says.
func (s state) change(in input, out output) (next state, says string) {
	next = s
	switch {
	case in.op == "create":
		next.there = true
	case s.deleted:
		return s, apikeys.CodeNotFound
	case in.op == "disable":
		next.disabled = true
	case in.op == "enable":
		next.disabled = false
	case in.op == "revoke":
		next.revoked = true
	case in.op == "delete":
		next.deleted = true
	case s.revoked:
		return s, apikeys.CodeRevokedKey
	case s.disabled:
		return s, apikeys.CodeDisabledKey
	case in.op == "rotate":
		next.text = out.text
		if out.code != "ok" {
			next.text = -1 // nobody was told of it
		}
	}
	return next, "ok"
}
