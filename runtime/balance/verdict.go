package balance

import "time"

// Health is what is known of a backend.
type Health uint8

// The healths, named as the product's status calls them.
const (
	Unavailable Health = iota // not known yet
	Normal
	Abnormal
)

// String returns the word that status prints.
func (h Health) String() string {
	switch h {
	case Normal:
		return "normal"
	case Abnormal:
		return "abnormal"
	default:
		return "unavailable"
	}
}

// Check is how the backends of a listener are probed.
type Check struct {
	Enabled bool
	// Interval is the pause between the end of one probe and the start of the
	// next, so a server that answers nothing is called abnormal
	// Unhealthy*Timeout + (Unhealthy-1)*Interval after its first lost probe.
	Interval time.Duration
	// Timeout ends a probe that got no answer. It is never shorter than
	// Interval: the product ignores a timeout below the interval.
	Timeout time.Duration
	// Healthy and Unhealthy are how many equal results in a row change the verdict.
	Healthy, Unhealthy int
}

// Verdict turns the probe results of one backend into its health. The zero value
// knows nothing yet: it is Unavailable.
type Verdict struct {
	health Health
	run    int // results in a row that contradict health
}

// Observe takes one probe result and reports whether it changed the health.
//
// The very first success makes a backend normal, so that an apply need not wait
// for a whole row of them; the thresholds count from then on.
func (v *Verdict) Observe(ok bool, c Check) (changed bool) {
	if v.health == Unavailable && ok {
		v.health, v.run = Normal, 0
		return true
	}
	if ok && v.health == Normal || !ok && v.health == Abnormal {
		v.run = 0
		return false
	}
	v.run++
	if ok && v.run >= c.Healthy {
		v.health, v.run = Normal, 0
		return true
	}
	if !ok && v.run >= c.Unhealthy {
		v.health, v.run = Abnormal, 0
		return true
	}
	return false
}

// Health returns the verdict so far.
func (v *Verdict) Health() Health { return v.health }
