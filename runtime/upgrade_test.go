package runtime_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime"
	"slbctl/runtime/control"
	"slbctl/spec"
)

// upgraded has a process of its own take over from a daemon that runs in the test. It says
// when that has ended with what it carried. The other one is stopped with the test.
func upgraded(t *testing.T, d *daemon, ended <-chan error) <-chan error {
	t.Helper()
	if err := d.client.Upgrade(t.Context(), os.Args[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runtime.Stop(context.Background(), d.dir); err != nil {
			t.Error(err)
		}
	})
	if pid := d.status().Runtime.PID; pid == os.Getpid() || pid != pidOf(t, d.dir, "runtime.pid") {
		t.Errorf("pid %d answers", pid)
	}
	return ended
}

// TestUpgrade: connections stay where they are, new ones come to the new process, and the
// old one ends with the last of its own. What counts goes on.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), tutorial(network(t))
	d, _, ended := logged(t, dir, os.Args[0])
	for _, i := range c.Instances {
		i.Pages = nil
		i.Protocol = spec.ProtocolTCPEcho
	}
	lb := c.LoadBalancers[0]
	datagrams := *lb.Listeners[0]
	datagrams.Meta = spec.Meta{Address: `load_balancer.SLB1.listener["udp:53"]`, Name: "udp:53"}
	datagrams.Protocol, datagrams.Port, datagrams.HealthCheck.Enabled = spec.ProtocolUDP, 53, false
	echo, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			echo.WriteTo(b[:n], from)
		}
	}()
	c.ServerGroups = []*spec.ServerGroup{{Meta: spec.Meta{Address: "server_group.echo", Name: "echo"}, Type: spec.GroupVServer,
		Backends: []spec.Backend{member(echo.LocalAddr().(*net.UDPAddr).AddrPort(), 100)}}}
	datagrams.ServerGroup = "server_group.echo"
	lb.Listeners = append(lb.Listeners, &datagrams)
	d.mustApply(c)

	dial := func(network, port string) *webSocket {
		t.Helper()
		conn, err := net.Dial(network, lb.IP.String()+":"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &webSocket{conn, bufio.NewReader(conn)}
	}
	old, session := dial("tcp", "8080"), dial("udp", "8053")
	old.exchange(t, "before")
	session.exchange(t, "before")
	upgraded(t, d, ended)
	old.exchange(t, "after")
	fresh := dial("tcp", "8080")
	fresh.exchange(t, "fresh")
	s := d.status()
	l := s.LoadBalancers[0].Listeners[0]
	if l.Requests != 2 || l.Backends[0].Requests != 1 || l.Backends[1].Requests != 1 || l.Connections != 1 {
		t.Errorf("counted %+v: want both connections, on a server each, and one of them open here", l)
	}
	if len(s.Runtime.Predecessors) != 1 || s.Runtime.Predecessors[0] != os.Getpid() {
		t.Errorf("predecessors %v, want %d", s.Runtime.Predecessors, os.Getpid())
	}
	select {
	case err := <-ended:
		t.Fatalf("the old process has ended: %v", err)
	default:
	}

	// A third process gets the second one's part, and the first one goes on.
	if err := d.client.Upgrade(t.Context(), os.Args[0]); err != nil {
		t.Fatal(err)
	}
	old.exchange(t, "still")
	fresh.exchange(t, "still")
	session.exchange(t, "after two")
	eventually(t, "the third knows both", func() bool { return len(d.status().Runtime.Predecessors) == 2 })
	counted := func() int64 { return d.status().LoadBalancers[0].Listeners[0].BytesIn }
	before := counted()
	fresh.exchange(t, "what the second process counts")
	if n := counted(); n != before {
		t.Errorf("%d bytes, %d before: the third has not seen any", n, before)
	}
	fresh.Close()
	eventually(t, "the second has ended", func() bool { return len(d.status().Runtime.Predecessors) == 1 })
	want := before + int64(len("still")+len("what the second process counts"))
	eventually(t, "what it counted is known", func() bool { return counted() == want })
	old.exchange(t, "still there")
	if err := runtime.Stop(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the old process ended with %v", err)
	}
	if _, err := io.ReadAll(old); err == nil {
		t.Error("a connection of the old process outlives the runtime")
	}
}

// TestUpgradeFails has programs take over that cannot: the daemon goes on as if nothing had
// been, whenever they fail, and says why. Nobody who asks meanwhile is refused.
func TestUpgradeFails(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), measured(network(t))
	d, _, _ := logged(t, dir, os.Args[0])
	d.mustApply(c)
	script := func(text string) string {
		name := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var asked atomic.Int64
	var clients sync.WaitGroup
	ends := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-ends:
					return
				case <-time.After(time.Millisecond):
				}
				if _, err := get(balancerURL(c)); err != nil {
					t.Error(err)
				}
				asked.Add(1)
			}
		})
	}
	for _, test := range []struct{ why, program, want string }{
		{"no program", filepath.Join(dir, "missing"), "no such file"},
		{"no slbctl", script("exit 3"), "ended before it was ready"},
		{"it refuses", script(`echo '{"error":"not on a Friday"}' >&3; cat >/dev/null <&3`), "not on a Friday"},
		{"it speaks something else", script(`echo hello >&3; cat >/dev/null <&3`), "cannot take over"},
		{"it ends when it should serve", script(`echo '{"ready":true}' >&3; head -n 1 <&3 >/dev/null`), "ended before it was ready"},
		{"it hangs when it should serve", script(`echo '{"ready":true}' >&3; exec sleep 100`), "does not answer within 3s"},
	} {
		before := asked.Load()
		err := d.client.Upgrade(t.Context(), test.program)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.why, err, test.want)
		}
		eventually(t, test.why+": clients are served", func() bool { return asked.Load() > before+20 })
		if pid := pidOf(t, dir, "runtime.pid"); d.status().Runtime.PID != os.Getpid() || pid != os.Getpid() {
			t.Errorf("%s: pid %d", test.why, pid)
		}
		scrape(t, c)
		d.mustApply(c)
	}
	close(ends)
	clients.Wait()
}

// TestInheritAnotherFormat: a program that hands over in another way is told so.
func TestInheritAnotherFormat(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{`{"format":99,"sockets":"of another shape"}`, "format 99"},
		{`{"format":1,"sockets":"of another shape"}`, "cannot unmarshal"},
		{`[]`, "cannot unmarshal"},
	} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours := os.NewFile(uintptr(pair[0]), "ours")
		fmt.Fprintln(ours, test.line)
		t.Setenv("SLBCTL_HANDOVER_FD", fmt.Sprint(pair[1]))
		err = runtime.Run(t.Context(), t.TempDir(), runtime.Options{Log: slog.New(slog.DiscardHandler)})
		var said struct{ Error string }
		if json.NewDecoder(ours).Decode(&said) != nil || !strings.Contains(said.Error, test.want) || err == nil {
			t.Errorf("%s: said %q, %v, want %q", test.line, said.Error, err, test.want)
		}
		ours.Close()
	}
	t.Setenv("SLBCTL_HANDOVER_FD", "three")
	if err := runtime.Run(t.Context(), t.TempDir(), runtime.Options{}); err == nil {
		t.Error("no descriptor is taken over from")
	}
}

// TestUpgradeWhileItDrains: what drains in the old process keeps its instance, and who waits
// for it is told by the new one.
func TestUpgradeWhileItDrains(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), tutorial(network(t))
	c.Instances[1].Protocol, c.Instances[1].Pages = spec.ProtocolTCPEcho, nil
	c.Instances[0].Protocol, c.Instances[0].Pages = spec.ProtocolTCPEcho, nil
	c.LoadBalancers[0].Listeners[0].Drain = time.Minute
	d, _, ended := logged(t, dir, os.Args[0])
	d.mustApply(c)
	var open []*webSocket
	for range 2 { // one with each server
		conn, err := net.Dial("tcp", c.LoadBalancers[0].IP.String()+":8080")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, &webSocket{conn, bufio.NewReader(conn)})
		open[len(open)-1].exchange(t, "before")
	}
	less := *c
	less.Instances = c.Instances[:1]
	lb := *c.LoadBalancers[0]
	lb.Backends = lb.Backends[:1]
	less.LoadBalancers = []*spec.LoadBalancer{&lb}
	d.mustApply(&less)
	drained := make(chan error, 1)
	go func() { drained <- d.client.WaitDrained(t.Context(), "") }()
	upgraded(t, d, ended)
	for _, s := range open {
		s.exchange(t, "after")
	}
	select {
	case err := <-drained:
		t.Fatalf("it is drained, with a connection open: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	for _, s := range open {
		s.exchange(t, "still")
		s.Close()
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	ep := net.JoinHostPort(c.Instances[1].IP.String(), "8080")
	eventually(t, "the instance stops", func() bool {
		conn, err := net.Dial("tcp", ep)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, unix.ECONNREFUSED)
	})
}

// TestUpgradeInForeground: a daemon that somebody watches stays, carrying nothing, until the
// runtime ends; told to end, it ends the runtime.
func TestUpgradeInForeground(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		why string
		end func(dir string, cancel func()) error
	}{
		{"the runtime is stopped", func(dir string, _ func()) error { return runtime.Stop(context.Background(), dir) }},
		{"the first process is told to end", func(_ string, cancel func()) error { cancel(); return nil }},
	} {
		dir, c := t.TempDir(), tutorial(network(t))
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := make(chan error, 1), make(chan error, 1)
		go func() {
			ended <- runtime.Run(ctx, dir, runtime.Options{
				Log: slog.New(slog.DiscardHandler), Executable: os.Args[0], Foreground: true, Ready: func(err error) { ready <- err },
			})
		}()
		if err := <-ready; err != nil {
			t.Fatal(err)
		}
		client, err := control.Dial(dir)
		if err != nil {
			t.Fatal(err)
		}
		d := &daemon{t: t, dir: dir, client: client}
		for n := range 3 {
			if n == 1 { // the first one has nothing yet
				d.mustApply(c)
			}
			if err := client.Upgrade(t.Context(), os.Args[0]); err != nil {
				t.Fatal(err)
			}
			eventually(t, "nothing is carried by others", func() bool { return len(d.status().Runtime.Predecessors) == 0 })
		}
		select {
		case err := <-ended:
			t.Fatalf("the first process has ended: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if err := test.end(dir, cancel); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
		cancel()
		eventually(t, test.why+": nothing serves", func() bool {
			_, err := control.Dial(dir)
			return errors.Is(err, control.ErrNotRunning)
		})
	}
}

// TestDrainAfterUpgrade: what an apply or a user takes out of service, or lets back, holds
// for the connections of the process before as well.
func TestDrainAfterUpgrade(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), tutorial(network(t))
	for _, i := range c.Instances {
		i.Protocol, i.Pages = spec.ProtocolTCPEcho, nil
	}
	lb := *c.LoadBalancers[0]
	l := *lb.Listeners[0]
	c.LoadBalancers, lb.Listeners = []*spec.LoadBalancer{&lb}, []*spec.Listener{&l}
	l.Drain = 2 * time.Second
	d, _, ended := logged(t, dir, os.Args[0])
	d.mustApply(c)
	var open []*webSocket // in turn with the first server, the second, ...
	for range 4 {
		conn, err := net.Dial("tcp", lb.IP.String()+":8080")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, &webSocket{conn, bufio.NewReader(conn)})
		open[len(open)-1].exchange(t, "before")
	}
	upgraded(t, d, ended)

	if _, err := d.client.SetDrained(t.Context(), "instance.ECS01", true); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err := d.client.SetDrained(t.Context(), "instance.ECS01", false); err != nil {
		t.Fatal(err)
	}
	for time.Since(begun) < l.Drain*5/4 {
		open[0].exchange(t, "it is back")
		time.Sleep(10 * time.Millisecond)
	}

	less := *c
	less.Instances = c.Instances[:1]
	fewer := lb
	fewer.Backends = lb.Backends[:1]
	less.LoadBalancers = []*spec.LoadBalancer{&fewer}
	d.mustApply(&less)
	open[3].exchange(t, "it may finish")
	open[3].Close()
	begun = time.Now()
	if err := d.client.WaitDrained(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < l.Drain/2 {
		t.Errorf("drained after %v, with a connection open", took)
	}
	open[1].SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := open[1].in.ReadByte(); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the connection to a removed server ended with %v, want a reset at the end of the drain", err)
	}
	open[0].exchange(t, "still")
	open[2].exchange(t, "still")

	// A drain that ends by itself is over at once.
	begun = time.Now()
	none := less
	none.LoadBalancers = nil
	l.Drain = time.Minute
	d.mustApply(&less)
	d.mustApply(&none)
	open[0].exchange(t, "it may finish")
	open[0].Close()
	open[2].Close()
	if err := d.client.WaitDrained(t.Context(), ""); err != nil || time.Since(begun) > 30*time.Second {
		t.Errorf("%v, after %v", err, time.Since(begun))
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
