// Package balance decides: whether a client passes, which rule takes its request,
// which server serves it, and whether a server is well. The live proxy asks it from
// its loops, the simulator from virtual time and the plan on paper, so what they
// say cannot drift apart.
//
//	listeners, err := balance.Compile(config)
//	l := listeners[0]
//	state := balance.NewState(&l.Pool, nil)
//	table := l.Table(func(i int) balance.Health { return balance.Normal })
//	i, ok := table.PickClient(state, &balance.Client{Source: peer}, nil, now)
//	if ok {
//		connect(l.Backends[i].Endpoint)
//		state.Done(i)
//	}
//
// An HTTP listener has a state and a table for each of its Pools. What is asked about a
// client and its requests, in this order:
//
//	a := l.Admit(client.Source.Addr(), quota, now) // else reset
//	ok := quota.MayAsk(quota.Listeners[l.Address], now) // else 503
//	r, ok := l.RouteRequest(scratch, host, target) // else 400, 404 or a redirect
//	sticky := l.Pools()[r.Pool].StickyBackend(cookie)
//	i, kept, ok := tables[r.Pool].PickRequest(states[r.Pool], client, sticky, tried)
//	inserts := l.Pools()[r.Pool].Sticky.Inserts(kept, status) // a cookie into the answer
//
// The package is pure: no clock, no goroutine, no socket, no random number but what
// follows from seed and ticket. A Listener, its Pools and a Table never change once
// made and may be shared by any number of threads; what changes between two picks
// lives in State, Rate and Limit, which are safe for concurrent use.
package balance
