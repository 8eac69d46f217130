//go:build linux

// Package proxy is the live data plane: layer-4 TCP balancing on the loops of
// package netloop, with every decision taken by package balance.
//
//	server, err := proxy.New(proxy.Options{})
//	socket, err := server.Bind(netip.MustParseAddrPort("127.0.0.1:8080"))
//	state := balance.NewState(&listener.Pool, nil)
//	handler := proxy.NewHandler(listener, state, nil)
//	handler.SetTable(listener.Table(health))
//	socket.Serve(handler) // from here on connections are accepted
//
// A Socket outlives what it serves. A change makes a new Handler from the old
// one and swaps it in with Serve; connections that are open keep theirs. What
// takes servers away comes in two steps: first a Table or Handler without them,
// then [Handler.Drain] for what they still have.
//
// Each connection is a record of one loop, never a goroutine, and its bytes
// cross user space through the loop's scratch buffer: recv, send, and nothing
// else. What the other side does not take is kept aside, at most one buffer of
// 64 KiB for each direction, and reading pauses until it is gone. A direction
// that keeps filling the buffer is spliced in the kernel instead.
package proxy
