package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// canaryApply moves to a configuration in steps.
func (d *daemon) canaryApply(ctx context.Context, c *spec.Config, pause time.Duration, told func(control.Event), percents ...int) error {
	return d.canaryRequest(ctx, control.Request{Config: c, Canary: percents, CanaryPause: pause}, told)
}

func (d *daemon) canaryRequest(ctx context.Context, req control.Request, told func(control.Event)) error {
	req.Generation, req.Base, req.Hash = d.gen+1, d.gen, fmt.Sprint("hash-", d.gen+1)
	req.Wait, req.Timeout = control.WaitVerified, 10*time.Second
	err := d.client.Apply(ctx, req, func(ev control.Event) {
		d.t.Logf("%-8s %s %s", ev.Phase, ev.Address, ev.Message)
		if told != nil {
			told(ev)
		}
	})
	if err == nil {
		d.gen++
	}
	return err
}

// shares are the shares in percent that status tells of the first listener's servers.
func (d *daemon) shares() map[netip.AddrPort]int {
	d.t.Helper()
	shares := map[netip.AddrPort]int{}
	for _, b := range d.status().LoadBalancers[0].Listeners[0].Backends {
		shares[netip.AddrPortFrom(netip.MustParseAddr(b.IP), b.Bound)] = int(100*b.Share + 0.5)
	}
	return shares
}

// clientsOf ask until they are stopped, each on connections that it keeps or on new ones.
type clientsOf struct {
	asked, failed atomic.Int64
	bad           atomic.Int64 // answers of 5xx, which a server may give
	end           context.CancelFunc
	done          sync.WaitGroup
}

func startAsking(t *testing.T, url string) *clientsOf {
	ctx, cancel := context.WithCancel(context.Background())
	k := &clientsOf{end: cancel}
	for n := range 4 {
		k.done.Go(func() {
			transport := &http.Transport{DisableKeepAlives: n == 0}
			defer transport.CloseIdleConnections()
			client := http.Client{Transport: transport, Timeout: 10 * time.Second}
			for ctx.Err() == nil {
				k.asked.Add(1)
				resp, err := client.Get(url)
				if err != nil {
					t.Log(err)
					k.failed.Add(1)
					continue
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Log(err)
					k.failed.Add(1)
				}
				resp.Body.Close()
				if resp.StatusCode >= 500 {
					k.bad.Add(1)
				}
			}
		})
	}
	return k
}

func (k *clientsOf) stop(t *testing.T) {
	k.end()
	k.done.Wait()
	if k.failed.Load() > 0 || k.asked.Load() == 0 {
		t.Errorf("%d of %d requests failed", k.failed.Load(), k.asked.Load())
	}
}

// blueToGreen are two configurations of an HTTP listener over servers that are not ours.
func blueToGreen(t *testing.T, blue, green netip.AddrPort) (before, after *spec.Config) {
	net := network(t)
	before, after = shop(net, blue, blue), shop(net, green, blue)
	return before, after
}

// TestCanaryLosesNoRequest moves all traffic from one server to another in steps while
// clients ask. In each step the shares are those that were asked for, status tells them,
// and the generation is still the old one.
func TestCanaryLosesNoRequest(t *testing.T) {
	blue, green := site(t, "blue"), site(t, "green")
	before, after := blueToGreen(t, blue, green)
	d := start(t, t.TempDir())
	d.mustApply(before)
	clients := startAsking(t, balancerURL(before))
	var steps []string
	err := d.canaryApply(t.Context(), after, 300*time.Millisecond, func(ev control.Event) {
		if strings.Contains(ev.Message, "has moved") {
			shares := d.shares()
			steps = append(steps, fmt.Sprintf("%d to %d in generation %d", shares[blue], shares[green], d.status().Runtime.Generation))
		}
		if ev.Phase == control.PhaseCanary && strings.Contains(ev.Message, "warning") {
			t.Errorf("%s: %s", ev.Address, ev.Message)
		}
	}, 10, 50)
	if err != nil {
		t.Fatal(err)
	}
	clients.stop(t)
	if got, want := fmt.Sprint(steps), "[90 to 10 in generation 1 50 to 50 in generation 1]"; got != want {
		t.Errorf("the steps were %s, want %s", got, want)
	}
	if s := d.shares(); len(s) != 1 || s[green] != 100 || d.status().Runtime.Generation != 2 {
		t.Errorf("afterwards the shares are %v in generation %d", s, d.status().Runtime.Generation)
	}
	eventually(t, "nothing drains", func() bool { return len(d.status().Draining) == 0 })
}

// TestCanaryGoesBack stops at the step in which the new server proves bad: it answers with
// 5xx, or falls ill. Before it there were as many requests as the step lets through.
func TestCanaryGoesBack(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  func(s *flaky)
		want string
	}{
		{"5xx", func(s *flaky) { s.status.Store(http.StatusInternalServerError) }, "failed, or answered with 5xx, "},
		{"ill", func(s *flaky) { s.Close() }, " is abnormal ("},
	} {
		t.Run(c.name, func(t *testing.T) {
			blue, green := site(t, "blue"), newFlaky(t)
			before, after := blueToGreen(t, blue, green.addr())
			d := start(t, t.TempDir())
			d.mustApply(before)
			clients := startAsking(t, balancerURL(before))
			err := d.canaryApply(t.Context(), after, 2*time.Second, func(ev control.Event) {
				if strings.Contains(ev.Message, "has moved") {
					c.bad(green)
				}
			}, 10, 50)
			clients.stop(t)
			var refusal *control.Error
			if !errors.As(err, &refusal) || refusal.Code != control.CodeVerify {
				t.Fatalf("%v", err)
			}
			for _, want := range []string{"the canary's step of 10%: ", `listener["http:80"]: ` + green.addr().String(), c.want} {
				if !strings.Contains(refusal.Message, want) {
					t.Errorf("it does not say %q: %s", want, refusal.Message)
				}
			}
			if s := d.shares(); len(s) != 1 || s[blue] != 100 || d.status().Runtime.Generation != 1 {
				t.Errorf("afterwards the shares are %v in generation %d", s, d.status().Runtime.Generation)
			}
			if clients.bad.Load()*5 > clients.asked.Load() {
				t.Errorf("%d of %d clients saw it", clients.bad.Load(), clients.asked.Load())
			}
			d.mustApply(before)
		})
	}
}

// TestCanaryKeepsStickyClients: whoever has the cookie of a server that leaves stays with
// it in every step.
func TestCanaryKeepsStickyClients(t *testing.T) {
	inTime(t, time.Second, func(pause time.Duration) bool { return canaryKeepsStickyClients(t, pause) })
}

// canaryKeepsStickyClients says whether the clients had asked before each step was over.
func canaryKeepsStickyClients(t *testing.T, pause time.Duration) bool {
	blue, green := site(t, "blue"), site(t, "green")
	before, after := blueToGreen(t, blue, green)
	for _, c := range []*spec.Config{before, after} {
		c.LoadBalancers[0].Listeners[0].StickySession = &spec.StickySession{Type: spec.StickyInsert, Cookie: "SERVERID", CookieTimeout: time.Hour}
	}
	d := start(t, t.TempDir())
	d.mustApply(before)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Jar: jar, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	ask := func(want string) (failed error) {
		for range 20 {
			if err := askFor(&client, balancerURL(before), want, false); err != nil {
				failed = err
			}
		}
		return failed
	}
	if err := ask("blue"); err != nil {
		t.Fatal(err)
	}
	steps, late, began := 0, false, time.Now()
	err = d.canaryApply(t.Context(), after, pause, func(ev control.Event) {
		if !strings.Contains(ev.Message, "has moved") {
			return
		}
		steps++
		failed := ask("blue")
		if time.Since(began) >= time.Duration(steps)*pause {
			late = true
		} else if failed != nil {
			t.Errorf("step %d: %v", steps, failed)
		}
	}, 10, 90)
	if err != nil || steps != 2 {
		t.Errorf("after %d steps: %v", steps, err)
	}
	if err := ask("green"); err != nil {
		t.Error(err)
	}
	return !late
}

// TestCanaryEndsWithItsClient goes back when nobody waits for it any more, and the next
// command finds the old generation.
func TestCanaryEndsWithItsClient(t *testing.T) {
	blue, green := site(t, "blue"), site(t, "green")
	before, after := blueToGreen(t, blue, green)
	d := start(t, t.TempDir())
	d.mustApply(before)
	clients := startAsking(t, balancerURL(before))
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	err := d.canaryApply(ctx, after, time.Minute, func(control.Event) { cancel() }, 10)
	if err == nil {
		t.Fatal("it was done nevertheless")
	}
	g, err := d.client.Generation(t.Context())
	if err != nil || g.Generation != 1 || time.Since(began) > 20*time.Second {
		t.Errorf("generation %v after %s, %v", g, time.Since(began), err)
	}
	if s := d.shares(); len(s) != 1 || s[blue] != 100 {
		t.Errorf("the shares are %v", s)
	}
	clients.stop(t)
	d.mustApply(after)
}

// TestCanaryDrainsWhatStepsHaveBegun: open connections to what leaves drain, in whatever
// generation they began; also where an instance that gets another port is two servers in a
// step, and where the listener has another address since.
func TestCanaryDrainsWhatStepsHaveBegun(t *testing.T) {
	echo := func(net netip.Prefix) *spec.Config {
		c := tutorial(net)
		for _, i := range c.Instances {
			i.Ports, i.Protocol, i.Pages = []uint16{80, 81}, spec.ProtocolTCPEcho, nil
		}
		c.LoadBalancers[0].Listeners[0].Drain = 200 * time.Millisecond
		return c
	}
	for _, test := range []struct {
		name    string
		change  func(lb *spec.LoadBalancer)
		renamed map[string]string
		cut     int // of two from before and four of the step
	}{
		{"port", func(lb *spec.LoadBalancer) { lb.Listeners[0].BackendPort = 81 }, nil, 4},
		{"name", func(lb *spec.LoadBalancer) {
			lb.Address, lb.Listeners[0].Address = "load_balancer.L", `load_balancer.L.listener["tcp:80"]`
			lb.Backends = lb.Backends[1:]
		}, map[string]string{"load_balancer.SLB1": "load_balancer.L", `load_balancer.SLB1.listener["tcp:80"]`: `load_balancer.L.listener["tcp:80"]`}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTime(t, 300*time.Millisecond, func(pause time.Duration) bool {
				net := network(t)
				before, after := echo(net), echo(net)
				test.change(after.LoadBalancers[0])
				d := start(t, t.TempDir())
				d.mustApply(before)
				open := dialAll(t, before, 2)
				late, began := false, time.Now()
				req := control.Request{Config: after, Renamed: test.renamed, Canary: []int{50}, CanaryPause: pause}
				err := d.canaryRequest(t.Context(), req, func(ev control.Event) {
					if strings.Contains(ev.Message, "has moved") {
						open = append(open, dialAll(t, before, 4)...)
						late = time.Since(began) >= pause // the step may be over
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "all drains end", func() bool { return len(d.status().Draining) == 0 })
				cut := 0
				for _, k := range open {
					if !k.alive() {
						cut++
					}
				}
				if !late && cut != test.cut {
					t.Errorf("%d of %d connections are cut, want %d", cut, len(open), test.cut)
				}
				dialAll(t, after, 2)
				return !late
			})
		})
	}
}

// echoing is a connection through the balancer to an echo server.
type echoing struct{ net.Conn }

func dialAll(t *testing.T, c *spec.Config, n int) []echoing {
	t.Helper()
	var out []echoing
	for range n {
		k, err := net.Dial("tcp", fmt.Sprintf("%s:8080", c.LoadBalancers[0].IP))
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { k.Close() })
		if out = append(out, echoing{k}); !out[len(out)-1].alive() {
			t.Error("a new connection gets no echo")
		}
	}
	return out
}

func (k echoing) alive() bool {
	var b [1]byte
	_ = k.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := k.Write([]byte{'x'}); err != nil {
		return false
	}
	_, err := k.Read(b[:])
	return err == nil
}

// flaky is a server whose answers change.
type flaky struct {
	*httptest.Server
	status atomic.Int64
}

// newFlaky makes one that answers checks, which are of HEAD, well in any case.
func newFlaky(t *testing.T) *flaky {
	f := &flaky{}
	f.status.Store(http.StatusOK)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() == "Go-http-client/1.1" { // the test's clients
			w.WriteHeader(int(f.status.Load()))
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *flaky) addr() netip.AddrPort { return netip.MustParseAddrPort(f.Listener.Addr().String()) }
