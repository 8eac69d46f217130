package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"slbctl/planner"
)

// progressDelay is how long a command may be silent before it tells how far it is, and
// how often it does so then.
const progressDelay = time.Second

// progress is a last line on the terminal that is written again and again. What else goes
// to standard error meanwhile is written through it, and pushes the line down.
type progress struct {
	out   io.Writer
	width int
	text  func() string

	mu    sync.Mutex
	shown bool
}

// progress tells how far a command is, with counts, from its first second on until end is
// called. It does nothing where standard error is no terminal.
func (s *session) progress(text func() string) (end func()) {
	if !s.live {
		return func() {}
	}
	p := &progress{out: s.stderr, width: s.width, text: text}
	if p.width == 0 {
		p.width = 80
	}
	s.stderr = p
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { p.run(stop) })
	return sync.OnceFunc(func() {
		close(stop)
		running.Wait()
		s.stderr = p.out
	})
}

func (p *progress) run(stop <-chan struct{}) {
	began := time.Now()
	tick := time.NewTicker(progressDelay)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.show(fmt.Sprintf("%s, %s", p.text(), time.Since(began).Round(time.Second)))
		case <-stop:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.clear()
			return
		}
	}
}

func (p *progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	if text := []rune(line); len(text) >= p.width { // a line that wraps cannot be taken back
		line = string(text[:p.width-1])
	}
	_, err := io.WriteString(p.out, line)
	p.shown = err == nil
}

// clear takes the line from the terminal (ECMA-48 EL). The caller holds mu.
func (p *progress) clear() {
	if p.shown {
		_, _ = io.WriteString(p.out, "\r\x1b[K") // the terminal is gone if this fails
		p.shown = false
	}
}

// Write implements io.Writer.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	return p.out.Write(text)
}

// applied counts the steps of an apply.
type applied struct {
	changes int

	mu    sync.Mutex
	phase string
	steps int // of the phase
}

func newApplied(p *planner.Plan) *applied {
	a := &applied{phase: "prepare"}
	for i := range p.Changes {
		if !p.Changes[i].Stays() {
			a.changes++
		}
	}
	return a
}

func (a *applied) saw(e planner.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.Phase != a.phase {
		a.phase, a.steps = e.Phase, 0
	}
	a.steps++
}

func (a *applied) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%-8s %s so far, of an apply of %s", a.phase, count(int64(a.steps), "step"), count(int64(a.changes), "change"))
}
