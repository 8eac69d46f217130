package balance

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRateAllow(t *testing.T) {
	ms := func(n int64) int64 { return n * int64(time.Millisecond) }
	r := NewRate(10, 3) // one every 100 ms, three at once
	for _, step := range []struct {
		now, n int64
		want   bool
	}{
		{ms(0), 1, true}, {ms(0), 1, true}, {ms(0), 1, true}, {ms(0), 1, false},
		{ms(99), 1, false}, {ms(100), 1, true}, {ms(100), 1, false},
		{ms(300), 3, false}, {ms(300), 2, true}, {ms(300), 1, false},
		{ms(5000), 4, false}, {ms(5000), 3, true}, {ms(5000), 1, false},
	} {
		if got := r.Allow(step.now, step.n); got != step.want {
			t.Errorf("%d at %v: %v, want %v", step.n, time.Duration(step.now), got, step.want)
		}
	}
	third := NewRate(3, 1)
	if third.Allow(0, 1); third.Allow(333_333_333, 1) || !third.Allow(333_333_334, 1) {
		t.Error("a third of a second is over when it is over")
	}
	var none *Rate
	if !none.Allow(0, 1<<40) || none.Take(0, 1<<40) != 0 || NewRate(0, 5) != nil {
		t.Error("no rate holds somebody up")
	}
}

func TestRateTake(t *testing.T) {
	r := NewRate(1000, 500) // a byte every ms
	for _, step := range []struct{ now, n, wait time.Duration }{
		{0, 400, 0},
		{0, 100, 0},
		{0, 100, 100 * time.Millisecond},
		{0, 100, 200 * time.Millisecond},
		{200 * time.Millisecond, 0, 0},
		{250 * time.Millisecond, 100, 50 * time.Millisecond},
		{10 * time.Second, 1000, 500 * time.Millisecond},
	} {
		if got := r.Take(int64(step.now), int64(step.n)); got != int64(step.wait) {
			t.Errorf("%d at %v: wait %v, want %v", step.n, step.now, time.Duration(got), step.wait)
		}
	}
}

// Whatever comes when, no stretch of time passes more than its rate and one burst,
// and who keeps to the rate is never refused.
func TestRateBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond, burst := rapid.IntRange(1, 1_000_000).Draw(t, "rate"), rapid.IntRange(1, 1000).Draw(t, "burst")
		r := NewRate(perSecond, burst)
		type event struct{ now, n int64 }
		var passed []event
		bucket, last, now := float64(burst), int64(0), int64(0)
		for range 60 {
			now += rapid.Int64Range(0, 3e9/int64(perSecond)).Draw(t, "pause")
			n := rapid.Int64Range(1, int64(burst)).Draw(t, "n")
			bucket = min(bucket+float64(now-last)*float64(perSecond)/1e9, float64(burst))
			last = now
			ok := r.Allow(now, n)
			slack := 1e-6 * float64(perSecond) // 60 roundings of at most 1 ns, and some
			if !ok && bucket >= float64(n)+slack || ok && bucket < float64(n)-slack {
				t.Fatalf("%d at %d: %v with %f left", n, now, ok, bucket)
			}
			if !ok {
				continue
			}
			bucket -= float64(n)
			passed = append(passed, event{now, n})
			sum := int64(0)
			for i := len(passed) - 1; i >= 0; i-- {
				sum += passed[i].n
				due := float64(now-passed[i].now)*float64(perSecond)/1e9 + float64(burst)
				if float64(sum) > due+1e-6 {
					t.Fatalf("%d passed within %d ns, at most %f may", sum, now-passed[i].now, due)
				}
			}
		}
	})
}

func TestRateConcurrently(t *testing.T) {
	r := NewRate(1000, 100)
	var passed [8]int
	var loops sync.WaitGroup
	for k := range passed {
		loops.Go(func() {
			for now := range int64(1000) {
				if r.Allow(now*1e6, 1) {
					passed[k]++
				}
			}
		})
	}
	loops.Wait()
	sum := 0
	for _, n := range passed {
		sum += n
	}
	// A second's worth and the burst; loops whose clock is behind may be refused.
	if sum > 1099 || sum < 900 {
		t.Errorf("%d passed in a second", sum)
	}
}

func TestLimit(t *testing.T) {
	l := NewLimit(2)
	for k, want := range []bool{true, true, false} {
		if got := l.Enter(); got != want {
			t.Errorf("%d of two may enter: %v", k+1, got)
		}
	}
	l.Leave()
	if !l.Enter() || l.Enter() {
		t.Error("one left and one may enter")
	}
	unbounded, none := NewLimit(0), (*Limit)(nil)
	for range 100 {
		if !unbounded.Enter() || !none.Enter() {
			t.Fatal("refused without a limit")
		}
	}
	none.Leave()
	if unbounded.Open() != 100 || none.Open() != 0 {
		t.Errorf("%d and %d are open, want 100 and 0", unbounded.Open(), none.Open())
	}
	for range 50 {
		unbounded.Leave()
	}
	unbounded.Enter()
	if l.Peak() != 2 || unbounded.Peak() != 100 || none.Peak() != 0 {
		t.Errorf("at most %d, %d and %d were open, want 2, 100 and 0", l.Peak(), unbounded.Peak(), none.Peak())
	}
}

func TestLimitConcurrently(t *testing.T) {
	l := NewLimit(5)
	var loops sync.WaitGroup
	for range 8 {
		loops.Go(func() {
			for range 1000 {
				if l.Enter() {
					if n := l.Open(); n > 5 {
						t.Errorf("%d are open", n)
					}
					l.Leave()
				}
			}
		})
	}
	loops.Wait()
	if l.Open() != 0 || l.Peak() < 1 || l.Peak() > 5 {
		t.Errorf("%d are open, want 0; at most %d were", l.Open(), l.Peak())
	}
}

func BenchmarkRate(b *testing.B) {
	r := NewRate(1_000_000_000, 1000)
	for k := int64(0); b.Loop(); k++ {
		r.Allow(k, 1)
	}
}
