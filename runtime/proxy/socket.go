//go:build linux

package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

const (
	acceptBatch = 64 // connections a loop accepts before it looks after the others

	minBackoff = netloop.Tick // of a pause while descriptors are short
	maxBackoff = 320 * time.Millisecond
)

// Socket is an endpoint that the Server has bound: one listening socket for each loop.
type Socket struct {
	server    *Server
	endpoint  netip.AddrPort
	handler   atomic.Pointer[Handler]
	acceptors []*acceptor
	closing   sync.Once
}

// extend spreads listening sockets over the loops.
func (k *Socket) extend(fds []int) {
	for _, fd := range fds {
		a := &acceptor{worker: k.server.workers[len(k.acceptors)%len(k.server.workers)], socket: k, fd: fd}
		a.timer.Init(a)
		k.acceptors = append(k.acceptors, a)
	}
}

// Endpoint is what the socket is bound to.
func (k *Socket) Endpoint() netip.AddrPort { return k.endpoint }

// Serve says who gets new connections from now on; nil refuses them with RST.
// The first call starts accepting. A Handler belongs to the Server of the first
// Socket that serves it.
func (k *Socket) Serve(h *Handler) {
	if h != nil {
		h.attach(k.server)
	}
	k.handler.Store(h)
	for _, a := range k.acceptors {
		a.worker.loop.Post(a.serve)
	}
}

// Close stops listening. Connections that have come until now are still
// handled, but of HTTP not those that have said nothing yet; those that are open live on.
func (k *Socket) Close() error {
	k.end((*acceptor).close)
	return nil
}

// end has each loop close its part.
func (k *Socket) end(how func(*acceptor)) {
	k.closing.Do(func() {
		k.each(how)
		k.server.mu.Lock()
		delete(k.server.sockets, k)
		k.server.mu.Unlock()
	})
}

// each calls f for every acceptor on its loop, and returns when all have been.
func (k *Socket) each(f func(*acceptor)) {
	onLoops(k.acceptors, func(a *acceptor) *netloop.Loop { return a.worker.loop }, f)
}

// onLoops calls f for every part of a socket on its loop, and returns when all have been;
// parts whose loops have ended are left out.
func onLoops[T any](parts []T, loop func(T) *netloop.Loop, f func(T)) {
	var done sync.WaitGroup
	for _, part := range parts {
		done.Add(1)
		call := func() {
			defer done.Done()
			f(part)
		}
		if !loop(part).Post(call) {
			done.Done()
		}
	}
	done.Wait()
}

// acceptor is one loop's listening socket.
type acceptor struct {
	worker    *worker
	socket    *Socket
	fd        int // -1 = closed
	listening bool
	queued    bool          // a turn was asked for
	timer     netloop.Timer // armed while accepting is paused
	backoff   time.Duration
}

// serve begins to accept, in the way that suits the Handler of now.
func (a *acceptor) serve() {
	if a.fd < 0 {
		return
	}
	h := a.socket.handler.Load()
	netloop.DeferAccept(a.fd, h != nil && h.http != nil)
	a.listen()
}

func (a *acceptor) listen() {
	if a.fd < 0 || a.listening {
		return
	}
	if a.worker.loop.Add(a.fd, a) != nil {
		a.pause() // out of kernel memory: try again
		return
	}
	a.listening = true
}

// Ready accepts what has queued, a batch at a time.
func (a *acceptor) Ready(ev netloop.Events) {
	if ev == 0 {
		a.queued = false
	}
	if !a.queued {
		a.acceptSome()
	}
}

// acceptSome accepts a batch at most, and asks for a turn for the rest.
func (a *acceptor) acceptSome() {
	if !a.listening || a.timer.Armed() {
		return
	}
	for range acceptBatch {
		if !a.accept() {
			return
		}
	}
	if !a.queued {
		a.queued = true
		a.worker.loop.Again(a)
	}
}

// accept takes one connection and reports whether there may be more to take now.
func (a *acceptor) accept() bool {
	fd, source, errno := netloop.Accept(a.fd)
	switch errno {
	case 0:
	case unix.EAGAIN:
		return false
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		return a.relieved()
	default:
		return true // that connection died in the queue
	}
	a.worker.open(a.socket, fd, source)
	if a.worker.loop.Scarce(fd) {
		return a.relieved()
	}
	a.backoff = 0
	return true
}

// relieved makes room for the next client, or pauses where there is none to make.
func (a *acceptor) relieved() bool {
	if a.worker.relieve() {
		return true
	}
	a.worker.relieveOthers()
	a.pause()
	return false
}

// pause stops accepting for a while, longer each time that it helped nothing: connections queue in the
// kernel and a loop without descriptors does not spin.
func (a *acceptor) pause() {
	a.worker.pauses.Add(1)
	a.backoff = min(max(2*a.backoff, minBackoff), maxBackoff)
	a.worker.loop.Arm(&a.timer, a.backoff)
}

// Expired ends a pause, if descriptors have come free.
func (a *acceptor) Expired() {
	switch {
	case !a.listening:
		a.listen()
	case !a.worker.loop.Spare() && !a.relieved():
	default:
		a.acceptSome()
	}
}

func (a *acceptor) close() {
	if a.listening {
		for a.accept() {
			continue
		}
	}
	a.abandon()
}

// rest stops accepting; what comes waits.
func (a *acceptor) rest() {
	a.worker.loop.Stop(&a.timer)
	if a.listening {
		a.worker.loop.Remove(a.fd)
		a.listening = false
	}
}

// abandon closes the descriptor and takes nothing from the queue.
func (a *acceptor) abandon() {
	a.rest()
	a.worker.loop.Close(a.fd)
	a.fd, a.listening = -1, false
}
