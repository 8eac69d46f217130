//go:build linux

package proxy

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The benchmarks' clients and servers run in the same process; loop-ns/op is the
// CPU time, user and system, of the balancer's own threads.

func reportLoops(b *testing.B, s *Server, run func()) {
	b.ReportAllocs()
	b.ResetTimer()
	before := loopTime(s)
	run()
	b.ReportMetric(float64(loopTime(s)-before)/float64(b.N), "loop-ns/op")
}

func loopTime(s *Server) int64 {
	var total atomic.Int64
	var asking sync.WaitGroup
	for _, w := range s.workers {
		asking.Add(1)
		w.loop.Post(func() {
			defer asking.Done()
			var used syscall.Rusage
			const thread = 1 // RUSAGE_THREAD
			if syscall.Getrusage(thread, &used) == nil {
				total.Add(used.Utime.Nano() + used.Stime.Nano())
			}
		})
	}
	asking.Wait()
	return total.Load()
}

// BenchmarkProxyPingPong sends 128 bytes to and fro on connections that stay.
func BenchmarkProxyPingPong(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint("conns=", clients), func(b *testing.B) {
			s, k, _ := balanced(b, 1, listenerOf(startBackend(b, echo)))
			var conns []*net.TCPConn
			for range clients {
				c := connect(b, k)
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
							if _, err := io.ReadFull(c, message); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				running.Wait()
			})
		})
	}
}

// BenchmarkProxyConnect opens a connection, gets a byte and closes.
func BenchmarkProxyConnect(b *testing.B) {
	s, k, _ := balanced(b, 1, listenerOf(startBackend(b, sayName('a'))))
	reportLoops(b, s, func() {
		for range b.N {
			if _, err := ask(k); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkProxyBulk downloads 1 MiB per operation.
func BenchmarkProxyBulk(b *testing.B) {
	const piece = 1 << 20
	s, k, _ := balanced(b, 1, listenerOf(startBackend(b, func(c *net.TCPConn) {
		for chunk := make([]byte, piece); ; {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})))
	c := connect(b, k)
	c.SetDeadline(time.Time{})
	chunk := make([]byte, piece)
	b.SetBytes(piece)
	reportLoops(b, s, func() {
		for range b.N {
			if _, err := io.ReadFull(c, chunk); err != nil {
				b.Fatal(err)
			}
		}
	})
}
