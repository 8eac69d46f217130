package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurnsMakeNothingUp: also after a time in which nobody came, turns are a pause apart,
// however many ask for one, and there are as many as there are.
func TestTurnsMakeNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pause = 25 * time.Millisecond
		several := &turns{all: 20, pause: pause}
		var last time.Time
		next := func(want int) {
			t.Helper()
			if n, ok := several.take(t.Context()); n != want || !ok {
				t.Errorf("turn %d, %v, want %d", n, ok, want)
			}
			if apart := time.Since(last); apart < pause {
				t.Errorf("turn %d is %v after the one before it", want, apart)
			}
			last = time.Now()
		}
		next(0)
		time.Sleep(10 * pause)
		for n := range 19 {
			next(n + 1)
		}
		if n, ok := several.take(t.Context()); ok {
			t.Errorf("turn %d of 20", n)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok := (&turns{all: 1}).take(ended); ok {
			t.Error("a turn in a run that has ended")
		}
	})
}
