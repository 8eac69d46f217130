package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/explain"
	"slbctl/spec"
)

// engine is a control.Engine that remembers what it was asked.
type engine struct {
	applied  control.Request
	fail     error
	wordy    int // more steps of an apply
	set      map[string]bool
	shutdown chan struct{}
	fault    string
}

func (e *engine) Status() *control.Status {
	return &control.Status{FormatVersion: "1.0", Runtime: control.Runtime{Generation: 7}}
}

func (e *engine) Generation(context.Context) (control.Generation, error) {
	return control.Generation{Generation: 7, Hash: "abc"}, nil
}

func (e *engine) Apply(_ context.Context, req control.Request, emit func(control.Event)) error {
	e.applied = req
	emit(control.Event{Phase: control.PhasePrepare, Address: "instance.A", Message: "serves"})
	emit(control.Event{Phase: control.PhaseCommit, Message: "takes over"})
	for range e.wordy {
		emit(control.Event{Phase: control.PhaseVerify, Message: strings.Repeat("well ", 1000)})
	}
	if e.wordy > 0 {
		close(e.shutdown)
	}
	return e.fail
}

func (e *engine) SetFault(_ context.Context, address string, fault *spec.InstanceFault, d time.Duration) error {
	e.fault = fmt.Sprint(address, " ", fault, " ", d)
	return nil
}

func (e *engine) SetInstance(_ context.Context, address string, running bool) error {
	if address == "instance.gone" {
		return &control.Error{Code: control.CodeNotFound, Message: "no such instance"}
	}
	e.set[address] = running
	return nil
}

func (e *engine) EndTry(context.Context) error {
	e.set["over"] = true
	return e.fail
}

func (e *engine) SetAside(_ context.Context, address string, d time.Duration) error {
	e.set[fmt.Sprint("aside ", address, " ", d)] = true
	return nil
}

func (e *engine) SetDrained(_ context.Context, address string, drained bool) (control.DrainResult, error) {
	e.set["drained "+address] = drained
	return control.DrainResult{Backends: 2, Unserved: []string{"l"}}, nil
}

func (e *engine) Explain(q explain.Question) (*explain.Explanation, error) {
	return &explain.Explanation{URL: q.URL, Picks: make([]explain.Pick, q.Next)}, e.fail
}

func (e *engine) Standing(listener string) (*control.Standing, error) {
	return &control.Standing{Generation: 7, Pools: []balance.Standing{{
		Owner: listener, Tickets: 1 << 60, Servers: []balance.ServerStanding{{Name: "a", Health: balance.Normal, Probe: time.Second}},
	}}}, e.fail
}

func (e *engine) WaitDrained(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }

func (e *engine) Upgrade(_ context.Context, executable string) error {
	e.set["upgraded to "+executable] = true
	return e.fail
}

func (e *engine) Shutdown() { close(e.shutdown) }

// serve runs the API of an engine in a folder of its own.
func serve(t *testing.T, dir string) (*engine, *control.Client) {
	t.Helper()
	folder := filepath.Join(dir, control.Folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	e := &engine{set: map[string]bool{}, shutdown: make(chan struct{})}
	socket, err := control.Listen(folder, control.SocketName)
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer(e)
	done := make(chan error, 1)
	go func() { done <- server.Serve(socket) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("server ended with %v", err)
		}
	})
	client, err := control.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e, client
}

func TestCallsReachTheEngine(t *testing.T) {
	e, client := serve(t, t.TempDir())
	ctx := t.Context()
	status, err := client.Status(ctx)
	if err != nil || status.Runtime.Generation != 7 {
		t.Errorf("status = %+v, %v", status, err)
	}
	if err := client.SetFault(ctx, "instance.A", &spec.InstanceFault{Hang: true}, time.Minute); err != nil || e.fault != "instance.A hang 1m0s" {
		t.Errorf("fault = %q, %v", e.fault, err)
	}
	if err := client.SetFault(ctx, "instance.A", nil, 0); err != nil || e.fault != "instance.A none 0s" {
		t.Errorf("fault = %q, %v", e.fault, err)
	}
	g, err := client.Generation(ctx)
	if err != nil || g != (control.Generation{Generation: 7, Hash: "abc"}) {
		t.Errorf("generation = %+v, %v", g, err)
	}
	if err := errors.Join(client.StopInstance(ctx, "instance.A"), client.StartInstance(ctx, "instance.B")); err != nil {
		t.Error(err)
	}
	if r, err := client.SetDrained(ctx, "instance.A", true); err != nil || r.Backends != 2 || len(r.Unserved) != 1 {
		t.Errorf("drain: %+v, %v", r, err)
	}
	if err := errors.Join(client.SetAside(ctx, "instance.A", time.Second), client.EndTry(ctx)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]bool{"instance.A": false, "instance.B": true, "drained instance.A": true, "aside instance.A 1s": true, "over": true}, e.set); diff != "" {
		t.Error(diff)
	}
	answer, err := client.Explain(ctx, explain.Question{URL: "http://a/", Next: 3})
	if err != nil || answer.URL != "http://a/" || len(answer.Picks) != 3 {
		t.Errorf("explain = %+v, %v", answer, err)
	}
	standing, err := client.Standing(ctx, `load_balancer.a.listener["tcp:80"]`)
	want, _ := e.Standing(`load_balancer.a.listener["tcp:80"]`)
	if diff := cmp.Diff(want, standing); err != nil || diff != "" {
		t.Errorf("standing: %v %s", err, diff)
	}
	if err := client.Upgrade(ctx, "/bin/next"); err != nil || !e.set["upgraded to /bin/next"] {
		t.Errorf("upgrade: %v", err)
	}
	if err := client.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	<-e.shutdown
}

// TestSocketIsHandedOver: who comes in a pause is served by who takes over, or by the first
// one if nobody does; the file goes with the last one.
func TestSocketIsHandedOver(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, control.Folder)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	first, err := control.Listen(folder, control.SocketName)
	if err != nil {
		t.Fatal(err)
	}
	takes := func(s *control.Socket, who string) {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, who)
			conn.Close()
		}
	}
	var accepting sync.WaitGroup
	accepting.Go(func() { takes(first, "first") })
	dial := func() net.Conn {
		t.Helper()
		conn, err := control.DialSocket(t.Context(), folder, control.SocketName)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	answer := func(conn net.Conn) string {
		t.Helper()
		defer conn.Close()
		b, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first.Pause()
	waits := dial()
	first.Resume()
	if who := answer(waits); who != "first" {
		t.Errorf("after a pause %q answers", who)
	}
	file, err := first.File()
	if err != nil {
		t.Fatal(err)
	}
	next, err := control.Adopt(folder, control.SocketName, file)
	if err != nil {
		t.Fatal(err)
	}
	first.Pause()
	first.Leave()
	accepting.Wait()
	waits = dial()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	accepting.Go(func() { takes(next, "next") })
	if who := answer(waits); who != "next" {
		t.Errorf("%q has taken over", who)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	accepting.Wait()
	if _, err := control.DialSocket(t.Context(), folder, control.SocketName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket's file is left: %v", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Adopt(folder, control.SocketName, null); err == nil {
		t.Error("adopted what is no socket")
	}
}

func TestApplyStreamsEventsAndCarriesTheConfiguration(t *testing.T) {
	e, client := serve(t, t.TempDir())
	req := control.Request{
		Generation: 8, Base: 7, Hash: "def", Wait: control.WaitVerified, Timeout: time.Minute,
		Config: &spec.Config{Instances: []*spec.Instance{{Meta: spec.Meta{Address: "instance.A"}, Ports: []uint16{80}}}},
	}
	var phases []string
	err := client.Apply(t.Context(), req, func(ev control.Event) { phases = append(phases, ev.Phase) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{control.PhasePrepare, control.PhaseCommit}, phases); diff != "" {
		t.Error(diff)
	}
	if e.applied.Config == nil || e.applied.Config.Instances[0].Address != "instance.A" || e.applied.Timeout != time.Minute {
		t.Errorf("the engine got %+v", e.applied)
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	e, client := serve(t, t.TempDir())
	e.fail = &control.Error{Code: control.CodeVerify, Message: "instance.A is abnormal"}
	var refused *control.Error
	err := client.Apply(t.Context(), control.Request{}, func(control.Event) {})
	if !errors.As(err, &refused) || *refused != (control.Error{Code: control.CodeVerify, Message: "instance.A is abnormal"}) {
		t.Errorf("apply: %v", err)
	}
	err = client.StopInstance(t.Context(), "instance.gone")
	if !errors.As(err, &refused) || refused.Code != control.CodeNotFound {
		t.Errorf("stop: %v", err)
	}
	e.fail = errors.New("disk full")
	err = client.Apply(t.Context(), control.Request{}, func(control.Event) {})
	if !errors.As(err, &refused) || *refused != (control.Error{Code: control.CodeRefused, Message: "disk full"}) {
		t.Errorf("apply with a plain error: %v", err)
	}
}

func TestAnyFolderWorks(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 600 {
		dir = filepath.Join(dir, strings.Repeat("d", 100))
	}
	if _, client := serve(t, dir); client == nil {
		t.Fatal("no client")
	}
	info, err := os.Stat(filepath.Join(dir, control.Folder, control.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket mode = %v, %v; want 0600", info.Mode(), err)
	}
}

func TestDialWithoutDaemon(t *testing.T) {
	dir := t.TempDir()
	if _, err := control.Dial(dir); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("empty folder: %v", err)
	}
	// A killed daemon leaves its socket file behind: nothing listens there.
	folder := filepath.Join(dir, control.Folder)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	socket, err := control.Listen(folder, control.SocketName)
	if err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(folder, control.SocketName)
	if err := os.Rename(stale, stale+".kept"); err != nil {
		t.Fatal(err)
	}
	socket.Close()
	if err := os.Rename(stale+".kept", stale); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Dial(dir); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("stale socket: %v", err)
	}
	again, err := control.Listen(folder, control.SocketName)
	if err != nil {
		t.Fatalf("listen over a stale socket: %v", err)
	}
	again.Close()
}

// TestDaemonEndsWhileItIsAsked: whoever asked is told that none runs, also where the dying
// one still takes connections for a moment.
func TestDaemonEndsWhileItIsAsked(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, control.Folder)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	socket, err := control.Listen(folder, control.SocketName)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		const probes = 5
		for range probes {
			if conn, err := socket.Accept(); err == nil {
				conn.Close()
			}
		}
		socket.Close()
	}()
	client, err := control.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Generation(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("generation: %v", err)
	}
	if _, err := client.Status(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("status: %v", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	_, client := serve(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := client.WaitDrained(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait: %v", err)
	}
}

// TestStuckClientDoesNotHoldUpAnApply: who asked stops reading. The apply waits for it
// once, not at every step.
func TestStuckClientDoesNotHoldUpAnApply(t *testing.T) {
	t.Parallel()
	e, client := serve(t, t.TempDir())
	e.wordy = 1000
	unread := make(chan struct{})
	go client.Apply(t.Context(), control.Request{}, func(control.Event) { <-unread })
	defer close(unread)
	select {
	case <-e.shutdown:
	case <-time.After(9 * time.Second):
		t.Error("the apply waits for its client")
	}
}
