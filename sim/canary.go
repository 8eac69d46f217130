package sim

import (
	"slices"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// Moving is a listener's or rule's traffic on its way through the steps of a canary.
type Moving struct {
	Backends []MovingShare `json:"backends"` // those after the change, then those that leave
	Listener string        `json:"listener"` // resource address; of a rule for its own servers
}

// MovingShare is a server's part of new connections: before the change, in each step, and
// after it.
type MovingShare struct {
	Address string    `json:"address"`
	Shares  []float64 `json:"shares"`
}

// ForeseeCanary tells how the steps of a change divide the traffic of each listener and
// rule whose traffic moves, by counting over the tables of the steps that the daemon makes.
// was gives the address before the change of what has another one since; drained are the
// servers taken out by hand, under both.
func ForeseeCanary(before, after *spec.Config, was func(string) string, percents []int, drained ...string) ([]Moving, error) {
	old, err := balance.Compile(before)
	if err != nil {
		return nil, err
	}
	fresh, err := balance.Compile(after)
	if err != nil {
		return nil, err
	}
	balance.Drained(old, drained)
	balance.Drained(fresh, drained)
	find := map[string]*balance.Listener{}
	for _, l := range old {
		find[l.Address] = l
	}
	stopped := map[string]bool{}
	for _, c := range []*spec.Config{before, after} { // what one has not, the other may
		for _, i := range c.Instances {
			stopped[i.Address] = i.Status == spec.StatusStopped
		}
	}
	var out []Moving
	for _, l := range fresh {
		moving, err := moving(find[was(l.Address)], l, was, percents, stopped)
		if err != nil {
			return nil, err
		}
		out = append(out, moving...)
	}
	slices.SortStableFunc(out, func(a, b Moving) int { return spec.CompareAddresses(a.Listener, b.Listener) })
	return out, nil
}

// moving follows one listener through the steps. All have the same pools and servers.
func moving(before, after *balance.Listener, was func(string) string, percents []int, stopped map[string]bool) ([]Moving, error) {
	var out []Moving
	for _, percent := range slices.Concat([]int{0}, percents, []int{100}) {
		step, err := balance.NewCanary(before, after, was, percent)
		if err != nil {
			return nil, err
		}
		pools := step.Pools()
		for n, s := range step.Shifts {
			p := pools[s.Pool]
			if n == len(out) {
				m := Moving{Listener: p.Owner}
				for _, b := range p.Backends {
					m.Backends = append(m.Backends, MovingShare{Address: b.Name})
				}
				out = append(out, m)
			}
			shares := p.Table(func(i int) balance.Health {
				if stopped[p.Backends[i].Instance] {
					return balance.Abnormal
				}
				return balance.Normal
			}).Shares()
			for i := range p.Backends {
				b := &out[n].Backends[i]
				b.Shares = append(b.Shares, shares[i])
			}
		}
	}
	return out, nil
}
