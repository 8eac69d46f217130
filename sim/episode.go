package sim

import (
	"slices"

	"slbctl/runtime/balance"
)

// episode is a part of the time that has a window of its own: a fault, a change, a drain or a deployment,
// with what it leaves behind.
type episode struct {
	name    string
	open    bool
	settled func() bool // nothing is left of it
}

// addEpisode prepares a window; they are told in the order in which they are added.
func (r *run) addEpisode(name string, settled func() bool) *episode {
	e := &episode{name: name, settled: settled}
	r.episodes = append(r.episodes, e)
	return e
}

// settle closes the windows of which nothing is left.
func (r *run) settle() {
	for _, e := range r.episodes {
		if e.open && e.settled() {
			e.open = false
			r.moved = true
		}
	}
	if r.moved && r.stretch != nil {
		r.moved = false
		r.openStretch()
	}
}

// calm reports whether shares are not about to change: what is known of the servers is known, and
// nobody warms up or keeps sessions for a while only.
func (r *run) calm() bool {
	return r.warms <= r.now && !slices.ContainsFunc(r.current(), func(s server) bool {
		return s.probed && s.verdict.Health() == balance.Unavailable
	})
}

// emptied reports whether nobody is on servers that let their connections go: their time is up, or they
// have none that they would cut off.
func (r *run) emptied(lines []int32) bool {
	for _, line := range lines {
		if cut := r.servers[line].cutAt; cut > r.now && r.busyLine(line, r.servers[line].cutFrom) {
			return false
		}
	}
	return true
}
