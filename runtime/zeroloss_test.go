package runtime_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/spec"
)

// site answers with its name, echoes bodies and, asked to, the bytes of a WebSocket.
func site(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, name)
			io.Copy(w, r.Body)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, rw)
	}))
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func member(ep netip.AddrPort, weight int) spec.Backend {
	return spec.Backend{Address: ep.Addr(), Port: ep.Port(), Weight: weight}
}

// shop is an HTTP listener with a rule and an access list over servers that are not ours.
func shop(network netip.Prefix, stay, rule netip.AddrPort) *spec.Config {
	c := tutorial(network)
	c.Instances, c.DNSZones = nil, nil
	lb := c.LoadBalancers[0]
	lb.Backends = []spec.Backend{member(stay, 100)}
	check := spec.HealthCheck{Enabled: true, Type: spec.CheckHTTP, URI: "/", Method: "get", HTTPCodes: []string{"http_2xx"},
		Interval: 20 * time.Millisecond, Timeout: time.Second, HealthyThreshold: 1, UnhealthyThreshold: 3}
	lb.Listeners = []*spec.Listener{{
		Meta:     spec.Meta{Address: `load_balancer.SLB1.listener["http:80"]`, Name: "http:80"},
		Protocol: spec.ProtocolHTTP, Port: 80, Scheduler: spec.SchedulerWRR, Status: spec.StatusRunning,
		Drain: 100 * time.Millisecond, WhenAllUnhealthy: spec.WhenUnhealthyReject, HealthCheck: check,
		IdleTimeout: time.Minute, RequestTimeout: time.Minute, ConnectTimeout: 5 * time.Second, UpstreamKeepalive: true,
		Rules: []*spec.Rule{{
			Meta: spec.Meta{Address: `load_balancer.SLB1.listener["http:80"].rule["tom"]`, Name: "tom"},
			URL:  "/tom", ServerGroup: "server_group.tom",
		}},
	}}
	c.ServerGroups = []*spec.ServerGroup{{Meta: spec.Meta{Address: "server_group.tom", Name: "tom"}, Type: spec.GroupVServer,
		Backends: []spec.Backend{member(rule, 100)}}}
	c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.all", Name: "all"}, IPVersion: "ipv4",
		Entries: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	return c
}

// TestHTTPChangesLoseNoRequest changes everything that may change under a running
// listener, a hundred times, while clients ask: on connections that they keep, on new
// ones, and over WebSockets.
func TestHTTPChangesLoseNoRequest(t *testing.T) {
	clients, perClient, sockets, changes := 8, 12_500, 10, 100
	if testing.Short() || raceDetector {
		perClient, changes = 1000, 25
	}
	stay, comes, rule := site(t, "stay"), site(t, "comes"), site(t, "rule")
	net := network(t)
	c := shop(net, stay, rule)
	d := start(t, t.TempDir())
	d.mustApply(c)

	var failed, done atomic.Int64
	var running sync.WaitGroup
	for k := range clients {
		transport := &http.Transport{DisableKeepAlives: k%4 == 0}
		defer transport.CloseIdleConnections()
		client := http.Client{Transport: transport, Timeout: 20 * time.Second}
		running.Go(func() {
			for i := range perClient {
				path, want := "", "stay"
				if i%3 == 0 {
					path, want = "tom/x", "rule"
				}
				if err := askFor(&client, balancerURL(c)+path, want, i%5 == 0); err != nil {
					t.Log(err)
					failed.Add(1)
				}
				done.Add(1)
			}
		})
	}
	finished := make(chan struct{})
	go func() { running.Wait(); close(finished) }()
	var open []*webSocket
	for range sockets {
		open = append(open, openWebSocket(t, c))
	}

	made := 0
	for under := true; under || made < changes; made++ {
		d.mustApply(changed(shop(net, stay, rule), made, comes))
		for _, s := range open {
			s.exchange(t, fmt.Sprint("after change ", made))
		}
		select {
		case <-finished:
			under = false
		default:
		}
	}
	t.Logf("%d requests, %d changes", done.Load(), made)
	if failed.Load() != 0 || done.Load() != int64(clients*perClient) {
		t.Errorf("%d of %d requests failed", failed.Load(), done.Load())
	}
}

// changed is the n-th variant of the shop.
func changed(c *spec.Config, n int, comes netip.AddrPort) *spec.Config {
	lb := c.LoadBalancers[0]
	l, group := lb.Listeners[0], c.ServerGroups[0]
	lb.Backends[0].Weight = 1 + n%100
	switch n % 8 {
	case 0:
		l.Scheduler = spec.SchedulerWLC
	case 1:
		lb.Backends = append(lb.Backends, member(comes, 50))
	case 2:
		l.ACL, l.ACLType = "acl.all", spec.ACLWhite
	case 3:
		l.Rules = append(l.Rules, &spec.Rule{
			Meta:   spec.Meta{Address: `load_balancer.SLB1.listener["http:80"].rule["other"]`, Name: "other"},
			Domain: "www.other.com", ServerGroup: "server_group.tom", Scheduler: spec.SchedulerRR,
		})
	case 4:
		l.HealthCheck.Type, l.HealthCheck.Interval = spec.CheckTCP, 10*time.Millisecond
	case 5:
		group.Backends = append(group.Backends, member(comes, 10))
	case 6:
		l.StickySession = &spec.StickySession{Type: spec.StickyInsert, Cookie: "SERVERID", CookieTimeout: time.Hour}
	case 7:
		l.SlowStart, l.Gzip, l.IdleTimeout = 50*time.Millisecond, true, 30*time.Second
	}
	return c
}

// askFor gets or posts and judges the answer. Servers that come and go answer as well.
func askFor(client *http.Client, url, want string, post bool) error {
	body := ""
	send := func() (*http.Response, error) { return client.Get(url) }
	if post {
		body = "posted"
		send = func() (*http.Response, error) { return client.Post(url, "text/plain", strings.NewReader(body)) }
	}
	resp, err := send()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(got) != want+body && string(got) != "comes"+body {
		return fmt.Errorf("%s: %d %q, %v", url, resp.StatusCode, got, err)
	}
	return nil
}

// webSocket is a tunnel through the balancer to a server that echoes.
type webSocket struct {
	net.Conn
	in *bufio.Reader
}

func openWebSocket(t *testing.T, c *spec.Config) *webSocket {
	t.Helper()
	conn, err := net.Dial("tcp", c.LoadBalancers[0].IP.String()+":8080")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &webSocket{conn, bufio.NewReader(conn)}
	io.WriteString(s, "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	resp, err := http.ReadResponse(s.in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	return s
}

func (s *webSocket) exchange(t *testing.T, text string) {
	t.Helper()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(s, text)
	b := make([]byte, len(text))
	if _, err := io.ReadFull(s.in, b); err != nil || string(b) != text {
		t.Fatalf("a WebSocket gave %q, %v, want %q back", b, err, text)
	}
}
