package planner_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/spec"
)

// older is a folder as an older version has left it: its state knows nothing of
// what the language has got since.
func older(t *testing.T, edit func(config string) string) planner.Input {
	t.Helper()
	const folder = "../testdata/older/"
	data, err := os.ReadFile(folder + "slbctl.state.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("acl")) {
		t.Fatal("the state is not of an older version")
	}
	recorded, err := state.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(folder + "older.slb.hcl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a.slb.hcl", []byte(edit(string(src))), 0o600); err != nil {
		t.Fatal(err)
	}
	config, diags := spec.Load(dir, spec.Options{Recorded: recorded.Recorded()})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return planner.Input{
		Config: config, State: recorded, SkipTraffic: true,
		Observed: planner.Observed{Running: true, Generation: recorded.Generation, Hash: recorded.ConfigHash},
	}
}

// TestAnotherVersionIsNoChange plans what an older version has applied.
func TestAnotherVersionIsNoChange(t *testing.T) {
	p := mustMake(t, older(t, func(c string) string { return c }))
	if p.HasChanges() {
		t.Errorf("a new version of slbctl changes\n%s", summary(p))
	}
}

// TestOlderMemberIsNoChange is about a state in which only elements of lists are old.
func TestOlderMemberIsNoChange(t *testing.T) {
	in := older(t, func(c string) string { return c })
	in.State.Resources = in.Config.Resources()
	for _, r := range in.State.Resources {
		if r.Kind == "server_group" {
			delete(r.Attributes["backend"].([]any)[0].(attrs), "role")
		}
	}
	if p := mustMake(t, in); p.HasChanges() {
		t.Errorf("a new version of slbctl changes\n%s", summary(p))
	}
}

// TestOnlyWhatChanges sees one edit in such a folder, and nothing besides.
func TestOnlyWhatChanges(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"an attribute", `"wlc"`, `"rr"`, `update load_balancer.SLB1.listener["tcp:80"] [scheduler]`},
		{"inside of a block", `interval = "1s"`, `interval = "2s"`, `update load_balancer.SLB1.listener["tcp:80"] [health_check.interval]`},
		{"a member", "weight   = 50", "weight   = 60", `update server_group.web [backend["instance.web[1]"].weight]`},
		{"what is new in the language", `scheduler    = "wlc"`, "scheduler    = \"wlc\"\n    persistence_timeout = 60",
			`update load_balancer.SLB1.listener["tcp:80"] [persistence_timeout]`},
		{"that, of a member", "weight   = 50", "weight   = 50\n    max_connections = 9", `update server_group.web [backend["instance.web[1]"].max_connections]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustMake(t, older(t, func(c string) string { return strings.Replace(c, tt.old, tt.new, 1) }))
			if got := summary(p); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestOlderStateThatDoesNotRead is told, not planned away.
func TestOlderStateThatDoesNotRead(t *testing.T) {
	in := older(t, func(c string) string { return c })
	in.State.Resources[0].Kind = "listening_post"
	if _, err := planner.Make(in); err == nil || !strings.Contains(err.Error(), "read what is recorded") {
		t.Errorf("got %v", err)
	}
}
