package balance

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/spec"
)

func TestWarmth(t *testing.T) {
	p := &Pool{SlowStart: 15 * time.Second}
	for _, c := range []struct {
		age  time.Duration
		step int
		next time.Duration
	}{
		{-time.Second, 1, time.Second},
		{0, 1, time.Second},
		{999 * time.Millisecond, 1, time.Millisecond},
		{time.Second, 2, time.Second},
		{14 * time.Second, 15, time.Second},
		{15*time.Second - 1, 15, 1},
		{15 * time.Second, 16, 0},
		{time.Hour, 16, 0},
	} {
		if step, next := p.Warmth(c.age); step != c.step || next != c.next {
			t.Errorf("at %v: %d for %v, want %d for %v", c.age, step, next, c.step, c.next)
		}
	}
	if step, next := (&Pool{}).Warmth(0); step != Warm || next != 0 {
		t.Errorf("without slow start %d for %v", step, next)
	}
}

// next is the very moment of the next step, whatever the times.
func TestWarmthSaysWhen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Pool{SlowStart: time.Duration(rapid.Int64Range(int64(time.Microsecond), int64(time.Hour)).Draw(t, "slow start"))}
		age := time.Duration(rapid.Int64Range(0, int64(p.SlowStart)-1).Draw(t, "age"))
		step, next := p.Warmth(age)
		if before, _ := p.Warmth(age + next - 1); before != step || next <= 0 {
			t.Fatalf("step %d at %v for %v, but %d a moment before", step, age, next, before)
		}
		if after, _ := p.Warmth(age + next); after != step+1 {
			t.Fatalf("step %d at %v for %v, then %d", step, age, next, after)
		}
	})
}

func TestTableWarm(t *testing.T) {
	warmth := func(steps ...int) func(int) int { return func(i int) int { return steps[i] } }
	for _, c := range []struct {
		weights, steps []int
		want           []float64 // of all but rr, which has no weights
		rr             []float64
	}{
		{[]int{100, 100}, []int{16, 1}, []float64{16. / 17, 1. / 17}, []float64{16. / 17, 1. / 17}},
		{[]int{100, 50}, []int{8, 16}, []float64{.5, .5}, []float64{1. / 3, 2. / 3}},
		{[]int{100, 0, 1}, []int{16, 16, 1}, []float64{1600. / 1601, 0, 1. / 1601}, []float64{16. / 17, 0, 1. / 17}},
		{[]int{1, 1}, []int{0, 99}, []float64{1. / 17, 16. / 17}, []float64{1. / 17, 16. / 17}}, // kept within 1 and 16
		{[]int{3, 1}, []int{1, 1}, []float64{.75, .25}, []float64{.5, .5}},                      // all cold are as all warm
	} {
		for _, scheduler := range schedulers {
			want := c.want
			if scheduler == spec.SchedulerRR {
				want = c.rr
			}
			l := group(scheduler, c.weights...)
			for i, got := range l.TableWarm(well, warmth(c.steps...)).Shares() {
				if d := got - want[i]; d > 1e-4 || d < -1e-4 {
					t.Errorf("%s %v at %v: %s gets %f, want %f", scheduler, c.weights, c.steps, l.Backends[i].Name, got, want[i])
				}
			}
		}
	}
	l := group(spec.SchedulerWRR, 4, 3, 2)
	if got := picks(t, l.TableWarm(well, warmth(4, 4, 8)), NewState(&l.Pool, nil), 11); got != "ACBACBACBAC" {
		t.Errorf("weights 16, 12, 16: %s", got)
	}
}

// The ticket goes on from one step to the next, and nobody is left out.
func TestWarmUp(t *testing.T) {
	for _, scheduler := range schedulers {
		l := group(scheduler, repeat(20, 100)...)
		s := NewState(&l.Pool, nil)
		counts := make([]int, len(l.Backends))
		for step := 1; step <= Warm; step++ {
			table := l.TableWarm(well, func(i int) int {
				if i == 0 {
					return step
				}
				return Warm
			})
			for k := range 4000 {
				i, ok := table.Pick(s, clientAt(step*4000+k), nil)
				if !ok {
					t.Fatal("nothing to pick")
				}
				s.Done(i)
				counts[i]++
			}
		}
		// 16 steps from 1/16 on are 8.5 whole ones of 19 + step/16 servers each.
		if counts[0] < 1450 || counts[0] > 2000 {
			t.Errorf("%s: the new server got %d of 64000, want about 1735", scheduler, counts[0])
		}
	}
}
