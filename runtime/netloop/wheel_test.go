//go:build linux

package netloop

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// alarm records when it fired.
type alarm struct {
	Timer
	wheel *wheel
	fired []int64
	then  func()
}

func newAlarm(w *wheel) *alarm {
	a := &alarm{wheel: w}
	a.Init(a)
	return a
}

func (a *alarm) Expired() {
	a.fired = append(a.fired, a.wheel.now)
	if a.then != nil {
		a.then()
	}
}

func TestTimerFiresOnItsTick(t *testing.T) {
	const horizon = farSlots * nearSlots
	for _, at := range []int64{1, 2, 254, 255, 256, 257, 511, 512, 513, 90_000, horizon - 257, horizon - 256, horizon - 1, horizon, 3*horizon + 5} {
		for _, start := range []int64{0, 1, 255, 256, 1000, 131_071} {
			w := &wheel{now: start}
			a := newAlarm(w)
			w.add(&a.Timer, start+at)
			w.advance(start + at - 1)
			if len(a.fired) != 0 || !a.Armed() {
				t.Fatalf("start %d, at +%d: fired at %v, too early", start, at, a.fired)
			}
			w.advance(start + at + 1000)
			if !slices.Equal(a.fired, []int64{start + at}) || a.Armed() {
				t.Fatalf("start %d, at +%d: fired at %v", start, at, a.fired)
			}
			if next := w.nextTick(); next >= 0 {
				t.Fatalf("start %d, at +%d: an empty wheel wants to wake at %d", start, at, next)
			}
		}
	}
}

func TestTimerPastFiresOnNextTick(t *testing.T) {
	w := &wheel{now: 1000}
	a := newAlarm(w)
	w.add(&a.Timer, 3)
	w.advance(1001)
	if !slices.Equal(a.fired, []int64{1001}) {
		t.Fatalf("fired at %v", a.fired)
	}
}

func TestExpiredMayChangeTimers(t *testing.T) {
	w := &wheel{}
	again, victim, other := newAlarm(w), newAlarm(w), newAlarm(w)
	again.then = func() {
		victim.unlink() // due in this very tick
		if len(again.fired) < 3 {
			w.add(&again.Timer, w.now) // for now, that is for the next tick
		}
		w.add(&other.Timer, w.now+300)
	}
	w.add(&again.Timer, 10)
	w.add(&victim.Timer, 10)
	w.advance(2000)
	if !slices.Equal(again.fired, []int64{10, 11, 12}) || len(victim.fired) != 0 || !slices.Equal(other.fired, []int64{312}) {
		t.Fatalf("again %v, victim %v, other %v", again.fired, victim.fired, other.fired)
	}
}

// TestWheelAgainstModel arms, stops and advances at random and compares with a
// plain list of deadlines.
func TestWheelAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &wheel{now: rapid.Int64Range(0, 1<<20).Draw(t, "start")}
		alarms := make([]*alarm, 12)
		due := make([]int64, len(alarms)) // 0 = not armed
		for i := range alarms {
			alarms[i] = newAlarm(w)
		}
		delay := rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 600), rapid.Int64Range(0, 3*farSlots*nearSlots))
		t.Repeat(map[string]func(*rapid.T){
			"arm": func(t *rapid.T) {
				i, d := rapid.IntRange(0, len(alarms)-1).Draw(t, "i"), delay.Draw(t, "delay")
				w.add(&alarms[i].Timer, w.now+d)
				due[i] = max(w.now+d, w.now+1)
			},
			"stop": func(t *rapid.T) {
				i := rapid.IntRange(0, len(alarms)-1).Draw(t, "i")
				alarms[i].unlink()
				due[i] = 0
			},
			"advance": func(t *rapid.T) {
				to := w.now + delay.Draw(t, "ticks")
				w.advance(to)
				for i, a := range alarms {
					var want []int64
					if due[i] > 0 && due[i] <= to {
						want, due[i] = []int64{due[i]}, 0
					}
					if !slices.Equal(a.fired, want) {
						t.Fatalf("timer %d fired at %v, want %v", i, a.fired, want)
					}
					a.fired = nil
				}
			},
			"": func(t *rapid.T) {
				next := w.nextTick()
				for i, at := range due {
					if (at > 0) != alarms[i].Armed() {
						t.Fatalf("timer %d: armed %v, due %d", i, alarms[i].Armed(), at)
					}
					if at > 0 && (next < 0 || next > at) {
						t.Fatalf("next wake-up is %d, but timer %d is due at %d", next, i, at)
					}
				}
			},
		})
	})
}

func BenchmarkTimer(b *testing.B) {
	w := &wheel{}
	a := newAlarm(w)
	b.ReportAllocs()
	for i := range b.N {
		w.add(&a.Timer, w.now+int64(i%90_000))
		a.unlink()
	}
}
