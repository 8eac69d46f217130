package tlsconf

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// TicketLifetime is how long a session can be resumed, as the product has it.
const TicketLifetime = 300 * time.Second

// Tickets holds the keys with which sessions are handed to clients and taken back
// (RFC 8446 section 4.6.1). They outlive the configurations that use them, never reach
// a disk, and are replaced as they grow old: who gets them later reads nothing.
type Tickets struct {
	begin time.Time // tickets tell their age since then, by a clock that never jumps

	mu     sync.Mutex
	scopes map[string]*scope
}

// scope are the keys of those who take each other's tickets.
type scope struct {
	keys  [][32]byte // the newest first
	since time.Duration
	// sealer is never served with: it seals and opens with the keys.
	sealer *tls.Config
}

// NewTickets makes keys that nobody knows.
func NewTickets() *Tickets {
	return &Tickets{begin: time.Now(), scopes: map[string]*scope{}}
}

// stampLength is that of a ticket's time in SessionState.Extra.
const stampLength = 8

// serve makes a configuration seal and open its tickets here.
func (t *Tickets) serve(c *tls.Config, name string) {
	c.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		sealer, now := t.sealer(name)
		session.Extra = append(session.Extra, binary.BigEndian.AppendUint64(nil, uint64(now)))
		return sealer.EncryptTicket(state, session)
	}
	c.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		sealer, now := t.sealer(name)
		session, err := sealer.DecryptTicket(ticket, state)
		if session == nil || err != nil {
			return nil, err
		}
		last := len(session.Extra) - 1
		if last < 0 || len(session.Extra[last]) != stampLength {
			return nil, nil
		}
		if age := now - time.Duration(binary.BigEndian.Uint64(session.Extra[last])); age > TicketLifetime {
			return nil, nil // a full handshake follows
		}
		session.Extra = session.Extra[:last]
		return session, nil
	}
}

// sealer returns the keys of a scope, replaced if they have served long enough. The
// ones before them open tickets for as long as these live.
func (t *Tickets) sealer(name string) (*tls.Config, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.begin)
	s := t.scopes[name]
	if s == nil {
		s = &scope{sealer: &tls.Config{}}
		t.scopes[name] = s
	}
	if len(s.keys) > 0 && now-s.since <= TicketLifetime {
		return s.sealer, now
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: it ends the process instead
	s.keys = append([][32]byte{key}, s.keys[:min(1, len(s.keys))]...)
	s.since = now
	s.sealer.SetSessionTicketKeys(s.keys)
	return s.sealer, now
}

// Keep forgets the keys of listeners that are not among these.
func (t *Tickets) Keep(listeners []Listener) {
	used := make(map[string]bool, len(listeners))
	for _, l := range listeners {
		used[l.scope()] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.scopes {
		if !used[name] {
			delete(t.scopes, name)
		}
	}
}

// Handover is the keys for another process that serves the same clients. It must not
// reach a disk either.
type Handover struct {
	Elapsed time.Duration        `json:"elapsed"` // since the time that tickets tell their age from
	Scopes  map[string]ScopeKeys `json:"scopes"`
}

// ScopeKeys are the keys of listeners that take each other's tickets.
type ScopeKeys struct {
	Keys  [][32]byte    `json:"keys"` // the newest first
	Since time.Duration `json:"since"`
}

// HandOver tells the keys.
func (t *Tickets) HandOver() Handover {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := Handover{Elapsed: time.Since(t.begin), Scopes: make(map[string]ScopeKeys, len(t.scopes))}
	for name, s := range t.scopes {
		h.Scopes[name] = ScopeKeys{slices.Clone(s.keys), s.since}
	}
	return h
}

// TakeOver goes on with the keys of another process. Call it before the first handshake.
func (t *Tickets) TakeOver(h Handover) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin = time.Now().Add(-h.Elapsed)
	for name, keys := range h.Scopes {
		if len(keys.Keys) == 0 {
			continue
		}
		s := &scope{keys: keys.Keys, since: keys.Since, sealer: &tls.Config{}}
		s.sealer.SetSessionTicketKeys(s.keys)
		t.scopes[name] = s
	}
}
