//go:build linux

package proxy

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"slbctl/runtime/netloop"
	"slbctl/spec"
)

const (
	logBytes   = 32 << 10               // a loop collects before it hands them over
	logDelay   = 100 * time.Millisecond // or so long
	logBacklog = 64                     // chunks that wait for the disk; more are dropped
)

// AccessLog writes a line for every exchange of the listeners that log to it. Traffic
// never waits for the disk: what the disk does not take in time is dropped and counted.
type AccessLog struct {
	combined bool
	file     *os.File
	lanes    []logLane // by loop
	chunks   chan logChunk
	written  sync.WaitGroup
	dropped  atomic.Int64 // lines
	failed   atomic.Pointer[error]
}

// logChunk is what one loop hands over at once.
type logChunk struct {
	text  []byte
	lines int64
}

// OpenAccessLog appends to a file, which it makes, readable for its owner, if need be.
// Format is spec.AccessLogJSON or spec.AccessLogCombined.
func (s *Server) OpenAccessLog(path, format string) (*AccessLog, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	l := &AccessLog{combined: format == spec.AccessLogCombined, file: f, chunks: make(chan logChunk, logBacklog)}
	l.lanes = make([]logLane, len(s.workers))
	for i := range l.lanes {
		lane := &l.lanes[i]
		lane.log, lane.loop = l, s.workers[i].loop
		lane.timer.Init(lane)
	}
	l.written.Go(func() {
		for chunk := range l.chunks {
			if _, err := f.Write(chunk.text); err != nil {
				l.failed.Store(&err)
				l.dropped.Add(chunk.lines)
			}
		}
	})
	return l, nil
}

// Dropped is the number of lines that were lost, and the last error of the disk.
func (l *AccessLog) Dropped() (int64, error) {
	if err := l.failed.Load(); err != nil {
		return l.dropped.Load(), *err
	}
	return l.dropped.Load(), nil
}

// Close writes what has been collected. Exchanges that end after it are not logged.
func (l *AccessLog) Close() error {
	var collected sync.WaitGroup
	for i := range l.lanes {
		lane := &l.lanes[i]
		collected.Add(1)
		last := func() {
			defer collected.Done()
			lane.hand()
			lane.closed = true
		}
		if !lane.loop.Post(last) {
			last() // the loop has ended, so nobody else is on its lane
		}
	}
	collected.Wait()
	close(l.chunks)
	l.written.Wait()
	return l.file.Close()
}

// logLane is what one loop collects for one log.
type logLane struct {
	log    *AccessLog
	loop   *netloop.Loop
	chunk  logChunk
	timer  netloop.Timer
	closed bool
}

// add takes a line, and hands the lines over when they are many.
func (a *logLane) add(prefix, middle, suffix []byte) {
	if a.closed {
		return
	}
	if a.chunk.text == nil {
		a.chunk.text = make([]byte, 0, logBytes)
		a.loop.Arm(&a.timer, logDelay)
	}
	a.chunk.text = append(append(append(a.chunk.text, prefix...), middle...), suffix...)
	a.chunk.lines++
	if len(a.chunk.text) > logBytes-(4<<10) {
		a.hand()
	}
}

// Expired hands over what has waited long enough.
func (a *logLane) Expired() { a.hand() }

func (a *logLane) hand() {
	if a.chunk.text == nil {
		return
	}
	select {
	case a.log.chunks <- a.chunk:
	default:
		a.log.dropped.Add(a.chunk.lines)
	}
	a.chunk = logChunk{}
	a.loop.Stop(&a.timer)
}
