//go:build linux

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// starvedSite in the environment makes the test binary a balancer of HTTP with few
// descriptors in front of that backend.
const starvedSite = "PROXY_TEST_STARVED_SITE"

// starvedHTTP runs that balancer: it prints its endpoint, then on every line of standard
// input what it counted and the CPU time it has used, until the input ends.
func starvedHTTP() bool {
	backend := os.Getenv(starvedSite)
	if backend == "" {
		return false
	}
	limit := syscall.Rlimit{Cur: 256, Max: 256}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	s, err := New(Options{Loops: 2})
	if err != nil {
		panic(err)
	}
	k, err := s.Bind(anyPort)
	if err != nil {
		panic(err)
	}
	l := httpListenerOf(netip.MustParseAddrPort(backend))
	l.ConnectTimeout, l.RequestTimeout, l.IdleTimeout = time.Minute, time.Minute, time.Minute
	if err := l.Prepare(); err != nil {
		panic(err)
	}
	h := handle(l, nil)
	k.Serve(h)
	fmt.Println(k.Endpoint())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n := h.Counters()
		var used syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		f, err := os.Open("/dev/null")
		f.Close()
		fmt.Println(n.Connections, n.Requests, n.Errors, n.Shed, (used.Utime.Nano()+used.Stime.Nano())/1e6, err == nil)
	}
	s.Close()
	return true
}

// starvedStatus is what a balancer with few descriptors says of itself.
type starvedStatus struct {
	connections, requests, errors, shed int
	cpu                                 int // milliseconds
	openable                            bool
}

// startStarved starts that balancer.
func startStarved(t *testing.T, backend netip.AddrPort) (*Socket, func() starvedStatus) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), starvedSite+"="+backend.String())
	child.Stderr = os.Stderr
	in, _ := child.StdinPipe()
	out, _ := child.StdoutPipe()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	line, _ := lines.ReadString('\n')
	k := &Socket{endpoint: netip.MustParseAddrPort(strings.TrimSpace(line))}
	return k, func() (s starvedStatus) {
		fmt.Fprintln(in)
		line, _ := lines.ReadString('\n')
		if _, err := fmt.Sscan(line, &s.connections, &s.requests, &s.errors, &s.shed, &s.cpu, &s.openable); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return s
	}
}

// TestHTTPOutOfDescriptors has a flood of clients that dribble a head or ask once and stay,
// many times more than there are descriptors, and that come again when they are let go:
// whoever asks properly is answered at once.
func TestHTTPOutOfDescriptors(t *testing.T) {
	const slow, good = 1000, 200
	k, status := startStarved(t, startBackend(t, serveFast))
	start := time.Now()
	var stop atomic.Bool
	var running sync.WaitGroup
	dribble := func(asks bool) {
		c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
		if err != nil {
			return
		}
		defer c.Close()
		if asks {
			io.WriteString(c, getLine("/"))
		}
		for !stop.Load() {
			if !asks {
				io.WriteString(c, "G")
			}
			c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := c.Read(make([]byte, 100)); err != nil && !os.IsTimeout(err) {
				return
			}
		}
	}
	for i := range slow {
		running.Go(func() {
			for !stop.Load() {
				dribble(i%2 == 0)
				time.Sleep(500 * time.Millisecond) // it comes again, but not as fast as it can
			}
		})
	}
	eventually(t, "clients are let go", func() bool { return status().shed > 0 })
	slowest := time.Duration(0)
	for range good {
		asked := time.Now()
		c := talkTo(t, k)
		c.say(getLine("/"))
		c.want(200, "ok")
		c.Close()
		slowest = max(slowest, time.Since(asked))
	}
	flooded := status()
	stop.Store(true)
	running.Wait()
	t.Logf("a good client waited %v at most; %+v after %v", slowest, flooded, time.Since(start))
	if slowest > patience/3 { // the slow ones would have stayed a minute
		t.Errorf("a good client waited %v", slowest)
	}
	if !flooded.openable {
		t.Error("nothing is left for the process's other work")
	}
	if flooded.errors > 0 {
		t.Errorf("%d errors", flooded.errors)
	}
	eventually(t, "all have left", func() bool { return status().connections == 0 })
}

// stalledSite answers nobody before it is told to resume.
func stalledSite(t *testing.T) (site netip.AddrPort, resume func()) {
	t.Helper()
	release := make(chan struct{})
	site = siteOf(t, func(int, *http.Request, []byte) string {
		<-release
		return ok
	})
	resume = sync.OnceFunc(func() { close(release) })
	t.Cleanup(resume)
	return site, resume
}

// TestHTTPOutOfDescriptorsIsQuiet lets clients fill a balancer who all wait for an answer,
// so that there is nobody to let go: it waits without spinning, and goes on at once.
func TestHTTPOutOfDescriptorsIsQuiet(t *testing.T) {
	const clients = 1000
	site, resume := stalledSite(t)
	k, status := startStarved(t, site)
	var running sync.WaitGroup
	for range clients {
		c := talkTo(t, k)
		running.Go(func() {
			c.SetDeadline(time.Now().Add(2 * patience))
			io.WriteString(c, getLine("/"))
			if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 200 {
				t.Errorf("%v, %v", res, err)
			}
			c.Close()
		})
	}
	last := -1
	eventually(t, "nobody more is let in", func() bool {
		n := status().connections
		same := n == last && n > 0
		last = n
		time.Sleep(50 * time.Millisecond)
		return same
	})
	after := quietSecond(t, status)
	if !after.openable {
		t.Error("nothing is left for the process's other work")
	}
	resume()
	start := time.Now()
	c := talkTo(t, k)
	c.say(getLine("/"))
	c.want(200, "ok")
	if took := time.Since(start); took > patience/3 {
		t.Errorf("recovered after %v", took)
	}
	c.Close()
	running.Wait()
	if n := status(); n.errors != 0 || n.shed > clients { // between two requests of theirs nobody waits
		t.Errorf("%+v", n)
	}
}

// quietSecond waits until the balancer has been quiet for a second. A loop that spins takes
// what CPU it gets, second after second; a busy machine may charge a second that was not
// quiet, but not all of them.
func quietSecond(t *testing.T, status func() starvedStatus) (after starvedStatus) {
	t.Helper()
	eventually(t, "a second of waiting that takes less than 50 ms of CPU", func() bool {
		before := status()
		time.Sleep(time.Second) // the span over which CPU is measured
		after = status()
		return after.cpu-before.cpu < 50
	})
	return after
}

// TestHTTPWaitsForDescriptors has more clients than there are descriptors to connect to
// servers with, all let in before they ask: those who wait for one cost next to nothing, and
// all are answered.
func TestHTTPWaitsForDescriptors(t *testing.T) {
	const clients = 170
	site, resume := stalledSite(t)
	k, status := startStarved(t, site)
	var waiting []*talk
	for range clients {
		c := talkTo(t, k)
		c.say("G")
		waiting = append(waiting, c)
	}
	eventually(t, "all are let in", func() bool { return status().connections == clients })
	for _, c := range waiting {
		c.say("ET / HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	eventually(t, "none is left of the descriptors that servers may have", func() bool { return status().requests == clients })
	quietSecond(t, status)
	resume()
	for _, c := range waiting {
		c.want(200, "ok")
	}
	if n := status(); n.errors != 0 {
		t.Errorf("%+v", n)
	}
}

// onLoop runs f on a worker's loop and waits for it.
func onLoop(w *worker, f func()) {
	done := make(chan struct{})
	w.loop.Post(func() { f(); close(done) })
	<-done
}

// TestHTTPShedsTheSlowest asks a loop for descriptors, one at a time.
func TestHTTPShedsTheSlowest(t *testing.T) {
	silent := make(chan struct{})
	l := httpListenerOf(siteOf(t, func(_ int, r *http.Request, _ []byte) string {
		if r.URL.Path == "/silent" {
			<-silent
		}
		return ok
	}))
	speak := sync.OnceFunc(func() { close(silent) })
	t.Cleanup(speak)
	s, k, h := web(t, 1, l)
	w := s.workers[0]
	var clients int64
	at := func(name string, first string, reads bool) *talk {
		c := talkTo(t, k)
		if first != "" {
			c.say(first)
		}
		if reads {
			c.want(200, "ok")
		}
		clients++
		eventually(t, name+" is accepted", func() bool { return h.Counters().Connections == clients })
		time.Sleep(reliefAge / 5) // so that they have waited for different times
		return c
	}
	old := at("old", getLine("/"), true) // connected first, but asks again last
	busy := at("busy", getLine("/silent"), false)
	dumb := at("dumb", "", false)
	slow := at("slow", "GET / HT", false)
	idle := at("idle", getLine("/"), true)
	slow.say("TP") // dribbling helps nobody
	old.say(getLine("/"))
	old.want(200, "ok")
	time.Sleep(3 * reliefAge / 2)
	onLoop(w, func() {
		if !w.relieve() {
			t.Error("the connection to the server was not given up")
		}
	})
	if n := h.Counters(); n.Shed != 0 || s.Spared() != 1 {
		t.Errorf("%d clients were let go and %d connections to the server, want that first", n.Shed, s.Spared())
	}
	for i, c := range []*talk{dumb, slow, idle, old} {
		onLoop(w, func() { w.relieve() })
		c.wantEnd()
		if n := h.Counters(); n.Shed != int64(i+1) {
			t.Errorf("%d clients were let go, want %d", n.Shed, i+1)
		}
	}
	onLoop(w, func() {
		if w.relieve() {
			t.Error("a client that is served was let go")
		}
	})
	var fresh *talk
	eventually(t, "a client that has just come", func() (spared bool) {
		came := time.Now()
		fresh = talkTo(t, k)
		onLoop(w, func() { spared = !w.relieve() })
		if !spared && time.Since(came) < reliefAge {
			t.Error("it was let go")
		}
		return spared
	})
	fresh.say(getLine("/"))
	speak()
	busy.want(200, "ok")
	fresh.want(200, "ok")
	busy.Close()
	fresh.Close()
	atRest(t, h)
}

// TestHTTPShedSparesWhoAsks has a request on its way when its client is to be let go.
func TestHTTPShedSparesWhoAsks(t *testing.T) {
	s, k, h := web(t, 1, httpListenerOf(always(t, ok)))
	w := s.workers[0]
	c := talkTo(t, k)
	c.say(getLine("/"))
	c.want(200, "ok")
	time.Sleep(3 * reliefAge / 2)
	busy, halt := make(chan struct{}), make(chan struct{})
	w.loop.Post(func() {
		close(busy)
		<-halt
		w.shed()
	})
	<-busy
	c.say(getLine("/"))
	close(halt)
	c.want(200, "ok")
	if n := h.Counters(); n.Shed != 0 {
		t.Errorf("counted %+v", n.Counts)
	}
	c.Close()
	atRest(t, h)
}

// TestShedsSecuredClients lets go of clients that do not shake hands, or ask nothing over
// HTTP/2, and not of streams, which hold no descriptor.
func TestShedsSecuredClients(t *testing.T) {
	silent := make(chan struct{})
	speak := sync.OnceFunc(func() { close(silent) })
	l := httpsListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			<-silent
		}
		io.WriteString(w, "ok")
	}))
	t.Cleanup(speak)
	k, h, config := secured(t, 1, l, "h2", "http/1.1")
	w := k.server.workers[0]
	shy := connect(t, k)
	eventually(t, "it is connected", func() bool { return h.Counters().Connections == 1 })
	idle, busy := securedBrowser(t, config), securedBrowser(t, config)
	for _, c := range []*http.Client{idle, busy} {
		c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	}
	if res, body := get(t, idle, origin(k)); res.ProtoMajor != 2 || body != "ok" {
		t.Fatalf("%v %q", res.Proto, body)
	}
	answered := make(chan string)
	go func() {
		var b []byte
		res, err := busy.Get(origin(k) + "/silent")
		if err == nil {
			b, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		answered <- fmt.Sprint(string(b), err)
	}()
	eventually(t, "the server is asked", func() bool { return h.Counters().Backends["a"].Requests == 2 })
	time.Sleep(3 * reliefAge / 2)
	for want := range 3 {
		onLoop(w, func() { w.shed() })
		if n := h.Counters(); n.Shed != int64(min(want+1, 2)) {
			t.Errorf("%d clients were let go", n.Shed)
		}
	}
	if b, err := io.ReadAll(shy); err != nil || len(b) > 0 {
		t.Errorf("%q, %v", b, err)
	}
	if n := h.Counters().Connections; n != 1 {
		t.Errorf("%d clients are left", n)
	}
	speak()
	if body := <-answered; body != "ok<nil>" {
		t.Errorf("%q", body)
	}
	if _, body := get(t, idle, origin(k)); body != "ok" {
		t.Errorf("%q", body)
	}
	idle.CloseIdleConnections()
	busy.CloseIdleConnections()
	atRest(t, h)
}

// TestHTTPShedsInTurns looks at every client of a crowd in the end.
func TestHTTPShedsInTurns(t *testing.T) {
	s, _, _ := web(t, 1, httpListenerOf())
	w := s.workers[0]
	onLoop(w, func() {
		var order []*httpConn
		for range 5 {
			c := &httpConn{}
			c.prev, c.next = w.https.prev, &w.https
			c.prev.next, c.next.prev = c, c
			order = append(order, c)
		}
		w.https.moveBefore(order[2])
		for i, c := 0, w.https.next; c != &w.https; i, c = i+1, c.next {
			if c != order[(i+2)%5] || c.next.prev != c {
				t.Errorf("place %d is wrong", i)
			}
		}
		w.https.moveBefore(&w.https)
		w.https.next, w.https.prev = &w.https, &w.https
	})
}

// TestHTTPIdleUpstreamsAreBounded lets more connections to servers become idle than may
// wait.
func TestHTTPIdleUpstreamsAreBounded(t *testing.T) {
	var open atomic.Int64
	site := func() netip.AddrPort {
		return startBackend(t, func(c *net.TCPConn) {
			open.Add(1)
			defer open.Add(-1)
			serveFast(c)
		})
	}
	first, second := site(), site()
	l := httpListenerOf()
	ruleTo(l, "first", "first", "", first)
	ruleTo(l, "second", "second", "", second)
	s, k, h := web(t, 1, l)
	w := s.workers[0]
	const may = 10
	onLoop(w, func() { w.upstreamLimit = may })
	crowd := func(host string, n int) {
		var all []*talk
		busy, halt := make(chan struct{}), make(chan struct{})
		for range n {
			all = append(all, talkTo(t, k))
		}
		eventually(t, "all are connected", func() bool { return h.Counters().Connections == int64(n) })
		w.loop.Post(func() { close(busy); <-halt })
		<-busy // so that all ask at once
		for _, c := range all {
			c.say("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		}
		close(halt)
		for _, c := range all {
			c.want(200, "ok")
			c.Close()
		}
		atRest(t, h)
	}
	crowd("first", 3*may)
	eventually(t, "as many wait as may", func() bool { return open.Load() == may })
	if n := s.Spared(); n < may || n > 2*may {
		t.Errorf("%d connections were closed, want those that were too many", n)
	}
	crowd("second", 2)
	eventually(t, "no more wait than may", func() bool { return open.Load() <= may })
	onLoop(w, func() {
		if w.idleUpstreams != may {
			t.Errorf("%d wait", w.idleUpstreams)
		}
		list := &s.upstreams[first].lists[0]
		w.upstreamLimit = 100
		list.size += keptUpstreams - may // as if there were so many
	})
	crowd("first", may+2)
	onLoop(w, func() {
		list := &s.upstreams[first].lists[0]
		if list.size > keptUpstreams {
			t.Errorf("%d wait at one endpoint", list.size)
		}
		list.size -= keptUpstreams - may
	})
	s.closeIdle(first)
	s.closeIdle(second)
	eventually(t, "none is left", func() bool { return open.Load() == 0 })
	onLoop(w, func() {
		if w.idleUpstreams != 0 || s.upstreams[first].lists[0].size != 0 {
			t.Errorf("%d are said to wait, %d of them at the first", w.idleUpstreams, s.upstreams[first].lists[0].size)
		}
	})
}
