//go:build linux

// Package netloop is the smallest machine that moves bytes: epoll event loops,
// each locked to a thread and bound to a core, with a timer wheel, a scratch
// buffer and functions posted from other goroutines.
//
//	set, err := netloop.Start(0) // one loop per core
//	loop := set.Loops()[0]
//	loop.Post(func() { // everything of a loop happens on its own goroutine
//		err := loop.Add(fd, record) // edge-triggered, once for the life of fd
//	})
//
//	func (r *record) Ready(ev netloop.Events) {
//		n, errno := netloop.Recv(r.fd, r.loop.Scratch())
//		…
//	}
//
// A descriptor is registered once, for everything, edge-triggered: a record
// remembers what it has not used up. Ready is a hint and may be called without
// a cause; a record that stops early because it has had its share asks for
// another turn with [Loop.Again]. Memory belongs to a connection only while
// something did not fit: a [Buffer] or a [Pipe] of the loop's pool.
//
// The Go scheduler must keep a spare processor: a loop that waits in the kernel
// gives its processor away and must find one on waking. With GOMAXPROCS equal
// to the number of loops the runtime's monitor takes processors back and forth
// and a request costs half as much again, so Start sets it to loops +
// max(1, cores/4). System calls that cannot block bypass the scheduler.
package netloop
