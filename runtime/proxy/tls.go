//go:build linux

package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"iter"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
	"slbctl/spec"
)

const (
	// handshakeTime is how long a client may take to be understood.
	handshakeTime = 5 * time.Second

	// A handshake costs as much as a dozen requests. No listener makes more than this
	// many a second for each loop, and no loop takes more than a few steps of them in
	// one turn: those who have a connection go on while others knock.
	handshakeRate     = 4000
	handshakesPerTurn = 4

	// recordsPerRead are decrypted before others of the loop have a turn. As large as
	// they may be, they are more than one read takes.
	recordsPerRead = 16

	// owedBytes is what a client that does not read may be owed beyond an answer: alerts
	// and key updates that it has asked for.
	owedBytes = 256 << 10

	// A handshake leaves 70 KiB of garbage, and the collector of a process that has little
	// else would clear up 60 times a second. What it takes for live lets it wait until
	// there is about as much garbage.
	handshakeSlack = 8 << 20

	keptShakers = 64 // that a loop does not end, with stacks of 16 KiB
)

// tlsSession is the encryption of one client's connection: crypto/tls over a socket
// that never blocks. While its handshake is under way it has a coroutine, and so a
// stack; afterwards it has none.
//
// What it has to say to the client it leaves in the worker's sealed, from where its
// owner sends it at once.
type tlsSession struct {
	conn   *tls.Conn
	worker *worker
	fd     int

	shaker *shaker // nil = the handshake is over
	err    error   // why it failed

	wet     bool // the socket may have something to read
	ends    bool // with what is sealed next, or has ended
	partial bool // a short read does not mean that the socket is empty
}

// shaker is a coroutine that makes one handshake after the other: its stack grows for
// the first.
type shaker struct {
	session *tlsSession // whose handshake is under way
	step    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
}

func newShaker() *shaker {
	s := &shaker{}
	s.step, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.yield = yield
		for more := true; more; more = yield(struct{}{}) {
			s.session.err = s.session.conn.Handshake()
			s.session = nil
		}
	})
	return s
}

// newTLS begins a session, which shake goes on with.
func (w *worker) newTLS(fd int, config *tls.Config) *tlsSession {
	t := &tlsSession{worker: w, fd: fd}
	t.conn = tls.Server((*tlsSocket)(t), config)
	if n := len(w.shakers); n > 0 {
		t.shaker, w.shakers[n-1] = w.shakers[n-1], nil
		w.shakers = w.shakers[:n-1]
	} else {
		t.shaker = newShaker()
	}
	if w.slack == nil {
		w.slack = make([]byte, handshakeSlack)
	}
	t.shaker.session = t
	return t
}

// ready notes what an event says of the socket.
func (t *tlsSession) ready(ev netloop.Events) {
	if ev&(netloop.In|netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		t.wet = true
	}
	if ev&(netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		t.partial = true
	}
}

// shake goes on with the handshake as far as what has come allows. It reports whether
// that is over; t.err tells how.
func (t *tlsSession) shake() bool {
	t.worker.sealed = t.worker.sealed[:0]
	t.shaker.step()
	if t.shaker.session != nil {
		return false
	}
	if len(t.worker.shakers) < keptShakers {
		t.worker.shakers = append(t.worker.shakers, t.shaker)
	} else {
		t.shaker.stop()
	}
	t.shaker = nil
	return true
}

// end gives up a handshake that is under way.
func (t *tlsSession) end() {
	if t.shaker != nil {
		t.shaker.stop()
		t.shaker = nil
	}
}

// recv is [netloop.Recv] for what the client means; dry says that nothing is left.
func (t *tlsSession) recv(b []byte) (n int, dry bool, errno unix.Errno) {
	t.worker.sealed = t.worker.sealed[:0]
	for record := 0; n < len(b) && record < recordsPerRead; record++ {
		m, err := t.conn.Read(b[n:])
		n += m
		switch {
		case err == nil:
		case errors.Is(err, errAgain):
			if n == 0 {
				return 0, true, again
			}
			return n, true, 0
		case n > 0: // the next read meets it again
			return n, false, 0
		case errors.Is(err, io.EOF):
			return 0, false, 0
		default:
			return 0, false, unix.EPROTO
		}
	}
	return n, false, 0
}

// seal encrypts b. The result is the worker's, until the next call; nil means that
// the session has broken.
func (t *tlsSession) seal(b []byte) []byte {
	t.worker.sealed = t.worker.sealed[:0]
	if _, err := t.conn.Write(b); err != nil {
		return nil
	}
	if t.ends {
		_ = t.conn.CloseWrite()
	}
	return t.worker.sealed
}

// goodbye is the alert that ends our side of the stream (RFC 8446, 6.1).
func (t *tlsSession) goodbye() []byte {
	t.worker.sealed = t.worker.sealed[:0]
	_ = t.conn.CloseWrite() // of a session that has broken: there is nothing to say
	return t.worker.sealed
}

// protocol is what the handshake has agreed on (ALPN, RFC 7301).
func (t *tlsSession) protocol() string { return t.conn.ConnectionState().NegotiatedProtocol }

// spoken is the suite and the version, by OpenSSL's names, which the product's log has.
func (t *tlsSession) spoken() (cipher, version string) {
	state := t.conn.ConnectionState()
	return spec.CipherName(state.CipherSuite), spec.TLSVersionName(state.Version)
}

// spokePlainHTTP returns what came instead of a handshake, if that looks like a
// request for a listener without TLS.
func (t *tlsSession) spokePlainHTTP() bool {
	var record tls.RecordHeaderError
	if !errors.As(t.err, &record) || record.Conn == nil {
		return false
	}
	for _, b := range record.RecordHeader {
		if b != ' ' && b != '/' && (b < 'A' || b > 'Z') {
			return false
		}
	}
	return true
}

// tlsSocket is the session as the connection under crypto/tls: it gives what the
// socket has, and takes everything.
type tlsSocket tlsSession

// errAgain is what crypto/tls gets when the socket is empty. It is a temporary error,
// after which a session lives on.
var errAgain error = emptySocket{}

type emptySocket struct{}

func (emptySocket) Error() string   { return "the socket is empty" }
func (emptySocket) Timeout() bool   { return true }
func (emptySocket) Temporary() bool { return true }

func (s *tlsSocket) Read(b []byte) (int, error) {
	for {
		if s.wet {
			n, errno := netloop.Recv(s.fd, b)
			switch {
			case errno == again:
				s.wet = false
			case errno != 0:
				return 0, errno
			case n == 0:
				return 0, io.EOF
			default:
				s.wet = n == len(b) || s.partial
				return n, nil
			}
		}
		if s.shaker == nil {
			return 0, errAgain
		}
		if !s.shaker.yield(struct{}{}) {
			return 0, io.EOF
		}
	}
}

func (s *tlsSocket) Write(b []byte) (int, error) {
	s.worker.sealed = append(s.worker.sealed, b...)
	return len(b), nil
}

func (s *tlsSocket) Close() error                     { return nil }
func (s *tlsSocket) LocalAddr() net.Addr              { return nil }
func (s *tlsSocket) RemoteAddr() net.Addr             { return nil }
func (s *tlsSocket) SetDeadline(time.Time) error      { return nil }
func (s *tlsSocket) SetReadDeadline(time.Time) error  { return nil }
func (s *tlsSocket) SetWriteDeadline(time.Time) error { return nil }
