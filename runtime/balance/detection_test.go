package balance

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/spec"
)

func TestDetection(t *testing.T) {
	const s = time.Second
	check := Check{Enabled: true, Type: spec.CheckTCP, Interval: 2 * s, Timeout: 5 * s, Healthy: 3, Unhealthy: 3}
	if got, want := check.Detection(), (Detection{Dead: 6 * s, Silent: 21 * s, Back: 6 * s, BackSilent: 11 * s}); got != want {
		t.Errorf("the defaults: %+v, want %+v", got, want)
	}
	check.Type = spec.CheckUDP
	if got, want := check.Detection(), (Detection{Dead: 11 * s, Silent: -1, Back: 21 * s, BackSilent: -1}); got != want {
		t.Errorf("UDP without an answer: %+v, want %+v", got, want)
	}
	check.Expect = "pong"
	if got, want := check.Detection(), (Detection{Dead: 6 * s, Silent: 21 * s, Back: 6 * s, BackSilent: 11 * s}); got != want {
		t.Errorf("UDP with an answer: %+v, want %+v", got, want)
	}
}

// TestDetectionIsTheWorst has a server die, and come back, at every moment of a cycle of
// probes: none takes longer than is said, and the worst takes just as long.
func TestDetectionIsTheWorst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.IntRange(1, 5).Draw(t, "interval"))
		c := Check{
			Enabled: true, Type: spec.CheckTCP, Interval: interval, Timeout: interval + time.Duration(rapid.IntRange(0, 5).Draw(t, "timeout")),
			Healthy: rapid.IntRange(1, 4).Draw(t, "healthy"), Unhealthy: rapid.IntRange(1, 4).Draw(t, "unhealthy"),
		}
		d := c.Detection()
		for _, silent := range []bool{false, true} {
			dead, back := d.Dead, d.Back
			if silent {
				dead, back = d.Silent, d.BackSilent
			}
			var noticed, returned time.Duration
			const cycle = 5 + 10 // of probes, at the longest
			for phase := range time.Duration(cycle * cycle) {
				dies := 100 + phase%cycle
				revives := dies + 200 + phase/cycle
				n, r := seen(c, silent, dies, revives)
				noticed, returned = max(noticed, n-dies), max(returned, r-revives)
			}
			if noticed != dead || returned != back {
				t.Fatalf("%+v, silent %v: noticed after %d, said %d; back after %d, said %d", c, silent, noticed, dead, returned, back)
			}
		}
	})
}

// seen runs probes from time 0 of a server that is dead from one time to another, and
// says when each was noticed. A probe is lost whose server is dead as it begins.
func seen(c Check, silent bool, dies, revives time.Duration) (noticed, returned time.Duration) {
	var v Verdict
	for now := time.Duration(0); ; now += c.Interval {
		ok := now <= dies || now > revives
		if !ok && silent {
			now += c.Timeout
		}
		if !v.Observe(ok, c) {
			continue
		}
		if v.Health() == Abnormal {
			noticed = now
		} else if noticed > 0 {
			return noticed, now
		}
	}
}
