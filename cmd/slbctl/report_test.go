package main

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/sim"
	"slbctl/spec"
)

func planExample() *planner.Plan {
	return &planner.Plan{
		Changes: []planner.Change{
			{Address: "instance.a", Kind: "instance", Action: planner.Create},
			{Address: "instance.b", Kind: "instance", Action: planner.NoOp},
			{Address: "instance.c", Kind: "instance", Action: planner.Replace, Reason: "zone forces replacement"},
			{Address: "instance.d", Kind: "instance", Action: planner.Delete, Reason: "not in the configuration <any more>"},
		},
		Promises: []sim.Promise{{Address: "load_balancer.lb", Name: "even", Verdict: sim.Pass, Wanted: "50%", Detail: "50% of new connections"}},
		Warnings: []string{"watch out"},
		Next: &state.State{Outputs: []spec.Output{
			{Name: "secret", Value: "hmac-sha256:00", Sensitive: true},
			{Name: "url", Value: "http://127.10.0.4"},
		}},
	}
}

func TestJSONReport(t *testing.T) {
	var out bytes.Buffer
	r := (&session{stdout: &out}).newReport(true)
	if err := r.plan(planExample()); err != nil {
		t.Fatal(err)
	}
	r.event(planner.Event{Phase: "commit", Message: "generation 2 takes over"})
	if err := r.done(planExample(), false); err != nil {
		t.Fatal(err)
	}
	r.failed(&planner.VerifyError{Problems: []string{"instance.a is abnormal"}, Live: 4})
	want := `{"type":"change","action":"create","address":"instance.a","reason":""}
{"type":"change","action":"replace","address":"instance.c","reason":"zone forces replacement"}
{"type":"change","action":"delete","address":"instance.d","reason":"not in the configuration <any more>"}
{"type":"expectation","address":"load_balancer.lb","detail":"50% of new connections","listener":"","live":false,"name":"even","observed":null,"verdict":"pass","wanted":"50%"}
{"type":"warning","message":"watch out"}
{"type":"event","phase":"commit","address":"","message":"generation 2 takes over"}
{"type":"summary","format_version":"1.0","resources":{"added":2,"changed":0,"destroyed":2},"outputs":{"secret":{"sensitive":true,"value":null},"url":{"sensitive":false,"value":"http://127.10.0.4"}}}
{"type":"error","exit_code":3,"message":"verification failed and the change was rolled back, generation 4 runs, as before: instance.a is abnormal"}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// brokenPipe is an output that nobody reads any more.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestJSONReportTellsThatNobodyListens(t *testing.T) {
	r := (&session{stdout: brokenPipe{}}).newReport(true)
	r.event(planner.Event{})
	if err := r.done(planExample(), false); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

func TestTextReport(t *testing.T) {
	for _, tt := range []struct {
		destroys bool
		want     string
	}{
		{false, "\nApply complete! Resources: 2 added, 0 changed, 2 destroyed.\n\nOutputs:\n\nsecret = (sensitive value)\nurl    = \"http://127.10.0.4\"\n"},
		{true, "\nDestroy complete! Resources: 2 destroyed.\n"},
	} {
		var out, progress bytes.Buffer
		r := (&session{stdout: &out, stderr: &progress}).newReport(false)
		r.event(planner.Event{Phase: "verify", Address: "instance.a", Message: "is normal"})
		r.event(planner.Event{Phase: "commit", Message: "takes over"})
		if err := r.done(planExample(), tt.destroys); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, out.String()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff("verify   instance.a: is normal\ncommit   takes over\n", progress.String()); diff != "" {
			t.Error(diff)
		}
	}
}
