package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slbctl/planner"
	"slbctl/runtime/control"
	"slbctl/sim"
	"slbctl/spec"
)

// standIn answers as the daemon, by path; what is not in the list succeeds.
func standIn(t *testing.T, answers map[string]http.HandlerFunc) *control.Client {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, control.Folder)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	socket, err := control.Listen(folder, control.SocketName)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := answers[r.URL.Path]; answer != nil {
			answer(w, r)
		}
	})}
	go server.Serve(socket)
	t.Cleanup(func() { server.Close() })
	client, err := control.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// operated is a live run of an hour whose traffic is somebody else's.
func operated(client *control.Client) *liveRun {
	return &liveRun{
		client: client, sim: &spec.Simulation{Duration: time.Hour}, listener: &spec.Listener{}, start: time.Now(),
		forecast: &sim.Forecast{Drains: []sim.Drain{{Until: time.Hour, Instances: []string{"instance.b"}}}},
	}
}

// TestOperateTellsAtOnce: what cannot be done to what runs ends the run, whatever else is to be done later.
func TestOperateTellsAtOnce(t *testing.T) {
	l := operated(standIn(t, map[string]http.HandlerFunc{
		"/v1/fault": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusTeapot) },
	}))
	l.forecast.Strikes = []sim.Strike{{For: time.Minute, Instance: "instance.a"}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.operate(ctx, &session{ctx: ctx, stderr: io.Discard}); err == nil || !strings.Contains(err.Error(), "teapot") {
		t.Errorf("after %s: %v", time.Since(l.start), err)
	}
}

// TestOperateTellsOfLateChange: a change that fails when the traffic is over was no change all the same, and who only
// waits for his time has nothing to tell then.
func TestOperateTellsOfLateChange(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := operated(standIn(t, map[string]http.HandlerFunc{"/v1/apply": func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		io.WriteString(w, `{"error": {"code": "verify", "message": "nobody is well"}}`)
	}}))
	s := &session{ctx: ctx, stderr: io.Discard}
	l.attempt = &planner.Request{}
	if err := l.operate(ctx, s); err == nil || !strings.Contains(err.Error(), "nobody is well") {
		t.Errorf("told %v", err)
	}
	if l.attempt = nil; l.operate(ctx, s) != nil {
		t.Error("the end of the traffic is told as an error")
	}
}
