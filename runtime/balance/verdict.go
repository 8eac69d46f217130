package balance

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

// MarshalText gives the word that String does.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads it back; any other word is Unavailable.
func (h *Health) UnmarshalText(word []byte) error {
	*h = Unavailable
	for _, known := range [...]Health{Normal, Abnormal} {
		if string(word) == known.String() {
			*h = known
		}
	}
	return nil
}
