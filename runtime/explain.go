package runtime

import (
	"slbctl/runtime/balance"
	"slbctl/runtime/explain"
)

// Explain implements control.Engine. The whole answer is of one moment: verdicts and
// tables do not change meanwhile, and the data path takes no notice.
func (e *engine) Explain(q explain.Question) (*explain.Explanation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &explain.World{Config: e.live.Config, Source: explain.FromRuntime, Generation: e.live.Generation}
	if e.names != nil {
		w.Zones = e.names.Zones()
	}
	if e.balancer != nil {
		w.Now = e.balancer.Now()
	}
	for _, lb := range e.live.Config.LoadBalancers {
		for _, l := range lb.Listeners {
			if live := e.listeners[l.Address]; live != nil {
				w.Listeners = append(w.Listeners, e.explained(live))
			}
		}
	}
	return w.Explain(q)
}

func (e *engine) explained(live *listener) explain.Listener {
	pools := live.spec.Pools()
	return explain.Listener{
		Listener: live.spec, States: live.states, Tables: live.tables,
		Health: func(pool, i int) (balance.Health, string) {
			ev := e.verdictOn(live, pools[pool], i)
			return ev.Health, ev.Reason
		},
	}
}
