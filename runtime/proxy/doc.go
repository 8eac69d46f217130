//go:build linux

// Package proxy is the live data plane: it balances TCP connections, UDP sessions and
// HTTP requests on the loops of package netloop, with every decision taken by package
// balance.
//
//	server, err := proxy.New(proxy.Options{})
//	socket, err := server.Bind(netip.MustParseAddrPort("127.0.0.1:8080"))
//	var states []*balance.State // one for each pool: the listener's own, then its rules'
//	for _, pool := range listener.Pools() {
//		states = append(states, balance.NewState(pool, nil))
//	}
//	handler := proxy.NewHandler(listener, states, nil, nil)
//	for i, pool := range listener.Pools() {
//		handler.SetTable(i, pool.Table(health))
//	}
//	socket.Serve(handler) // from here on connections are accepted
//
// A Socket outlives what it serves. A change makes a new Handler from the old
// one and swaps it in with Serve; connections that are open keep theirs, and an HTTP
// client's next request takes the new one. What takes servers away comes in two steps:
// first a Table or Handler without them, then [Handler.Drain] for what they still have.
//
// Each connection is a record of one loop, never a goroutine, and its bytes
// cross user space through the loop's scratch buffer: recv, send, and nothing
// else. What the other side does not take is kept aside, at most one buffer of
// 64 KiB for each direction, and reading pauses until it is gone. A direction
// that keeps filling the buffer is spliced in the kernel instead; not so for HTTP,
// where every byte is looked at.
//
// # HTTP
//
// A client's connection (httpConn) lends itself a server's (serverConn) for one
// exchange. Between two exchanges the client's holds its record only, and the server's
// waits in the loop's list for that endpoint, for whichever client asks next. One
// exchange goes through these stages:
//
//	idle → reading → connecting → asking → answering → settling → idle, leaving or lingering
//
// What the client sends ahead is not read before its turn: one request of a connection
// is under way at a time, and the next begins when its answer is written. No answer
// begins the next request on the stack of the one before.
//
// Package http1 reads and writes the heads and finds the ends of bodies. What it refuses
// is answered here and never counts against a server; when a server may have seen the
// beginning of a refused request, or has said anything that was not asked for, its
// connection is not used again.
//
// A request is sent once more, to another server, when it could not be connected. So is
// one that a server has taken with it, before it said anything, if its method is idempotent
// and all of it has come, but once only; beyond that it takes the listener's retry. A
// connection that had waited and turns out to be dead is no failure: the same server gets
// an idempotent request on a fresh one. Any other request is only sent on a connection that
// the kernel knows of no end of, and never twice.
//
// Every exchange ends in one line of the access log, at the latest in close; an exchange
// is over when its answer is complete or its client gone. In flight are those that have
// a server, also when their client has gone (see orphan).
//
// # TLS and HTTP/2
//
// A Handler with [Handler.Secure] makes its clients shake hands first: crypto/tls over a
// socket that never blocks (tlsSession), whose handshake is a coroutine, so that a
// connection has a stack only that long. What follows is the same exchange, with recv and
// send through the session.
//
// Who has agreed on HTTP/2 becomes an h2Conn, and each of its streams an httpConn without a
// socket of its own: package http2 translates. Servers that speak h2c are an h2Server that
// requests share, with a serverConn for each. What streams say in one turn of the loop
// leaves together (h2Link).
package proxy
