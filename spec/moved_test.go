package spec

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// TestMovedBlocks reads them in both syntaxes, and finds what is recorded under the new
// address: its IP address, its id and how often it was replaced.
func TestMovedBlocks(t *testing.T) {
	recorded := Recorded{
		Addresses:    map[string]netip.Addr{"instance.a": netip.MustParseAddr("127.10.0.77")},
		Replacements: map[string]int{"instance.a": 2},
		IDs:          map[string]string{"instance.a": NewID("instance.a", 2)},
	}
	for name, source := range map[string]string{
		"main.slb.hcl": `
instance "b" {
  lifecycle { ignore_changes = [page, "zone"] }
}
instance "a" {}
instance "c" {
  lifecycle { ignore_changes = all }
}
moved {
  from = instance.x
  to   = instance.b
}
moved {
  from = instance["y"]
  to   = instance.x
}
removed {
  from = instance.gone[0]
  lifecycle { destroy = false }
}
removed { from = load_balancer.lb.listener["http:80"].rule.r }
`,
		"main.slb.json": `{
  "instance": {"b": {"lifecycle": {"ignore_changes": ["page", "zone"]}}, "a": {}, "c": {"lifecycle": {"ignore_changes": ["all"]}}},
  "moved": [{"from": "instance.x", "to": "instance.b"}, {"from": "instance.y", "to": "instance.x"}],
  "removed": [{"from": "instance.gone[0]", "lifecycle": {"destroy": false}}, {"from": "load_balancer.lb.listener[\"http:80\"].rule[\"r\"]"}]
}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		was := Recorded{
			Addresses:    map[string]netip.Addr{"instance.y": recorded.Addresses["instance.a"]},
			Replacements: map[string]int{"instance.y": 2},
			IDs:          map[string]string{"instance.y": NewID("instance.a", 2), "instance.z": NewID("instance.a", 0)},
		}
		c, diags := Load(dir, Options{Recorded: was})
		if diags.HasErrors() {
			t.Fatalf("%s: %v", name, diags)
		}
		if want := []Move{{"instance.x", "instance.b"}, {"instance.y", "instance.x"}}; !slices.Equal(c.Moves, want) {
			t.Errorf("%s: moves %v", name, c.Moves)
		}
		if want := []Removal{{"instance.gone[0]", false}, {`load_balancer.lb.listener["http:80"].rule["r"]`, true}}; !slices.Equal(c.Removals, want) {
			t.Errorf("%s: removals %v", name, c.Removals)
		}
		b := c.Instance("instance.b")
		if b.IP != recorded.Addresses["instance.a"] || b.ID != recorded.IDs["instance.a"] || b.Replacements != 2 {
			t.Errorf("%s: b is %+v", name, b)
		}
		if a := c.Instance("instance.a"); a.ID != NewID("instance.a", 1) || a.Replacements != 1 {
			t.Errorf("%s: a has the id %s, which is instance.z's", name, a.ID)
		}
		if !slices.Equal(b.IgnoreChanges, []string{"page", "zone"}) || !slices.Equal(c.Instance("instance.c").IgnoreChanges, []string{IgnoreAll}) {
			t.Errorf("%s: ignored are %v", name, b.IgnoreChanges)
		}
	}
}

func TestRenames(t *testing.T) {
	lb := `load_balancer.a.listener["http:80"]`
	for _, c := range []struct {
		recorded []string
		moves    []Move
		want     map[string]string
	}{
		{[]string{"instance.a"}, nil, map[string]string{}},
		{[]string{"load_balancer.a", lb, lb + `.rule["r"]`, "load_balancer.ab"}, []Move{{"load_balancer.a", "load_balancer.b"}}, map[string]string{
			"load_balancer.a": "load_balancer.b", lb: `load_balancer.b.listener["http:80"]`, lb + `.rule["r"]`: `load_balancer.b.listener["http:80"].rule["r"]`}},
		{[]string{"load_balancer.a", lb, "load_balancer.b"}, []Move{{"load_balancer.a", "load_balancer.b"}}, map[string]string{}},
		{[]string{"instance.w[0]", `instance.w["x"]`}, []Move{{"instance.w", "instance.v"}, {"instance.w[0]", "instance.first"}}, map[string]string{
			"instance.w[0]": "instance.first", `instance.w["x"]`: `instance.v["x"]`}},
		{[]string{"instance.a", "instance.b"}, []Move{{"instance.a", "instance.b"}, {"instance.b", "instance.c"}}, map[string]string{
			"instance.b": "instance.c"}}, // a is not to come to c as well
		{[]string{"instance.a", "instance.c"}, []Move{{"instance.a", "instance.b"}, {"instance.b", "instance.c"}}, map[string]string{}},
		{[]string{"instance.a", "instance.b", "instance.c"}, []Move{{"instance.a", "instance.b"}, {"instance.b", "instance.c"}}, map[string]string{}},
	} {
		if got := Renames(c.recorded, c.moves); !maps.Equal(got, c.want) {
			t.Errorf("%v by %v: %v, want %v", c.recorded, c.moves, got, c.want)
		}
	}
}

// TestRename changes references and nothing that only looks like one.
func TestRename(t *testing.T) {
	to := map[string]string{"instance.a": "instance.b", "load_balancer.x": "load_balancer.y", `load_balancer.x.listener["http:80"]`: `load_balancer.y.listener["http:80"]`}
	before := []Resource{
		{Address: "instance.a", Kind: "instance", Name: "a", ID: "i-1", Attributes: map[string]any{"tags": map[string]any{"instance": "instance.a"}, "page": []any{map[string]any{"path": "/", "content": "instance.a"}}}},
		{Address: "load_balancer.x", Kind: "load_balancer", Name: "x", ID: "lb-1", Refs: []string{"instance.a"}, Attributes: map[string]any{"backend": []any{map[string]any{"instance": "instance.a", "weight": 1.0}}}},
		{Address: `load_balancer.x.listener["http:80"]`, Kind: "listener", Name: "http:80", ID: "ls-1", Attributes: map[string]any{
			"protocol": "http", "port": 80.0, "access_log": map[string]any{"path": ".slbctl/access/x-http-80.log", "format": "json"}}},
	}
	after := Rename(before, to)
	want := []Resource{
		{Address: "instance.b", Kind: "instance", Name: "b", ID: "i-1", Attributes: before[0].Attributes},
		{Address: "load_balancer.y", Kind: "load_balancer", Name: "y", ID: "lb-1", Refs: []string{"instance.b"}, Attributes: map[string]any{"backend": []any{map[string]any{"instance": "instance.b", "weight": 1.0}}}},
		{Address: `load_balancer.y.listener["http:80"]`, Kind: "listener", Name: "http:80", ID: "ls-1", Attributes: map[string]any{
			"protocol": "http", "port": 80.0, "access_log": map[string]any{"path": ".slbctl/access/y-http-80.log", "format": "json"}}},
	}
	if !reflect.DeepEqual(after, want) {
		t.Errorf("got\n%+v\nwant\n%+v", after, want)
	}
	if before[1].Refs[0] != "instance.a" || before[2].Attributes["access_log"].(map[string]any)["path"] != ".slbctl/access/x-http-80.log" {
		t.Error("it has changed what it was given")
	}
}

func TestBackendAddresses(t *testing.T) {
	for _, c := range [][2]string{
		{"load_balancer.lb", "instance.ECS01:80"}, {"server_group.g", `instance.web["blue"]:80`}, {"server_group.g[0]", "127.0.0.1:8080"}, {"server_group.g", "[::1]:80"},
	} {
		group, member, ok := SplitBackend(BackendAddress(c[0], c[1]))
		if !ok || group != c[0] || member != c[1] {
			t.Errorf("%s: %s, %s, %v", BackendAddress(c[0], c[1]), group, member, ok)
		}
	}
	for _, a := range []string{"instance.a", "load_balancer.lb.backend", `nothing.lb.backend["x"]`, "load_balancer.lb.backend[0]", "("} {
		if _, _, ok := SplitBackend(a); ok {
			t.Errorf("%s is the address of a backend", a)
		}
	}
	to := map[string]string{"instance.a": "instance.b", "server_group.g": "server_group.h"}
	for before, after := range map[string]string{
		"instance.a": "instance.b", "instance.c": "instance.c",
		`server_group.g.backend["instance.a:80"]`: `server_group.h.backend["instance.b:80"]`,
		`server_group.g.backend["instance.a"]`:    `server_group.h.backend["instance.b"]`,
		`server_group.x.backend["127.0.0.1:80"]`:  `server_group.x.backend["127.0.0.1:80"]`,
	} {
		if got := RenameServer(before, to); got != after {
			t.Errorf("%s becomes %s, want %s", before, got, after)
		}
	}
}
