// Package balance decides: which server takes a connection, and whether a
// server is well. The live proxy asks it from its loops, the simulator from
// virtual time and the plan on paper, so what they say cannot drift apart.
//
//	listeners, err := balance.Compile(config)
//	l := listeners[0]
//	state := balance.NewState(&l.Pool, nil)
//	table := l.Table(func(i int) balance.Health { return balance.Normal })
//	i, ok := table.Pick(state, balance.Client{Source: peer}, nil)
//	if ok {
//		connect(l.Backends[i].Endpoint)
//		state.Done(i)
//	}
//
// The package is pure: no clock, no goroutine, no socket, no random number. A
// Listener and a Table never change once made and may be shared by any number of
// threads; what changes between two picks lives in State, which is safe for
// concurrent use.
package balance
