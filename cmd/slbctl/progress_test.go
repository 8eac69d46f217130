package main

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slbctl/planner"
)

// TestProgress: a line from the first second on, pushed down by what is told, and nothing
// left of it at the end.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := &terminal{}
		s := &session{stderr: screen, live: true, width: 60}
		a := newApplied(&planner.Plan{Changes: []planner.Change{{Action: planner.Create}, {Action: planner.NoOp}, {Action: planner.Delete}}})
		want := ""
		saw := func(more string) {
			t.Helper()
			synctest.Wait()
			if want += more; screen.String() != want {
				t.Fatalf("the screen has had\n%q, want\n%q", screen.String(), want)
			}
		}
		end := s.progress(a.String)
		time.Sleep(900 * time.Millisecond)
		s.note("one")
		saw("one\n")
		time.Sleep(200 * time.Millisecond)
		saw("prepare  0 steps so far, of an apply of 2 changes, 1s")
		a.saw(planner.Event{Phase: "verify"})
		s.note("two")
		saw("\r\x1b[Ktwo\n")
		time.Sleep(2 * time.Second)
		saw("verify   1 step so far, of an apply of 2 changes, 2s" + "\r\x1b[K" + "verify   1 step so far, of an apply of 2 changes, 3s")
		end()
		s.note("three")
		saw("\r\x1b[Kthree\n")
		time.Sleep(5 * time.Second)
		saw("")
	})
}

// terminal is written to by two goroutines, as a terminal may be.
type terminal struct {
	mu   sync.Mutex
	seen bytes.Buffer
}

func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.Write(b)
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.String()
}

// TestProgressFits keeps the line from wrapping, since then it could not be taken back.
func TestProgressFits(t *testing.T) {
	var screen bytes.Buffer
	(&progress{out: &screen, width: 10}).show("ääääääääääää")
	if got := screen.String(); got != "äääääääää" {
		t.Errorf("%q", got)
	}
}

// TestNoProgress: a quick command, and one without a terminal, say nothing.
func TestNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for live, pause := range map[bool]time.Duration{true: progressDelay / 2, false: 5 * progressDelay} {
			var screen bytes.Buffer
			s := &session{stderr: &screen, live: live}
			end := s.progress(func() string { return "working" })
			time.Sleep(pause)
			end()
			if screen.Len() > 0 {
				t.Errorf("a terminal: %v; it says %q", live, screen.String())
			}
		}
	})
}
