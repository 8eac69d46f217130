package runtime

import (
	"fmt"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/health"
)

// Standing implements control.Engine. As with Explain all is of one moment.
func (e *engine) Standing(address string) (*control.Standing, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	live := e.listeners[address]
	if live == nil {
		return nil, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("%s does not run here: `slbctl status` lists the listeners", address)}
	}
	s := &control.Standing{Config: e.live.Config, Drained: e.out(e.drained, nil), Generation: e.live.Generation, Pools: []balance.Standing{}}
	taken := e.taken(live)
	for n, p := range live.spec.Pools() {
		servers := make([]balance.ServerStanding, len(p.Backends))
		for i := range servers {
			servers[i] = e.serverStanding(p, i)
			servers[i].Requests = taken[n][i]
		}
		s.Pools = append(s.Pools, live.states[n].Stand(servers))
	}
	return s, nil
}

func (e *engine) serverStanding(p *balance.Pool, i int) balance.ServerStanding {
	if !p.Probed(i) {
		return balance.ServerStanding{Age: time.Since(e.started)}
	}
	t := targetOf(p, i)
	ev := e.verdicts[t]
	since := ev.Since
	if since.IsZero() {
		since = e.started
	}
	due := e.prober.Due(health.Target{Listener: t.owner, Backend: t.backend, Endpoint: t.endpoint})
	return balance.ServerStanding{Age: time.Since(since), Health: ev.Health, Probe: due}
}
