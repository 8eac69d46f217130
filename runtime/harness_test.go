package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"slbctl/runtime"
	"slbctl/runtime/control"
	"slbctl/spec"
)

// TestMain lets the test binary play the instances' child, which the daemon
// starts as `EXE runtime instances`, and the daemon's successor, `EXE runtime run`.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "runtime" {
		var err error
		switch os.Args[2] {
		case "instances":
			err = runtime.RunInstances(context.Background(), ".")
		case "run":
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			err = runtime.Run(context.Background(), ".", runtime.Options{Log: log, Executable: os.Args[0]})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// daemon is one daemon in a folder and on a network of its own.
type daemon struct {
	t      *testing.T
	dir    string
	client *control.Client
	stop   func()
	gen    uint64
}

// start runs a daemon in dir until the test ends.
func start(t *testing.T, dir string) *daemon {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	ready := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	go func() {
		ended <- runtime.Run(ctx, dir, runtime.Options{
			Log: log, Executable: os.Args[0], Ready: func(err error) { ready <- err },
		})
	}()
	d := &daemon{t: t, dir: dir}
	d.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("daemon ended with %v", err)
		}
		d.stop = func() {}
	}
	if err := <-ready; err != nil {
		<-ended
		t.Fatalf("daemon does not come up: %v", err)
	}
	t.Cleanup(func() { d.stop() })
	var err error
	if d.client, err = control.Dial(dir); err != nil {
		t.Fatal(err)
	}
	g, err := d.client.Generation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.gen = g.Generation
	return d
}

// apply applies a configuration on top of what is live.
func (d *daemon) apply(c *spec.Config) error {
	return d.request(c, control.WaitVerified)
}

func (d *daemon) request(c *spec.Config, wait string) error {
	req := control.Request{
		Generation: d.gen + 1, Base: d.gen, Hash: fmt.Sprint("hash-", d.gen+1),
		Config: c, Wait: wait, Timeout: 10 * time.Second,
	}
	err := d.client.Apply(context.Background(), req, func(ev control.Event) {
		d.t.Logf("%-8s %s %s", ev.Phase, ev.Address, ev.Message)
	})
	if err == nil {
		d.gen++
	}
	return err
}

func (d *daemon) mustApply(c *spec.Config) {
	d.t.Helper()
	if err := d.apply(c); err != nil {
		d.t.Fatalf("apply: %v", err)
	}
}

func (d *daemon) status() *control.Status {
	d.t.Helper()
	s, err := d.client.Status(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// network hands every test addresses of its own, so that tests and packages do
// not meet on a port.
func network(t *testing.T) netip.Prefix {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { l.Close() }) // held as long as the test runs
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(64 + port>>8&63), byte(port), 0}), 24)
}

// tutorial is the SLB tutorial's configuration on a network: two servers, one
// balancer on tcp:80 with rr, one name. Checks are quick.
func tutorial(network netip.Prefix) *spec.Config {
	host := func(n byte) netip.Addr {
		a := network.Addr().As4()
		a[3] = n
		return netip.AddrFrom4(a)
	}
	instance := func(name string, ip netip.Addr) *spec.Instance {
		return &spec.Instance{
			Meta: spec.Meta{Address: "instance." + name, Name: name}, IP: ip, Ports: []uint16{80},
			Protocol: spec.ProtocolHTTP, Status: spec.StatusRunning,
			Pages: []spec.Page{{Path: "/", Content: name, Status: 200, ContentType: "text/plain"}},
		}
	}
	return &spec.Config{
		Runtime:   spec.Runtime{Network: network, PortOffset: 8000, Loops: 2},
		Instances: []*spec.Instance{instance("ECS01", host(2)), instance("ECS02", host(3))},
		LoadBalancers: []*spec.LoadBalancer{{
			Meta: spec.Meta{Address: "load_balancer.SLB1", Name: "SLB1"}, IP: host(4),
			AddressType: "internet", Status: spec.StatusActive,
			Backends: []spec.Backend{{Instance: "instance.ECS01", Weight: 100}, {Instance: "instance.ECS02", Weight: 100}},
			Listeners: []*spec.Listener{{
				Meta:     spec.Meta{Address: `load_balancer.SLB1.listener["tcp:80"]`, Name: "tcp:80"},
				Protocol: "tcp", Port: 80, BackendPort: 80, Scheduler: spec.SchedulerRR, Status: spec.StatusRunning,
				Drain: 2 * time.Second, WhenAllUnhealthy: spec.WhenUnhealthyReject, EstablishedTimeout: 900 * time.Second,
				HealthCheck: spec.HealthCheck{
					Enabled: true, Type: "tcp", Interval: 20 * time.Millisecond, Timeout: 200 * time.Millisecond,
					HealthyThreshold: 3, UnhealthyThreshold: 3,
				},
			}},
		}},
		DNSZones: []*spec.DNSZone{{
			Meta: spec.Meta{Address: `dns_zone["abc.com"]`, Name: "abc.com"},
			Records: []*spec.Record{{
				Meta: spec.Meta{Address: `dns_zone["abc.com"].record["www:A"]`, Name: "www:A"},
				Host: "www", Type: "A", Values: []string{host(4).String()}, TTL: 600,
			}},
		}},
	}
}

func balancerURL(c *spec.Config) string {
	return fmt.Sprintf("http://%s:8080/", c.LoadBalancers[0].IP)
}

// get fetches a page on a connection of its own.
func get(url string) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// eventually polls until ok, and fails the test after half a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within half a minute: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// inTime has f do within a span what a machine that has stood still is too late for. f says
// whether it was in time by its own clock, and is called with three times the span where it
// was not; what goes wrong in time it reports itself.
func inTime(t *testing.T, span time.Duration, f func(span time.Duration) bool) {
	t.Helper()
	for ; !f(span); span *= 3 {
		if span > 30*time.Second {
			t.Fatalf("not even in time for %v", span)
		}
	}
}

func pidOf(t *testing.T, dir, name string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, control.Folder, name))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// breakPersist keeps the daemon of a folder from committing until it is undone.
func breakPersist(t *testing.T, dir string) (undo func()) {
	t.Helper()
	path := filepath.Join(dir, control.Folder, "committed.json")
	if err := errors.Join(os.Rename(path, path+".kept"), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.Remove(path), os.Rename(path+".kept", path)); err != nil {
			t.Fatal(err)
		}
	}
}

// bareEngine is an engine without a daemon around it: emit is called in the moment of
// each step, and holds it up.
type bareEngine struct {
	runtime.Engine
	dir   string
	close func() error
}

// startEngine runs a bare engine until the test ends; apply makes a configuration follow.
func startEngine(t *testing.T) (e bareEngine, apply func(*spec.Config, func(control.Event)) error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, control.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	engine, err := runtime.NewEngine(dir, runtime.Options{Log: log, Executable: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}
	closed := sync.OnceValue(engine.Close)
	t.Cleanup(func() {
		if err := closed(); err != nil {
			t.Error(err)
		}
	})
	var live uint64
	return bareEngine{engine, dir, closed}, func(c *spec.Config, emit func(control.Event)) error {
		err := engine.Apply(t.Context(), control.Request{
			Generation: live + 1, Base: live, Config: c, Wait: control.WaitVerified, Timeout: 10 * time.Second,
		}, emit)
		if err == nil {
			live++
		}
		return err
	}
}
