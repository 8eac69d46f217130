package runtime_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slbctl/runtime"
	"slbctl/runtime/control"
	"slbctl/spec"
)

// measured is the tutorial with a web listener instead, and /metrics at the first port that
// a network of its own has.
func measured(network netip.Prefix) *spec.Config {
	c := tutorial(network)
	c.Runtime.MetricsAddress = netip.AddrPortFrom(network.Addr().Next(), 9100)
	c.ServerGroups = []*spec.ServerGroup{{Meta: spec.Meta{Address: "server_group.JERRY", Name: "JERRY"}, Type: spec.GroupVServer,
		Backends: []spec.Backend{{Instance: "instance.ECS02", Weight: 100}}}}
	for _, i := range c.Instances {
		i.Pages = append(i.Pages, spec.Page{Path: "/gone", Status: 410}, spec.Page{Path: "/broken", Status: 500})
	}
	l := c.LoadBalancers[0].Listeners[0]
	l.Meta = spec.Meta{Address: `load_balancer.SLB1.listener["http:80"]`, Name: "http:80"}
	l.Protocol, l.HealthCheck.Type = spec.ProtocolHTTP, "http"
	l.HealthCheck.URI, l.HealthCheck.Method, l.HealthCheck.HTTPCodes = "/", "head", []string{"http_2xx"}
	l.IdleTimeout, l.RequestTimeout, l.ConnectTimeout = 15*time.Second, 60*time.Second, 5*time.Second
	l.UpstreamKeepalive, l.Retry = true, spec.Retry{Connect: true}
	l.Rules = []*spec.Rule{{Meta: spec.Meta{Address: l.Address + `.rule["jerry"]`, Name: "jerry"}, Domain: "jerry.test", URL: "/", ServerGroup: "server_group.JERRY"}}
	return c
}

// scrape reads /metrics: each series as it is written, with its value.
func scrape(t *testing.T, c *spec.Config) map[string]float64 {
	t.Helper()
	text, err := get(fmt.Sprintf("http://%s/metrics", c.Runtime.MetricsEndpoint()))
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		for strings.Contains(name, "{") && !strings.HasSuffix(name, "}") && ok { // a blank in a label
			var more string
			more, value, ok = strings.Cut(value, " ")
			name += " " + more
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		series[name] = n
	}
	return series
}

// sum adds the series of a metric whose labels have all of these.
func sum(series map[string]float64, name string, labels ...string) (total float64) {
next:
	for s, value := range series {
		if !strings.HasPrefix(s, name+"{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(s, l) {
				continue next
			}
		}
		total += value
	}
	return total
}

// TestMetricsAgreeWithStatus sends requests whose answers are known, and holds what is
// scraped to them, to status and to itself.
func TestMetricsAgreeWithStatus(t *testing.T) {
	d := start(t, t.TempDir())
	c := measured(network(t))
	d.mustApply(c)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	wanted := map[string]float64{"2xx": 6, "3xx": 0, "4xx": 3 + 4 + 1, "5xx": 5, "other": 0}
	for path, times := range map[string]int{"": 6, "gone": 3, "nowhere": 4, "broken": 5, "%zz": 1} {
		for n := range times {
			req, err := http.NewRequest("GET", balancerURL(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.URL.Opaque = "/" + path // as it is written
			if path == "" && n < 2 {
				req.Host = "jerry.test"
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
	client.CloseIdleConnections()
	var l control.Listener
	eventually(t, "nothing is open", func() bool {
		l = d.status().LoadBalancers[0].Listeners[0]
		return l.Connections == 0 && l.Requests == 19
	})
	got := scrape(t, c)
	for code, n := range wanted {
		if s := sum(got, "slbctl_listener_requests_total", `code="`+code+`"`, `port="80"`, `protocol="http"`); s != n {
			t.Errorf("%v requests in %s, want %v", s, code, n)
		}
	}
	servers := append(l.Backends, l.Rules[0].Backends...)
	var sent, in, out int64
	for i, b := range servers {
		rule := ""
		if i >= len(l.Backends) {
			rule = "jerry"
		}
		labels := []string{`rule="` + rule + `"`, `server="` + b.Address + `"`}
		if n := sum(got, "slbctl_server_responses_total", labels...); n != float64(b.Requests) {
			t.Errorf("%v: %v answers, status has %d requests", labels, n, b.Requests)
		}
		if n := sum(got, "slbctl_server_response_seconds_count", labels...); n != float64(b.Requests) {
			t.Errorf("%v: %v times of %d requests", labels, n, b.Requests)
		}
		if n := sum(got, "slbctl_server_healthy", labels...); n != 1 {
			t.Errorf("%v: well is %v", labels, n)
		}
		sent += b.Requests
		in += int64(sum(got, "slbctl_server_sent_bytes_total", labels...))
		out += int64(sum(got, "slbctl_server_received_bytes_total", labels...))
	}
	for name, want := range map[string]float64{
		"slbctl_listener_requests_total":                  float64(l.Requests),
		"slbctl_listener_response_seconds_count":          float64(l.Requests),
		"slbctl_listener_upstream_responses_total":        float64(sent),
		"slbctl_listener_upstream_response_seconds_count": float64(sent),
		"slbctl_listener_received_bytes_total":            float64(l.BytesIn),
		"slbctl_listener_sent_bytes_total":                float64(l.BytesOut),
		"slbctl_listener_connections":                     0,
		"slbctl_load_balancer_connections":                0,
		"slbctl_listener_servers":                         float64(len(servers)),
		"slbctl_listener_dropped_connections_total":       0,
		"slbctl_load_balancer_connections_limit":          0,
		"slbctl_listener_dropped_requests_total":          0,
		"slbctl_server_errors_total":                      0,
		"slbctl_server_connections":                       0,
	} {
		if n := sum(got, name); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
	if sent != 18 || in != l.BytesIn || out > l.BytesOut {
		t.Errorf("servers got %d requests of %d bytes and sent %d, the listener %d and %d", sent, in, out, l.BytesIn, l.BytesOut)
	}
	peak, accepted := sum(got, "slbctl_load_balancer_connections_peak"), sum(got, "slbctl_listener_new_connections_total")
	if accepted < 1 || peak < 1 || peak > accepted {
		t.Errorf("%v connections, at most %v at once", accepted, peak)
	}
	if rt, upstream := sum(got, "slbctl_listener_response_seconds_sum"), sum(got, "slbctl_listener_upstream_response_seconds_sum"); upstream <= 0 || rt < upstream {
		t.Errorf("Rt %v s, UpstreamRt %v s", rt, upstream)
	}
}

// TestMetricsAddress changes where /metrics is served, and whether.
func TestMetricsAddress(t *testing.T) {
	d := start(t, t.TempDir())
	net1 := network(t)
	c := measured(net1)
	d.mustApply(c)
	if got := scrape(t, c); got["slbctl_runtime_generation"] != 1 {
		t.Errorf("generation %v", got["slbctl_runtime_generation"])
	}

	// A port that is taken withdraws all of a change.
	taken := measured(net1)
	taken.Runtime.MetricsAddress = netip.AddrPortFrom(c.Runtime.MetricsAddress.Addr(), 9101)
	taken.LoadBalancers[0].Listeners[0].Scheduler = spec.SchedulerWLC
	holder, err := net.Listen("tcp", taken.Runtime.MetricsAddress.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.apply(taken); err == nil || !strings.Contains(err.Error(), "metrics_address: tcp port "+holder.Addr().String()+": already in use") {
		t.Errorf("apply: %v", err)
	}
	if s := d.status(); s.Runtime.Generation != 1 || s.LoadBalancers[0].Listeners[0].Scheduler != spec.SchedulerRR {
		t.Errorf("the change is there: %+v", s.Runtime)
	}
	scrape(t, c)

	holder.Close()
	wantClosed := func(c *spec.Config) {
		t.Helper()
		if conn, err := net.Dial("tcp", c.Runtime.MetricsEndpoint().String()); err == nil {
			conn.Close()
			t.Errorf("%s is open", c.Runtime.MetricsEndpoint())
		}
	}
	undo := breakPersist(t, d.dir)
	if err := d.apply(taken); err == nil {
		t.Error("applied without a disk")
	}
	undo()
	wantClosed(taken)
	scrape(t, c)
	d.mustApply(taken)
	if got := scrape(t, taken); got["slbctl_runtime_generation"] != 2 {
		t.Errorf("generation %v", got["slbctl_runtime_generation"])
	}
	wantClosed(c)

	without := measured(net1)
	without.Runtime.MetricsAddress = netip.AddrPort{}
	d.mustApply(without)
	wantClosed(taken)

	// It comes back with the daemon; a port that somebody has taken by then is a problem.
	d.mustApply(c)
	dir := d.dir
	d.stop()
	wantClosed(c)
	d = start(t, dir)
	scrape(t, c)
	d.stop()
	if holder, err = net.Listen("tcp", c.Runtime.MetricsEndpoint().String()); err != nil {
		t.Fatal(err)
	}
	d = start(t, dir)
	if p := d.status().Runtime.Problems; len(p) != 1 || !strings.Contains(p[0], "metrics_address") {
		t.Errorf("problems %q", p)
	}
	holder.Close()
	d.mustApply(c)
	scrape(t, c)
}

// TestMetricsEndWithTheirListener: series, and the alerts of whoever reads them, go with it.
func TestMetricsEndWithTheirListener(t *testing.T) {
	d := start(t, t.TempDir())
	c := measured(network(t))
	second := *c.LoadBalancers[0].Listeners[0]
	second.Meta = spec.Meta{Address: `load_balancer.SLB1.listener["http:81"]`, Name: "http:81"}
	second.Port, second.Rules = 81, nil
	both := *c.LoadBalancers[0]
	both.Listeners = append(both.Listeners, &second)
	with := *c
	with.LoadBalancers = []*spec.LoadBalancer{&both}
	d.mustApply(&with)
	count := func(port string) (n int) {
		t.Helper()
		for s := range maps.Keys(scrape(t, c)) {
			if strings.Contains(s, `port="`+port+`"`) {
				n++
			}
		}
		return n
	}
	if first, second := count("80"), count("81"); first == 0 || second == 0 || second >= first {
		t.Errorf("%d series of the first listener, which has a rule, and %d of the second", first, second)
	}
	d.mustApply(c)
	if first, second := count("80"), count("81"); first == 0 || second != 0 {
		t.Errorf("%d series of the first listener and %d of the second, which has gone", first, second)
	}
}

// TestUpgradeKeepsMetrics has another process take over while somebody scrapes without pause:
// nobody is refused, and nothing counts backwards.
func TestUpgradeKeepsMetrics(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), measured(network(t))
	d, _, _ := logged(t, dir, os.Args[0])
	d.mustApply(c)
	const before, after = 20, 7
	ask := func(n int) {
		t.Helper()
		for range n {
			if _, err := get(balancerURL(c)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask(before)
	half, err := net.Dial("tcp", c.LoadBalancers[0].IP.String()+":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	io.WriteString(half, "GET / HTTP/1.1\r\n") // keeps the process before busy
	eventually(t, "half a request has come", func() bool { return d.status().LoadBalancers[0].Listeners[0].Connections == 1 })
	answered := func() float64 { return sum(scrape(t, c), "slbctl_listener_requests_total", `code="2xx"`) }
	eventually(t, "all is counted", func() bool { return answered() == before })
	ends, scraped := make(chan struct{}), 0
	var scraping sync.WaitGroup
	scraping.Go(func() {
		for last := 0.0; ; scraped++ {
			select {
			case <-ends:
				return
			default:
			}
			text, err := get(fmt.Sprintf("http://%s/metrics", c.Runtime.MetricsEndpoint()))
			if err != nil {
				t.Errorf("a scrape failed: %v", err)
				return
			}
			_, text, _ = strings.Cut(text, `slbctl_listener_new_connections_total{`)
			_, text, _ = strings.Cut(text, "} ")
			text, _, _ = strings.Cut(text, "\n")
			if n, err := strconv.ParseFloat(text, 64); err != nil || n < last {
				t.Errorf("%q connections, %v before: %v", text, last, err)
			} else {
				last = n
			}
		}
	})
	if err := d.client.Upgrade(t.Context(), os.Args[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runtime.Stop(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	ask(after)
	eventually(t, "all is counted", func() bool { return answered() == before+after })
	close(ends)
	scraping.Wait()
	got, l := scrape(t, c), d.status().LoadBalancers[0].Listeners[0]
	if n := sum(got, "slbctl_listener_response_seconds_count"); n != float64(l.Requests) || l.Requests != before+after {
		t.Errorf("%v times, status has %d requests", n, l.Requests)
	}
	if pid := d.status().Runtime.PID; pid == os.Getpid() || scraped == 0 {
		t.Errorf("pid %d, %d scrapes", pid, scraped)
	}
	// The process before has let go of the port: it can be closed and taken.
	d.gen = 1
	without := measured(c.Runtime.Network)
	without.Runtime.MetricsAddress = netip.AddrPort{}
	d.mustApply(without)
	l2, err := net.Listen("tcp", c.Runtime.MetricsEndpoint().String())
	if err != nil {
		t.Fatal(err)
	}
	l2.Close()
}

// TestMetricsOfDropsAndLimits meets limits of every kind, and counts what each has cost.
func TestMetricsOfDropsAndLimits(t *testing.T) {
	d := start(t, t.TempDir())
	c := measured(network(t))
	lb := c.LoadBalancers[0]
	lb.Spec, lb.Bandwidth = "slb.s1.small", 80
	web := lb.Listeners[0]
	web.MaxQPS = 3
	c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.us", Name: "us"}, IPVersion: "ipv4", Entries: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	listener := func(name string) *spec.Listener {
		l := *tutorial(c.Runtime.Network).LoadBalancers[0].Listeners[0]
		l.Meta = spec.Meta{Address: fmt.Sprintf("load_balancer.SLB1.listener[%q]", name), Name: name}
		l.HealthCheck.Enabled = false
		lb.Listeners = append(lb.Listeners, &l)
		return &l
	}
	refused := listener("tcp:81")
	refused.Port, refused.ACL, refused.ACLType = 81, "acl.us", spec.ACLBlack
	dead := listener("tcp:82")
	dead.Port, dead.ServerGroup = 82, "server_group.dead"
	c.ServerGroups = append(c.ServerGroups, &spec.ServerGroup{Meta: spec.Meta{Address: "server_group.dead", Name: "dead"}, Type: spec.GroupVServer,
		Backends: []spec.Backend{member(netip.AddrPortFrom(lb.IP, 9), 100)}})
	echo := *c.Instances[0]
	echo.Meta = spec.Meta{Address: "instance.echo", Name: "echo"}
	echo.IP, echo.Protocol, echo.Pages = lb.IP.Next(), spec.ProtocolUDPEcho, nil
	c.Instances = append(c.Instances, &echo)
	c.ServerGroups = append(c.ServerGroups, &spec.ServerGroup{Meta: spec.Meta{Address: "server_group.echo", Name: "echo"}, Type: spec.GroupVServer,
		Backends: []spec.Backend{{Instance: "instance.echo", Weight: 100}}})
	datagrams := listener("udp:83")
	datagrams.Protocol, datagrams.Port, datagrams.ServerGroup, datagrams.Bandwidth = spec.ProtocolUDP, 83, "server_group.echo", 1
	d.mustApply(c)

	const clients, size = 10, 30_000
	var over float64
	for range clients {
		resp, err := http.Get(balancerURL(c))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			over++
		}
		for _, port := range []string{"8081", "8082"} {
			if conn, err := net.Dial("tcp", net.JoinHostPort(lb.IP.String(), port)); err == nil {
				conn.SetDeadline(time.Now().Add(5 * time.Second))
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					t.Errorf("port %s answers", port)
				}
				conn.Close()
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
	conn, err := net.Dial("udp", net.JoinHostPort(lb.IP.String(), "8083"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const packets, bytes = "slbctl_listener_dropped_packets_total", "slbctl_listener_dropped_bytes_total"
	var got map[string]float64
	for n := range clients { // 2.4 Mbit, of which the bandwidth lets a tenth of a second's through at once
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is counted", func() bool {
			got = scrape(t, c)
			return sum(got, "slbctl_listener_received_packets_total")+sum(got, bytes, `direction="in"`)/size == float64(n+1)
		})
	}
	eventually(t, "all is counted", func() bool {
		got = scrape(t, c)
		return sum(got, "slbctl_listener_received_packets_total") == sum(got, "slbctl_listener_sent_packets_total") &&
			sum(got, "slbctl_listener_dropped_connections_total", `port="82"`) == clients &&
			sum(got, "slbctl_listener_connections", `protocol="http"`) == 0
	})
	late, in := sum(got, packets, `reason="bandwidth"`), sum(got, bytes, `direction="in"`)
	if over == 0 || late == 0 || in == 0 {
		t.Errorf("%v requests, %v datagrams and %v bytes were over a limit: nothing is tested", over, late, in)
	}
	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"slbctl_listener_dropped_requests_total", []string{`port="80"`}, over},
		{"slbctl_listener_requests_total", []string{`code="5xx"`}, over},
		{"slbctl_listener_dropped_connections_total", []string{`reason="acl"`}, clients},
		{"slbctl_listener_dropped_connections_total", []string{`reason="no_server"`}, clients},
		{"slbctl_listener_dropped_connections_total", []string{`reason="limit"`}, 0},
		{bytes, nil, size * late},
		{"slbctl_listener_new_connections_total", []string{`protocol="udp"`}, 1},
		{"slbctl_listener_connections", []string{`protocol="udp"`, `state="active"`}, 1},
		{"slbctl_load_balancer_connections", nil, 1},
		{"slbctl_load_balancer_connections_limit", nil, 5000},
		{"slbctl_load_balancer_new_connections_limit", nil, 3000},
		{"slbctl_load_balancer_requests_limit", nil, 1000},
		{"slbctl_load_balancer_bandwidth_limit_bytes", nil, 80e6 / 8},
		{"slbctl_listener_bandwidth_limit_bytes", []string{`port="83"`}, 1e6 / 8},
		{"slbctl_listener_requests_limit", []string{`port="80"`}, 3},
	} {
		if n := sum(got, want.name, want.labels...); n != want.value {
			t.Errorf("%s%v is %v, want %v", want.name, want.labels, n, want.value)
		}
	}
	if peak := sum(got, "slbctl_load_balancer_connections_peak"); peak < 1 || peak > 3*clients {
		t.Errorf("at most %v connections at once", peak)
	}
}
