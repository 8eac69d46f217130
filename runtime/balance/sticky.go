package balance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"slbctl/spec"
)

// How a cookie keeps a client on its server.
const (
	StickyOff    uint8 = iota
	StickyInsert       // the balancer sets a cookie of its own
	StickyServer       // the balancer rewrites a cookie that servers set
)

// Sticky is a pool's session stickiness. Under StickyInsert the cookie's value is
// CookieValue; under StickyServer it is CookieValue, "|" and the server's own
// value, which the server gets back without what comes before.
type Sticky struct {
	Mode   uint8
	Cookie string        // name
	MaxAge time.Duration // of StickyInsert
}

func newSticky(s *spec.StickySession) Sticky {
	switch {
	case s == nil:
		return Sticky{}
	case s.Type == spec.StickyServer:
		return Sticky{Mode: StickyServer, Cookie: s.Cookie}
	default:
		return Sticky{Mode: StickyInsert, Cookie: s.Cookie, MaxAge: s.CookieTimeout}
	}
}

// cookies are the values that name the backends of one pool.
type cookies struct {
	values   []string
	backends map[uint64]int
}

// cookieKey is the number that a cookie's value spells: a keyed hash of the
// server's id, so that it is the same in every generation, tells nothing about
// the server and cannot be made up for another one.
func cookieKey(id string, seed uint64) uint64 {
	key := binary.LittleEndian.AppendUint64([]byte("sticky session:"), seed)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id))
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

func newCookies(backends []Backend, seed uint64) cookies {
	c := cookies{values: make([]string, len(backends)), backends: make(map[uint64]int, len(backends))}
	for i, b := range backends {
		key := cookieKey(b.key(), seed)
		c.values[i] = fmt.Sprintf("%016x", key)
		c.backends[key] = i
	}
	return c
}

// CookieValue returns what the sticky cookie of backend i says: 16 hexadecimal
// digits, the same in every generation and listener of a configuration.
func (p *Pool) CookieValue(i int) string { return p.cookies.values[i] }

// CookieBackend returns the backend that a cookie's value names. ok is false for
// what CookieValue never said, and for servers that left.
func (p *Pool) CookieBackend(value []byte) (i int, ok bool) {
	if len(value) != 16 {
		return 0, false
	}
	var key uint64
	for _, c := range value {
		if 'A' <= c && c <= 'F' {
			return 0, false
		}
		digit := hexDigit(c)
		if digit > 15 {
			return 0, false
		}
		key = key<<4 | uint64(digit)
	}
	i, ok = p.cookies.backends[key]
	return i, ok
}

// SplitServerCookie takes apart the value that a client sends back under
// StickyServer: what CookieBackend reads, and the server's own value. A value that
// the balancer has not written has no id and is all the server's own.
func SplitServerCookie(value []byte) (id, own []byte) {
	if len(value) > 16 && value[16] == '|' {
		return value[:16], value[17:]
	}
	return nil, value
}

// PickSticky counts a connection to backend i, which its client names by cookie
// or is remembered for, until s.Done. It takes no ticket. ok is false, and nothing
// is counted, when the backend does not serve its sessions: it is not well, or
// full. A server of weight 0 does while it is well, until its drain has ended.
func (t *Table) PickSticky(s *State, i int) (ok bool) {
	if i < 0 || i >= len(t.serves) || !t.serves[i] || !s.begin(uint16(i)) {
		return false
	}
	if least := &s.history.least; least.inUse.Load() {
		least.settle(s.flights[i])
	}
	return true
}
