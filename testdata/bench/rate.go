//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// measureRate opens connections as fast as the proxy lets it, a fixed number at a
// time: each sends one request and waits for the whole answer and the end of the
// stream. Latency is from the connect to that end.
func measureRate(ep netip.AddrPort, connections int, d time.Duration) (load, error) {
	loop, end, err := freeLoop()
	if err != nil {
		return load{}, err
	}
	defer end()
	m := &rateMeter{
		loop:    loop,
		target:  netloop.NewSockaddr(ep),
		request: []byte("GET / HTTP/1.1\r\nHost: " + ep.String() + "\r\nConnection: close\r\n\r\n"),
		answer:  len(responseHead(smallBody)) + smallBody,
		ended:   make(chan struct{}),
	}
	start := time.Now()
	loop.Post(func() {
		m.timer.Init(m)
		loop.Arm(&m.timer, d)
		for range connections {
			m.dial(&rateConn{meter: m})
		}
	})
	<-m.ended
	return m.result(time.Since(start))
}

// rateMeter is what the connections share.
type rateMeter struct {
	loop    *netloop.Loop
	timer   netloop.Timer
	target  netloop.Sockaddr
	request []byte
	answer  int // length of the whole response

	over     bool
	open     int
	latency  []time.Duration
	failures int
	failure  error // the first
	ended    chan struct{}
}

// Expired ends the measurement: connections under way are still finished.
func (m *rateMeter) Expired() { m.over = true }

func (m *rateMeter) result(took time.Duration) (load, error) {
	if m.failures > 0 {
		return load{}, fmt.Errorf("%d of %d connections failed, the first: %w", m.failures, m.failures+len(m.latency), m.failure)
	}
	if len(m.latency) == 0 {
		return load{}, errors.New("no connection was answered")
	}
	return loadOf(m.latency, took), nil
}

// loadOf is what so many requests were that took a while together.
func loadOf(latency []time.Duration, took time.Duration) load {
	slices.Sort(latency)
	at := func(q float64) float64 {
		return float64(latency[int(q*float64(len(latency)-1))].Nanoseconds()) / 1e3
	}
	n := float64(len(latency))
	return load{Requests: int64(n), Amount: n, Rate: n / took.Seconds(), P50: at(0.5), P99: at(0.99)}
}

func (m *rateMeter) dial(c *rateConn) {
	c.sent, c.received, c.started = false, 0, time.Now()
	m.open++
	var errno unix.Errno
	if c.fd, errno = m.loop.Dial(&m.target); errno != 0 {
		c.done(fmt.Errorf("connect: %w", errno))
		return
	}
	if err := m.loop.Add(c.fd, c); err != nil {
		m.loop.Close(c.fd)
		c.done(err)
	}
}

// rateConn is one place that holds one connection after the other.
type rateConn struct {
	meter    *rateMeter
	fd       int
	started  time.Time
	sent     bool
	received int
}

func (c *rateConn) Ready(ev netloop.Events) {
	if !c.sent {
		if ev&(netloop.Out|netloop.Err|netloop.Hup) == 0 {
			return
		}
		if _, errno := netloop.Send(c.fd, c.meter.request); errno != 0 {
			c.end(fmt.Errorf("connect: %w", errno))
			return
		}
		c.sent = true
	}
	for {
		n, errno := netloop.Recv(c.fd, c.meter.loop.Scratch())
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			c.end(fmt.Errorf("receive: %w", errno))
			return
		case n == 0 && c.received != c.meter.answer:
			c.end(fmt.Errorf("%d of %d bytes received", c.received, c.meter.answer))
			return
		case n == 0:
			c.end(nil)
			return
		}
		c.received += n
	}
}

func (c *rateConn) end(err error) {
	c.meter.loop.Close(c.fd)
	c.done(err)
}

// done counts the connection and opens the next. After a failure the place stays
// empty: what fails at once would fail for ever.
func (c *rateConn) done(err error) {
	m := c.meter
	m.open--
	if err == nil {
		m.latency = append(m.latency, time.Since(c.started))
	} else if m.failures++; m.failures == 1 {
		m.failure = err
	}
	if err == nil && !m.over {
		m.dial(c)
		return
	}
	if m.open == 0 {
		close(m.ended)
	}
}
