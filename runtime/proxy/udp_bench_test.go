//go:build linux

package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkUDPPingPong sends datagrams of 128 bytes to and fro, each client one at a
// time.
func BenchmarkUDPPingPong(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			s := startServer(b, 1)
			k := bindUDP(b, s)
			k.Serve(handle(udpListenerOf(startUDPBackend(b, echoUDP)), nil))
			var conns []*net.UDPConn
			for range clients {
				c := udpClient(b, k)
				c.SetDeadline(time.Time{})
				conns = append(conns, c)
			}
			reportLoops(b, s, func() {
				var left atomic.Int64
				left.Store(int64(b.N))
				var running sync.WaitGroup
				for _, c := range conns {
					running.Go(func() {
						for message := make([]byte, 128); left.Add(-1) >= 0; {
							if _, err := c.Write(message); err != nil {
								b.Error(err)
								return
							}
							if _, err := c.Read(message); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				running.Wait()
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
			if d := k.Dropped(); d != (Dropped{}) {
				b.Errorf("dropped %+v", d)
			}
		})
	}
}

// BenchmarkUDPStream sends datagrams of 128 bytes one way, 32 before it waits for
// the last of them to be answered.
func BenchmarkUDPStream(b *testing.B) {
	const window = 32
	s := startServer(b, 1)
	k := bindUDP(b, s)
	n := 0
	k.Serve(handle(udpListenerOf(startUDPBackend(b, func(p []byte, _ netip.AddrPort) []byte {
		if n++; n%window != 0 {
			return nil
		}
		return p
	})), nil))
	c := udpClient(b, k)
	c.SetDeadline(time.Time{})
	message := make([]byte, 128)
	reportLoops(b, s, func() {
		for i := range b.N {
			if _, err := c.Write(message); err != nil {
				b.Fatal(err)
			}
			if i%window == window-1 {
				if _, err := c.Read(message); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "datagrams/s")
}

// BenchmarkUDPSession begins a session, gets an answer and lets the idle timeout end
// the session.
func BenchmarkUDPSession(b *testing.B) {
	l := udpListenerOf(startUDPBackend(b, echoUDP))
	l.EstablishedTimeout = 20 * time.Millisecond
	s := startServer(b, 1)
	k := bindUDP(b, s)
	k.Serve(handle(l, nil))
	message := make([]byte, 128)
	reportLoops(b, s, func() {
		for range b.N {
			c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(k.Endpoint()))
			if err != nil {
				b.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(patience))
			c.Write(message)
			if _, err := c.Read(message); err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
}
