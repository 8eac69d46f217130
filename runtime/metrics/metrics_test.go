package metrics

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"slbctl/runtime/balance"
	"slbctl/runtime/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample has a listener of each kind; all numbers of one are different.
func sample() *Snapshot {
	web := Listener{
		LoadBalancer: "load_balancer.lb", Protocol: "http", Port: 80, MaxQPS: 100, Bandwidth: 8,
		Counters: proxy.Counters{
			Counts: proxy.Counts{Connections: 5, Requests: 21, Denied: 3, Dropped: 8, Shed: 4, BytesIn: 1000, BytesOut: 2000},
			Secure: proxy.SecureCounts{HandshakesDropped: 6},
		},
		Pools: []Pool{
			{Group: "server_group.a", Servers: []Server{
				{Name: "instance.a", Health: balance.Normal, Counts: proxy.Counts{Connections: 1, Errors: 2, BytesIn: 700, BytesOut: 1500}},
				{Name: "127.0.0.1:9", Health: balance.Abnormal},
			}},
			{Rule: `j"erry`, Group: "server_group.a", Servers: []Server{{Name: "instance.a"}}},
		},
	}
	web.Totals.Front = proxy.Traffic{Exchanges: exchanges(1, 10, 2, 4, 3), Busy: 2, Accepted: 12, OverLimit: 7, OverQPS: 1}
	web.Totals.Upstream = proxy.Traffic{Exchanges: exchanges(0, 10, 2, 1, 1)}
	web.Pools[0].Servers[0].Traffic = proxy.Traffic{Exchanges: exchanges(0, 9, 1, 0, 0)}
	tcp := Listener{
		LoadBalancer: "load_balancer.lb", Protocol: "tcp", Port: 81,
		Counters: proxy.Counters{
			Counts:   proxy.Counts{Connections: 4, Requests: 30, Errors: 2, Denied: 1},
			Backends: map[string]proxy.Counts{"instance.a": {Connections: 3}},
		},
		Pools: []Pool{{Group: "load_balancer.lb", Servers: []Server{{Name: "instance.a", Counts: proxy.Counts{Connections: 3, Requests: 28}}}}},
	}
	udp := Listener{
		LoadBalancer: "load_balancer.lb", Protocol: "udp", Port: 81,
		Counters: proxy.Counters{Counts: proxy.Counts{Requests: 3, Denied: 9}},
		Dropped:  proxy.Dropped{NoServer: 1, Sessions: 2, Bandwidth: 3, TooLong: 4, Overflow: 5, BytesIn: 300, BytesOut: 400},
		Pools:    []Pool{{Group: "load_balancer.lb", Servers: []Server{{Name: "instance.a", Counts: proxy.Counts{Requests: 3}}}}},
	}
	udp.Totals.Front.OverLimit = 6
	udp.Totals.Upstream = proxy.Traffic{PacketsIn: 50, PacketsOut: 40}
	return &Snapshot{Generation: 7, LoadBalancers: []LoadBalancer{{
		Address: "load_balancer.lb", Connections: 9, Peak: 20, MaxConnections: 5000, CPS: 3000, QPS: 1000, Bandwidth: 80,
		Listeners: []Listener{web, tcp, udp},
	}}}
}

// exchanges took a millisecond each.
func exchanges(classes ...int64) (e proxy.Exchanges) {
	copy(e.Classes[:], classes)
	e.Times[2] = e.Count()
	e.Nanos = e.Count() * int64(time.Millisecond)
	return e
}

func never() *Snapshot { panic("nobody is to look") }

// TestSeries compares all series of the sample with testdata/series.txt.
func TestSeries(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{sample})
	want, err := os.Open("testdata/series.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if err := testutil.GatherAndCompare(registry, want); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// TestSeriesEnd: what a snapshot does not have has no series.
func TestSeriesEnd(t *testing.T) {
	s := sample()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{func() *Snapshot { return s }})
	text := func() string {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, f := range families {
			b.WriteString(f.String() + "\n")
		}
		return b.String()
	}
	if !strings.Contains(text(), `"http"`) {
		t.Fatal("there is no listener of HTTP")
	}
	s.LoadBalancers[0].Listeners = s.LoadBalancers[0].Listeners[1:]
	if got := text(); strings.Contains(got, `"http"`) || !strings.Contains(got, `"tcp"`) {
		t.Errorf("a listener has gone, and there is\n%s", got)
	}
	s.LoadBalancers = nil
	if got := text(); strings.Contains(got, "load_balancer") || !strings.Contains(got, "generation") {
		t.Errorf("all have gone, and there is\n%s", got)
	}
}

// TestReadmeNamesTheSeries: every metric stands in README, and nothing else does.
func TestReadmeNamesTheSeries(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc, 100)
	collector{}.Describe(descs)
	buildInfo("").Describe(descs)
	close(descs)
	known := map[string]bool{}
	fqName := regexp.MustCompile(`fqName: "(\w+)"`)
	for d := range descs {
		known[fqName.FindStringSubmatch(d.String())[1]] = true
	}
	told := map[string]bool{}
	for _, name := range regexp.MustCompile(`\bslbctl_[a-z_]+`).FindAllString(string(readme), -1) {
		base := name
		for _, suffix := range []string{"_sum", "_count", "_bucket"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if told[base] = true; !known[base] {
			t.Errorf("README names %s", name)
		}
	}
	for name := range known {
		if !told[name] {
			t.Errorf("README does not name %s", name)
		}
	}
}

func start(t *testing.T, read func() *Snapshot) *Page {
	t.Helper()
	s := newPage(t, read)
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	return s
}

// newPage is closed with the test.
func newPage(t *testing.T, read func() *Snapshot) *Page {
	t.Helper()
	s := New("0.0.0", read, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ask(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestPage scrapes as Prometheus does, and asks for what is not there.
func TestPage(t *testing.T) {
	s := start(t, sample)
	url := "http://" + s.Addr().String()
	status, body := ask(t, "GET", url+"/metrics")
	for _, want := range []string{
		`slbctl_listener_requests_total{code="2xx",load_balancer="load_balancer.lb",port="80",protocol="http"} 10`,
		`slbctl_build_info{go_version="go1`, `version="0.0.0"} 1`, "go_goroutines ", "process_open_fds ",
	} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("status %d, without %s", status, want)
		}
	}
	for _, other := range []struct {
		method, path string
		status       int
	}{{"GET", "/", 404}, {"GET", "/metrics/x", 404}, {"GET", "/debug/pprof/", 404}, {"POST", "/metrics", 405}, {"HEAD", "/metrics", 200}} {
		if status, _ := ask(t, other.method, url+other.path); status != other.status {
			t.Errorf("%s %s: %d, want %d", other.method, other.path, status, other.status)
		}
	}
}

func TestPageOnIPv6(t *testing.T) {
	probe, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	at := probe.Addr().(*net.TCPAddr).AddrPort()
	s := newPage(t, sample)
	if err := s.Listen(at); err == nil || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("listens on a taken port: %v", err)
	}
	probe.Close()
	if err := errors.Join(s.Listen(at), s.Resume()); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, "GET", "http://"+at.String()+"/metrics"); s.Addr() != at || status != http.StatusOK {
		t.Errorf("%v answers %d", s.Addr(), status)
	}
}

// TestPageIsBounded: more scrapes at once than may be are answered 503.
func TestPageIsBounded(t *testing.T) {
	begun, release := make(chan struct{}, 100), make(chan struct{})
	s := start(t, func() *Snapshot {
		begun <- struct{}{}
		<-release
		return sample()
	})
	url := "http://" + s.Addr().String() + "/metrics"
	var scraping sync.WaitGroup
	for range scrapes {
		scraping.Go(func() {
			if status, _ := ask(t, "GET", url); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
		<-begun
	}
	if status, _ := ask(t, "GET", url); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", status)
	}
	close(release)
	scraping.Wait()
}

// TestPortIsTaken: the error says by whom.
func TestPortIsTaken(t *testing.T) {
	s := start(t, never)
	err := newPage(t, never).Listen(s.Addr())
	if err == nil || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("listens on a taken port: %v", err)
	}
}

// TestAnotherTakesOver: who connects while nobody accepts waits for who serves next, be it
// another process or this one again. Connections that stand end, so that their next scrape
// asks the other one.
func TestAnotherTakesOver(t *testing.T) {
	generation := func(n uint64) func() *Snapshot {
		return func() *Snapshot { return &Snapshot{Generation: n} }
	}
	old := start(t, generation(1))
	at := old.Addr()
	says := func(n string) {
		t.Helper()
		if _, body := ask(t, "GET", "http://"+at.String()+"/metrics"); !strings.Contains(body, "slbctl_runtime_generation "+n+"\n") {
			t.Errorf("it is not generation %s that answers", n)
		}
	}
	kept, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	scrape := func(c net.Conn) *http.Response {
		t.Helper()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	io.Copy(io.Discard, scrape(kept).Body)

	file, err := old.File()
	if err != nil {
		t.Fatal(err)
	}
	next := newPage(t, generation(2))
	next.Adopt(at, file)
	old.Pause()
	if n, err := kept.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection stays: %d bytes, %v", n, err)
	}
	early, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	if err := old.Resume(); err != nil { // the other one has failed
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(io.LimitReader(scrape(early).Body, 1<<20)); !strings.Contains(string(body), "generation 1\n") {
		t.Error("who has waited is not served")
	}
	says("1")
	old.Pause()
	if err := next.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := old.Leave(); err != nil {
		t.Fatal(err)
	}
	says("2")
	if _, err := old.File(); err == nil {
		t.Error("who has left has a socket")
	}
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	says("2")
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", at.String()); err == nil {
		conn.Close()
		t.Error("somebody listens after the end")
	}
	if err := errors.Join(next.Close(), old.Resume()); err != nil {
		t.Errorf("what has ended does not stay so: %v", err)
	}
}
