package balance

import (
	"time"

	"slbctl/spec"
)

// Detection is how long it takes a check, at most, to notice that a server has changed.
type Detection struct {
	// Dead is of a server that refuses, Silent of one that does not answer; below 0 is
	// never, where silence is health.
	Dead, Silent time.Duration
	// Back is of a server that answers again after it refused, BackSilent of one that
	// did not answer.
	Back, BackSilent time.Duration
}

// Detection counts the probes that Verdict asks for, one Interval after the end of the
// other. At worst a server changes while a probe is under way that has seen it as it was.
// What a refusal or an answer takes is not counted: connections on a healthy network. Only
// the check of UDP that expects no answer waits for its Timeout to hear nothing.
func (c Check) Detection() Detection {
	var passing time.Duration
	silence := c.Type == spec.CheckUDP && c.Expect == ""
	if silence {
		passing = c.Timeout
	}
	d := Detection{
		Dead:       passing + c.Interval + c.untilVerdict(Abnormal, 0),
		Silent:     passing + c.Interval + c.untilVerdict(Abnormal, c.Timeout),
		Back:       c.Interval + c.untilVerdict(Normal, passing),
		BackSilent: c.Timeout + c.Interval + c.untilVerdict(Normal, passing),
	}
	if silence {
		d.Silent, d.BackSilent = -1, -1
	}
	return d
}

// untilVerdict is how long probes, each of which takes so long and says the same, take to
// bring about a verdict.
func (c Check) untilVerdict(to Health, probe time.Duration) (total time.Duration) {
	v := Verdict{health: Normal}
	if to == Normal {
		v.health = Abnormal
	}
	for total = probe; !v.Observe(to == Normal, c); total += probe {
		total += c.Interval
	}
	return total
}
