package sim

import (
	"slbctl/spec"
)

// probe sends one probe. Nearly always its result is there at once.
func (r *run) probe(i int) (verdict bool) {
	s := &r.servers[i]
	took, ok := s.probe()
	if took == 0 {
		return r.probed(i, ok)
	}
	s.asked, s.until, s.passing, s.hung = r.now, r.now+took, ok, s.answer() == mute && s.check.Type == spec.CheckHTTP
	r.events.push(event{s.until, probeEnds, i})
	return false
}

// probe is how long a probe takes that begins now, and how it ends. What a server that hangs is asked over HTTP
// it does not answer; a check of UDP takes silence for health unless it expects an answer.
func (s *server) probe() (took int64, ok bool) {
	a, timeout := s.answer(), int64(s.check.Timeout)
	switch {
	case a == refuses:
		return 0, false
	case s.check.Type == spec.CheckHTTP && a == mute:
		return timeout, false
	case s.check.Type == spec.CheckHTTP:
		ok, took = s.passes(), s.delay+s.slack
		if s.check.Method == "get" {
			took += s.drag
		}
		return min(took, timeout), ok && took < timeout
	case s.check.Type == spec.CheckUDP && a == mute:
		return timeout, s.check.Expect == ""
	}
	return 0, true
}

func (r *run) probed(i int, ok bool) (verdict bool) {
	s := &r.servers[i]
	r.events.push(event{r.now + int64(s.check.Interval), probeStarts, i})
	if verdict = s.verdict.Observe(ok, s.check); verdict {
		s.since = r.now
	}
	return verdict
}
