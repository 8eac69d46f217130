//go:build linux

package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whoever has read all knows from the alert before the end of the stream that it was all (RFC 8446, 6.1), where
// nothing else tells: also a client that was slow, so that the alert had no room in the socket when it came up, and
// one that has ended its own side before.
func TestTLSEndsAreTold(t *testing.T) {
	const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	for name, test := range map[string]struct{ ask, head string }{
		"an answer": {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"},
		"a tunnel":  {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", switched},
	} {
		t.Run(name, func(t *testing.T) {
			body := make(chan int, 1)
			k, h, config := secured(t, 1, httpsListenerOf(startBackend(t, func(c *net.TCPConn) {
				c.Read(make([]byte, 4096))
				io.WriteString(c, test.head+strings.Repeat("x", <-body))
			})))
			config.MaxVersion = tls.VersionTLS12               // which does not hide what is an alert
			for size := 26 << 10; size < 40<<10; size += 500 { // what just fits, and what does not
				c := narrow(t, k)
				secured := tls.Client(c, config)
				io.WriteString(secured, test.ask)
				eventually(t, "the server is asked", func() bool { return h.Active("l", "a") == 1 })
				body <- size
				all := time.Now().Add(20 * time.Millisecond) // more has no room
				for h.Active("l", "a") > 0 && time.Now().Before(all) {
					time.Sleep(time.Millisecond)
				}
				b, err := io.ReadAll(secured)
				if err != nil || !bytes.HasSuffix(b, bytes.Repeat([]byte("x"), size)) || c.lastRecord() != recordAlert {
					t.Fatalf("of %d bytes %d were read, then a record of type %d, %v", size, len(b), c.lastRecord(), err)
				}
				c.Close()
			}
			settled(t, h)
		})
	}
	t.Run("after the client's", func(t *testing.T) {
		k, h, config := secured(t, 1, httpsListenerOf(startChat(t)))
		config.MaxVersion = tls.VersionTLS12
		c := narrow(t, k)
		wantTunnel(t, tls.Client(c, config), h)
		if kind := c.lastRecord(); kind != recordAlert {
			t.Errorf("the last record is of type %d", kind)
		}
		c.Close()
		settled(t, h)
	})
}

const recordAlert = 21

// narrowConn is a client's connection that remembers what was read.
type narrowConn struct {
	net.Conn
	read []byte
}

func (c *narrowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read = append(c.read, b[:n]...)
	return n, err
}

// lastRecord is the type of the last record of TLS.
func (c *narrowConn) lastRecord() (kind byte) {
	for b := c.read; len(b) >= 5; {
		kind = b[0]
		b = b[min(len(b), 5+int(binary.BigEndian.Uint16(b[3:]))):]
	}
	return kind
}

// narrow makes a connection to a listener through a socket that takes 32 KiB, and after the piece with which it is
// full not a byte more, as one of TCP may or may not.
func narrow(t *testing.T, k *Socket) *narrowConn {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), fmt.Sprint("pair", fds[1]))
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	w := k.server.workers[0]
	w.loop.Post(func() { w.open(k, fds[0], netip.MustParseAddrPort("127.0.0.1:1")) })
	return &narrowConn{Conn: c}
}
