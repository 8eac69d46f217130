package webserver

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"slbctl/spec"
)

// fault is what a site does wrong, while it does. A nil fault does nothing.
type fault struct {
	spec.InstanceFault
	requests atomic.Int64
	end      func()
	ended    chan struct{} // closed with the fault: what it holds up goes on
}

func newFault(f *spec.InstanceFault) *fault {
	if f == nil {
		return nil
	}
	ended := make(chan struct{})
	return &fault{InstanceFault: *f, ended: ended, end: sync.OnceFunc(func() { close(ended) })}
}

// succeed ends a fault of an endpoint unless the next one is the same, which goes on
// then. Of a site that several endpoints share each says so.
func (f *fault) succeed(next *site) {
	switch {
	case f == nil:
	case next != nil && next.fault != nil && next.fault.InstanceFault == f.InstanceFault:
		next.fault = f
	default:
		f.end()
	}
}

// wait lets time pass, until the fault or ctx ends.
func (f *fault) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-f.ended:
	}
}

// serve stands between a request and its answer.
func (f *fault) serve(w http.ResponseWriter, r *http.Request, answer func(http.ResponseWriter)) {
	// The limits of honest answers do not hold for these; a server that cannot lift them
	// ends them all the same.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-f.ended:
		}
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	if f.Delay > 0 {
		f.wait(r.Context(), f.Delay)
	}
	if f.Fails(f.requests.Add(1)) {
		http.Error(w, "this error is a fault of the configuration", f.Status)
		return
	}
	if f.SlowBody > 0 {
		w = &slowWriter{ResponseWriter: w, fault: f, ctx: r.Context()}
	}
	answer(w)
}

// slowSteps is in how many parts a slow body is sent.
const slowSteps = 20

// slowWriter sends a body over the time that the fault says, by the length that
// the header tells.
type slowWriter struct {
	http.ResponseWriter
	fault *fault
	ctx   context.Context
	step  int // bytes
}

func (s *slowWriter) Write(p []byte) (written int, err error) {
	if s.step == 0 {
		length, err := strconv.Atoi(s.Header().Get("Content-Length"))
		if err != nil {
			length = len(p)
		}
		s.step = max(1, (length+slowSteps-1)/slowSteps)
	}
	for len(p) > 0 && err == nil {
		part := p[:min(s.step, len(p))]
		share := float64(len(part)) / float64(s.step) / slowSteps
		s.fault.wait(s.ctx, time.Duration(share*float64(s.fault.SlowBody)))
		var n int
		n, err = s.ResponseWriter.Write(part)
		written += n
		_ = http.NewResponseController(s.ResponseWriter).Flush() // a failed one shows in the next Write
		p = p[len(part):]
	}
	return written, err
}
