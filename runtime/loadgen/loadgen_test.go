package loadgen

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"slbctl/runtime/webserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server of HTTP on an address of the test's own and returns its endpoint.
func serve(t *testing.T, address string, answer http.HandlerFunc) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp4", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(answer)
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(listener.Addr().String())
}

// calls are n, every gap, each of another client.
func calls(n int, gap time.Duration) []Call {
	out := make([]Call, n)
	for k := range out {
		out[k] = Call{
			At: time.Duration(k) * gap, Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 128, byte(k >> 8), byte(k)}), 0),
			Host: "www.abc.com", Path: "/", Visitor: uint64(k),
		}
	}
	return out
}

func answered(t *testing.T, r *Report) {
	t.Helper()
	for k, reply := range r.Replies {
		if reply.Fate != Answered || reply.Status != http.StatusOK {
			t.Fatalf("call %d: fate %d, status %d, %v", k, reply.Fate, reply.Status, reply.Err)
		}
	}
}

// TestStallDelaysAllWhoWouldHaveCome: a server answers nobody for 300 ms. Few workers can
// ask only few meanwhile, and who is asked later is answered at once; yet everyone's time
// counts from when they were meant to come.
func TestStallDelaysAllWhoWouldHaveCome(t *testing.T) {
	const stall = 300 * time.Millisecond
	for _, web := range []bool{false, true} {
		t.Run(fmt.Sprint("web ", web), func(t *testing.T) {
			start := time.Now()
			over := start.Add(stall)
			target := Target{Endpoint: serve(t, "127.89.1.1", func(http.ResponseWriter, *http.Request) {
				time.Sleep(time.Until(over))
			}), Web: web, Patience: 10 * time.Second}
			all := calls(100, time.Millisecond)
			r := Run(t.Context(), target, all, Options{Start: start, Workers: 2})
			answered(t, r)
			quick := 0
			for k, reply := range r.Replies {
				if took, least := reply.Done-all[k].At, stall-all[k].At; took < least {
					t.Errorf("call %d is said to have taken %v, it was %v at least", k, took, least)
				}
				if reply.Done-reply.Sent < 100*time.Millisecond {
					quick++
				}
			}
			if quick < 80 {
				t.Errorf("only %d calls were quick once they were sent: the stall hid nothing", quick)
			}
			if r.Waited < 50 || r.AtOnce != 2 || r.Lag.P50 < 100*time.Millisecond || r.Lag.P99 < r.Lag.P50 || r.Lag.Max < r.Lag.P99 {
				t.Errorf("the generator does not say that it was late: waited %d, at once %d, lag %+v", r.Waited, r.AtOnce, r.Lag)
			}
		})
	}
}

// TestStallHoldsNobodyUp: with enough workers all are asked while the server is silent.
func TestStallHoldsNobodyUp(t *testing.T) {
	const n = 100
	var arrived atomic.Int64
	all := make(chan struct{})
	target := Target{Endpoint: serve(t, "127.89.1.2", func(http.ResponseWriter, *http.Request) {
		if arrived.Add(1) == n {
			close(all)
		}
		<-all
	}), Patience: 20 * time.Second}
	r := Run(t.Context(), target, calls(n, 100*time.Microsecond), Options{Start: time.Now(), Workers: n})
	answered(t, r)
	if r.Waited != 0 || r.Unsent != 0 {
		t.Errorf("waited %d, unsent %d", r.Waited, r.Unsent)
	}
}

// TestVisitors: a visitor keeps cookies and connection until its session ends, and comes
// from its address; who keeps no cookies has none.
func TestVisitors(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	connections := map[string]int{} // by remote address, in the order of coming
	target := Target{Endpoint: serve(t, "127.89.1.3", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if connections[r.RemoteAddr] == 0 {
			connections[r.RemoteAddr] = len(connections) + 1
		}
		from := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		seen = append(seen, fmt.Sprintf("%s on %d %s%s %q", from, connections[r.RemoteAddr], r.Host, r.RequestURI, r.Header.Get("Cookie")))
		http.SetCookie(w, &http.Cookie{Name: "n", Value: fmt.Sprint(len(seen)), Path: "/"})
	}), Web: true, Patience: 10 * time.Second}
	a, b := netip.MustParseAddrPort("127.128.0.1:0"), netip.MustParseAddrPort("127.128.0.2:0")
	Run(t.Context(), target, []Call{
		{Source: a, Host: "x", Path: "/1?q", Visitor: 1, Cookies: true, First: true},
		{Source: a, Host: "x", Path: "/2", Visitor: 1, Cookies: true, Last: true},
		{Source: a, Host: "x", Path: "/3", Visitor: 1, Cookies: true},
		{Source: a, Host: "y", Path: "/4", Visitor: 1, Cookies: true},
		{Source: a, Host: "x", Path: "/5", Visitor: 1, Cookies: true, First: true},
		{Source: b, Host: "x", Path: "/%37", Visitor: 2},
		{Source: b, Host: "x", Path: "/8", Visitor: 2},
	}, Options{Start: time.Now(), Workers: 1})
	want := []string{
		`127.128.0.1 on 1 x/1?q ""`, `127.128.0.1 on 1 x/2 "n=1"`, `127.128.0.1 on 2 x/3 "n=2"`, `127.128.0.1 on 2 y/4 ""`,
		`127.128.0.1 on 3 x/5 ""`, `127.128.0.2 on 4 x/%37 ""`, `127.128.0.2 on 4 x/8 ""`,
	}
	if !slices.Equal(seen, want) {
		t.Errorf("seen:\n%q\nwant:\n%q", seen, want)
	}
}

// TestKeptConnectionWasClosed: the request that a closed connection did not take is sent on
// a new one, and no visitor keeps more than its share of the connections.
func TestKeptConnectionWasClosed(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.IdleTimeout = 20 * time.Millisecond
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	target := Target{Endpoint: netip.MustParseAddrPort(s.Listener.Addr().String()), Web: true, Patience: 10 * time.Second}
	two := calls(2, 200*time.Millisecond)
	two[1].Visitor, two[1].Source = two[0].Visitor, two[0].Source
	r := Run(t.Context(), target, two, Options{Start: time.Now(), Workers: 1})
	answered(t, r)
	if n := opened.Load(); n != 2 {
		t.Errorf("%d connections were opened", n)
	}
	r = Run(t.Context(), target, calls(5, 0), Options{Start: time.Now(), Workers: 1, Lines: 2})
	answered(t, r)
	if r.Hung != 3 {
		t.Errorf("of 5 connections %d were closed to keep 2", r.Hung)
	}
}

// TestFates: what went wrong is told apart.
func TestFates(t *testing.T) {
	endpoint := serve(t, "127.89.1.4", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/reset":
			panic(http.ErrAbortHandler)
		case "/silent":
			<-r.Context().Done()
		case "/broken":
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/named":
			w.Header().Set(webserver.NameHeader, "127.89.1.4:80")
		}
	})
	gone := netip.MustParseAddrPort("127.89.1.5:9")
	for _, web := range []bool{false, true} {
		for _, c := range []struct {
			path     string
			endpoint netip.AddrPort
			source   string
			want     Fate
		}{
			{"/", endpoint, "127.128.0.1:0", Answered},
			{"/reset", endpoint, "127.128.0.1:0", Closed},
			{"/silent", endpoint, "127.128.0.1:0", Silent},
			{"/broken", endpoint, "127.128.0.1:0", Broken},
			{"/", gone, "127.128.0.1:0", Closed},
			{"/", endpoint, "192.0.2.1:0", Unsent},
		} {
			target := Target{Endpoint: c.endpoint, Web: web, Patience: 200 * time.Millisecond}
			r := Run(t.Context(), target, []Call{{Source: netip.MustParseAddrPort(c.source), Host: "x", Path: c.path}}, Options{Start: time.Now(), Workers: 1})
			if got := r.Replies[0]; got.Fate != c.want || (got.Err == nil) != (c.want == Answered) {
				t.Errorf("%s at %s from %s: fate %d, %v; want %d", c.path, c.endpoint, c.source, got.Fate, got.Err, c.want)
			}
		}
	}
	r := Run(t.Context(), Target{Endpoint: endpoint, Patience: time.Second}, []Call{{Source: netip.MustParseAddrPort("127.128.0.1:40001"), Host: "x", Path: "/named"}}, Options{Start: time.Now(), Workers: 1})
	if got := r.Replies[0]; got.Server.String() != "127.89.1.4:80" || got.Source.Port() != 40001 {
		t.Errorf("named %v, came from %v: %v", got.Server, got.Source, got.Err)
	}
}

// TestEcho: on a connection that sends back what it gets, that is waited for; what is no
// echo is told.
func TestEcho(t *testing.T) {
	for _, test := range []struct {
		serve func(net.Conn)
		want  Fate
	}{
		{func(c net.Conn) { _, _ = io.Copy(c, c) }, Answered},
		{func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0") }, Broken},
		{func(net.Conn) {}, Closed},
	} {
		listener, err := net.Listen("tcp4", "127.89.1.7:0")
		if err != nil {
			t.Fatal(err)
		}
		var served sync.WaitGroup
		served.Go(func() {
			conn, err := listener.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			test.serve(conn)
			conn.Close()
		})
		target := Target{Endpoint: netip.MustParseAddrPort(listener.Addr().String()), Echo: true, Patience: 10 * time.Second}
		r := Run(t.Context(), target, calls(1, 0), Options{Start: time.Now(), Workers: 1})
		if got := r.Replies[0]; got.Fate != test.want || got.Done <= 0 || (got.Err == nil) != (test.want == Answered) {
			t.Errorf("fate %d, want %d: %v", got.Fate, test.want, got.Err)
		}
		served.Wait()
		listener.Close()
	}
}

// TestDatagrams: one that comes back is answered; one that does not, or to nobody, is not.
func TestDatagrams(t *testing.T) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.89.1.8:0")))
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		buffer := make([]byte, 100)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			switch from.Port() {
			case 40001:
				_, _ = conn.WriteToUDPAddrPort(buffer[:n], from)
			case 40002:
				_, _ = conn.WriteToUDPAddrPort([]byte("?"), from)
			}
		}
	})
	endpoint := netip.MustParseAddrPort(conn.LocalAddr().String())
	for port, want := range map[uint16]Fate{40001: Answered, 40002: Broken, 40003: Silent} {
		all := []Call{{Source: netip.AddrPortFrom(netip.MustParseAddr("127.128.0.1"), port)}}
		r := Run(t.Context(), Target{Endpoint: endpoint, Datagram: true, Patience: 300 * time.Millisecond}, all, Options{Start: time.Now(), Workers: 1})
		if got := r.Replies[0]; got.Fate != want || got.Source != all[0].Source {
			t.Errorf("port %d: fate %d from %v, want %d: %v", port, got.Fate, got.Source, want, got.Err)
		}
	}
	conn.Close()
	served.Wait()
	r := Run(t.Context(), Target{Endpoint: endpoint, Datagram: true, Patience: 10 * time.Second}, calls(1, 0), Options{Start: time.Now(), Workers: 1})
	if got := r.Replies[0]; got.Fate != Closed {
		t.Errorf("nobody is there: fate %d, %v", got.Fate, got.Err)
	}
}

// TestInterrupted: with the context the run is over, whatever the patience.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := Target{Endpoint: serve(t, "127.89.1.6", func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}), Patience: time.Hour}
	all := calls(2, time.Hour)
	r := Run(ctx, target, all, Options{Start: time.Now(), Workers: 2})
	if r.Replies[0].Fate == Answered || r.Replies[1].Fate != Unsent || r.Unsent != 1 {
		t.Errorf("fates %d and %d, unsent %d", r.Replies[0].Fate, r.Replies[1].Fate, r.Unsent)
	}
}
