package balance

import (
	"testing"

	"slbctl/spec"
)

var drawing = []string{spec.SchedulerP2C, spec.SchedulerLeast}

// The first outputs of SplitMix64 for this seed, as published with it.
func TestMix(t *testing.T) {
	state := uint64(1234567)
	for _, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		state += 0x9e3779b97f4a7c15
		if got := mix(state); got != want {
			t.Errorf("mix is %d, want %d", got, want)
		}
	}
}

// measure picks n times with these connections in flight and returns each
// server's share.
func measure(l *Listener, n int, inFlight ...int) []float64 {
	table, s := l.Table(well), NewState(&l.Pool, nil)
	for i, k := range inFlight {
		s.flights[i].active.Store(int64(k))
	}
	shares := make([]float64, len(l.Backends))
	for range n {
		i, _ := table.Pick(s, &Client{}, nil)
		s.Done(i)
		shares[i] += 1 / float64(n)
	}
	return shares
}

func TestDraws(t *testing.T) {
	cases := []struct {
		scheduler string
		weights   []int
		inFlight  []int
		want      []float64
	}{
		// Idle: by weight.
		{spec.SchedulerP2C, []int{1, 1, 1, 1}, nil, []float64{.25, .25, .25, .25}},
		{spec.SchedulerP2C, []int{5, 1, 1}, nil, []float64{5. / 7, 1. / 7, 1. / 7}},
		{spec.SchedulerP2C, []int{100, 0, 50}, nil, []float64{2. / 3, 0, 1. / 3}},
		{spec.SchedulerLeast, []int{5, 1, 1}, nil, []float64{5. / 7, 1. / 7, 1. / 7}},
		{spec.SchedulerLeast, []int{3, 3}, nil, []float64{.5, .5}},
		// The more loaded of two distinct servers is never taken: without
		// replacement, one that is above all others gets nothing.
		{spec.SchedulerP2C, []int{1, 1, 1}, []int{9, 0, 0}, []float64{0, .5, .5}},
		{spec.SchedulerLeast, []int{1, 1, 1}, []int{9, 0, 0}, []float64{0, .5, .5}},
		// 4 on weight 5 are fewer than 1 on weight 1.
		{spec.SchedulerP2C, []int{5, 1}, []int{4, 1}, []float64{1, 0}},
		{spec.SchedulerP2C, []int{5, 1}, []int{6, 1}, []float64{0, 1}},
		// The second draw is by weight too: A first (1/2) leads to B or C as 3 to 1;
		// B first (3/8) or C first (1/8) stay.
		{spec.SchedulerP2C, []int{4, 3, 1}, []int{40, 0, 0}, []float64{0, .75, .25}},
		// Weight over load: 2/10 against 1/1, and 2/100 against 1/50.
		{spec.SchedulerLeast, []int{2, 1}, []int{9, 0}, []float64{1. / 6, 5. / 6}},
		{spec.SchedulerLeast, []int{2, 1}, []int{99, 49}, []float64{.5, .5}},
		{spec.SchedulerLeast, []int{6, 3, 1}, []int{1, 2, 0}, []float64{.6, .2, .2}},
	}
	for _, c := range cases {
		l := group(c.scheduler, c.weights...)
		for i, got := range measure(l, 60_000, c.inFlight...) {
			// Four standard deviations of a share of a half.
			if d := got - c.want[i]; d > 0.0085 || d < -0.0085 {
				t.Errorf("%s %v with %v in flight: %s gets %.4f, want %.4f", c.scheduler, c.weights, c.inFlight, l.Backends[i].Name, got, c.want[i])
			}
		}
	}
}

// What is drawn follows from seed and ticket: alike in every run, as in sim so
// live, and whatever came before.
func TestDrawsFollowFromTheTicket(t *testing.T) {
	// The numbers below 6 that stand for ABC's places AAABBC; idle, both are alike.
	const golden = "CBAACBCCAAACBCAACAAB"
	for _, scheduler := range drawing {
		l := group(scheduler, 3, 2, 1)
		all := picks(t, l.Table(well), NewState(&l.Pool, nil), 40)
		if all[:20] != golden {
			t.Errorf("%s: %s, want %s", scheduler, all[:20], golden)
		}
		s := NewState(&l.Pool, nil)
		s.history.tickets.Store(17)
		if got := picks(t, l.Table(well), s, 23); got != all[17:] {
			t.Errorf("%s: from ticket 17 on %s, want %s", scheduler, got, all[17:])
		}
		l.seed++
		if got := picks(t, l.Table(well), NewState(&l.Pool, nil), 40); got == all {
			t.Errorf("%s: another seed draws the same", scheduler)
		}
	}
}

// 1,000 balls in as many bins: two choices keep the fullest at log log n and
// some, where one choice gives it 5 or 6 (Mitzenmacher).
func TestTwoChoicesKeepTheFullestLow(t *testing.T) {
	for _, scheduler := range drawing {
		l := group(scheduler, repeat(1000, 1)...)
		table, s := l.Table(well), NewState(&l.Pool, nil)
		for range l.Backends {
			table.Pick(s, &Client{}, nil)
		}
		for i := range l.Backends {
			if n := s.Active(i); n > 3 {
				t.Errorf("%s: %d in flight to %s, want at most 3", scheduler, n, l.Backends[i].Name)
			}
		}
	}
}
