package balance

import (
	"testing"
	"time"
)

var productCheck = Check{Enabled: true, Interval: 2 * time.Second, Timeout: 5 * time.Second, Healthy: 3, Unhealthy: 3}

func TestVerdict(t *testing.T) {
	cases := []struct {
		name, results string // + is a success, - a failure
		want          string // u, n, a: the health after each
	}{
		{"the first success is enough", "+", "n"},
		{"a new server needs a row of failures", "---", "uua"},
		{"a failure does not delay the first success", "--+", "uun"},
		{"failures in a row", "+---", "nnna"},
		{"a success breaks the row", "+--+--+---", "nnnnnnnnna"},
		{"successes in a row", "---+++", "uuaaan"},
		{"a failure breaks that row too", "---++-+++", "uuaaaaaan"},
		{"after recovery the thresholds count anew", "---+++--+", "uuaaannnn"},
	}
	letter := map[Health]byte{Unavailable: 'u', Normal: 'n', Abnormal: 'a'}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var v Verdict
			var got []byte
			for _, r := range c.results {
				before := v.Health()
				changed := v.Observe(r == '+', productCheck)
				if changed != (before != v.Health()) {
					t.Errorf("changed is %v from %v to %v", changed, before, v.Health())
				}
				got = append(got, letter[v.Health()])
			}
			if string(got) != c.want {
				t.Errorf("%s gives %s, want %s", c.results, got, c.want)
			}
		})
	}
}

func TestThresholdOfOne(t *testing.T) {
	var v Verdict
	c := Check{Healthy: 1, Unhealthy: 1}
	for _, ok := range []bool{false, true, false} {
		if !v.Observe(ok, c) {
			t.Errorf("%v did not turn the verdict", ok)
		}
	}
}

func TestHealthWords(t *testing.T) {
	for h, want := range map[Health]string{Unavailable: "unavailable", Normal: "normal", Abnormal: "abnormal"} {
		if h.String() != want {
			t.Errorf("%d is %q, want %q", h, h, want)
		}
	}
}

// The product documents how long a verdict takes with the default check: 19 s to
// call a silent server abnormal, and 7 s to call one normal that answers in a second.
func TestDocumentedTimes(t *testing.T) {
	// until returns the time from the start of the first probe of a kind to the
	// verdict it leads to, each probe taking the given time.
	until := func(v *Verdict, ok bool, probe time.Duration) time.Duration {
		for now := time.Duration(0); ; now += productCheck.Interval {
			now += probe
			if v.Observe(ok, productCheck) {
				return now
			}
		}
	}
	v := &Verdict{health: Normal}
	if got := until(v, false, productCheck.Timeout); got != 19*time.Second {
		t.Errorf("abnormal after %v, want 19s", got)
	}
	if got := until(v, true, time.Second); got != 7*time.Second {
		t.Errorf("normal after %v, want 7s", got)
	}
	if got := until(v, false, 0); got != 4*time.Second {
		t.Errorf("a server that refuses is abnormal after %v, want 4s", got)
	}
}
