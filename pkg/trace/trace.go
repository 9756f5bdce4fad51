// Package trace carries the W3C trace context (traceparent) of a piece of work
// through a process: from an HTTP request to the log lines, the outbox rows and
// the messages it causes.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// Header is the name of the HTTP and message header.
const Header = "traceparent"

type key struct{}

// New returns a fresh traceparent with a random trace id and parent id.
func New() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}

// Child returns a traceparent of the same trace with a new parent id; a
// malformed parent gives a new trace.
func Child(parent string) string {
	if !Valid(parent) {
		return New()
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return parent[:36] + hex.EncodeToString(b[:]) + parent[52:]
}

// Valid reports whether s is a traceparent of version 00 (W3C Trace Context,
// section 3.2): lower-case hex, trace id and parent id not all zero.
func Valid(s string) bool {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	for i := 3; i < len(s); i++ {
		if i == 35 || i == 52 {
			continue
		}
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}

// ID returns the 32 hex digits of the trace id, or "" when s is malformed.
func ID(s string) string {
	if !Valid(s) {
		return ""
	}
	return s[3:35]
}

// ContextWith returns ctx carrying traceparent. What is logged through the
// logger in it (zerolog.Ctx) bears its trace_id, given the Hook.
func ContextWith(ctx context.Context, traceparent string) context.Context {
	s := new(span)
	s.traceparent.Store(&traceparent)
	ctx = context.WithValue(ctx, key{}, s)
	return zerolog.Ctx(ctx).With().Ctx(ctx).Logger().WithContext(ctx)
}

// From returns the traceparent in ctx, or "".
func From(ctx context.Context) string {
	s, _ := ctx.Value(key{}).(*span)
	if s == nil {
		return ""
	}
	return *s.traceparent.Load()
}

// Join makes what ctx is about a part of another trace: a call finds out which
// request it concerns only on its way, and belongs to that request's trace from
// then on, up to its access line. Without a valid traceparent, or without a
// trace in ctx, it does nothing.
func Join(ctx context.Context, traceparent string) {
	s, _ := ctx.Value(key{}).(*span)
	if s == nil || !Valid(traceparent) {
		return
	}
	child := Child(traceparent)
	s.traceparent.Store(&child)
}

// span is the place of a piece of work in its trace; it can move to another.
type span struct{ traceparent atomic.Pointer[string] }

// Hook gives each log line the trace_id of the context it is logged in.
type Hook struct{}

// Run implements zerolog.Hook.
func (Hook) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	if id := ID(From(e.GetCtx())); id != "" {
		e.Str("trace_id", id)
	}
}
