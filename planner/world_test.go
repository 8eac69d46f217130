package planner_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime/durable/durabletest"
	"slbctl/spec"
)

type attrs = map[string]any

// resource makes one from its address; attributes that it does not name have
// their defaults.
func resource(address string, attributes attrs, refs ...string) spec.Resource {
	r := spec.Resource{Address: address, ID: spec.NewID(address, 0), Refs: refs, Attributes: attributes}
	inner := address
	if p := spec.Parent(address); p != "" {
		inner = strings.TrimPrefix(address, p+".")
	}
	r.Kind, r.Name, _ = strings.Cut(inner, ".")
	if kind, name, ok := strings.Cut(inner, `["`); ok && !strings.Contains(kind, ".") {
		r.Kind, r.Name = kind, strings.TrimSuffix(name, `"]`)
	}
	r.Name, _, _ = strings.Cut(r.Name, "[")
	return r
}

func instance(name string, more ...attrs) spec.Resource {
	last := netip.AddrFrom4([4]byte{127, 10, 0, 10})
	for _, c := range name {
		for range c % 16 {
			last = last.Next()
		}
	}
	a := attrs{
		"address": last.String(), "zone": "cn-hangzhou-b", "status": "running", "ports": []any{80.0},
		"page": []any{attrs{"path": "/", "content": "This is " + name + ".\n"}},
	}
	for _, m := range more {
		maps.Copy(a, m)
	}
	return resource("instance."+name, a)
}

func backend(name string, more ...attrs) attrs {
	b := attrs{"instance": "instance." + name, "weight": 100.0}
	for _, m := range more {
		maps.Copy(b, m)
	}
	return b
}

func balancer(name string, a attrs) spec.Resource {
	all := attrs{"address": "127.10.0.200", "address_type": "internet", "status": "active"}
	maps.Copy(all, a)
	return resource("load_balancer."+name, all, instancesOf(all["backend"])...)
}

// instancesOf lists what backends refer to, as the language does.
func instancesOf(backends any) []string {
	var refs []string
	list, _ := backends.([]any)
	for _, b := range list {
		refs = append(refs, b.(attrs)["instance"].(string))
	}
	return refs
}

func listener(lb, port string, a attrs) spec.Resource {
	all := attrs{"protocol": "tcp", "port": 80.0, "backend_port": 80.0, "scheduler": "rr", "status": "running", "drain": "0s", "health_check": attrs{"enabled": true, "interval": "2s"}}
	maps.Copy(all, a)
	return resource("load_balancer."+lb+`.listener["tcp:`+port+`"]`, all)
}

func zone(domain string) spec.Resource { return resource(`dns_zone["`+domain+`"]`, attrs{}) }

func record(domain, name string, a attrs, refs ...string) spec.Resource {
	host, typ, _ := strings.Cut(name, ":")
	all := attrs{"host": host, "type": typ, "ttl": 600.0}
	maps.Copy(all, a)
	return resource(`dns_zone["`+domain+`"].record["`+name+`"]`, all, refs...)
}

// quickstart is the tutorial: two servers, a balancer and a name.
func quickstart() []spec.Resource {
	return []spec.Resource{
		instance("ECS01"),
		instance("ECS02", attrs{"zone": "cn-hangzhou-d"}),
		balancer("SLB1", attrs{"backend": []any{backend("ECS01"), backend("ECS02")}}),
		listener("SLB1", "80", nil),
		zone("abc.com"),
		record("abc.com", "www:A", attrs{"values": []any{"127.10.0.200"}}, "load_balancer.SLB1"),
	}
}

var settings = spec.Runtime{Network: netip.MustParsePrefix("127.10.0.0/16")}

func config(t testing.TB, resources []spec.Resource, outputs ...spec.Output) *spec.Config {
	t.Helper()
	c, err := spec.FromResources(resources, settings, 42)
	if err != nil {
		t.Fatal(err)
	}
	c.Outputs = outputs
	return c
}

// world is a working folder and the runtime that belongs to it.
type world struct {
	disk   *durabletest.Disk
	engine *engine
}

// engine is a runtime that only remembers.
type engine struct {
	seen     planner.Observed
	requests []planner.Request
	fail     error  // instead of a commit
	after    error  // the commit happens, but its answer is lost
	before   func() // called before the commit
}

func (e *engine) Observe(context.Context) (planner.Observed, error) { return e.seen, nil }

func (e *engine) Apply(_ context.Context, r planner.Request, report func(planner.Event)) error {
	e.requests = append(e.requests, r)
	if e.before != nil {
		e.before()
	}
	if e.fail != nil {
		return e.fail
	}
	if r.Base != e.seen.Generation {
		return &planner.StaleError{Moved: []string{"the runtime"}}
	}
	e.seen = planner.Observed{Running: true, Generation: r.Generation, Hash: r.Hash, Instances: map[string]string{}}
	for _, res := range r.Config.Resources() {
		if status, ok := res.Attributes["status"].(string); ok && res.Kind == "instance" {
			e.seen.Instances[res.Address] = status
		}
	}
	report(planner.Event{Phase: "commit", Message: "done"})
	return e.after
}

func (e *engine) live() (uint64, string, error) { return e.seen.Generation, e.seen.Hash, nil }

func newWorld() *world { return &world{disk: durabletest.New(), engine: &engine{}} }

func (w *world) store() *state.Store { return state.Open(w.disk, "/w", "") }

func (w *world) recorded(t testing.TB) *state.State {
	t.Helper()
	s, _, err := w.store().Recover(w.engine.live)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) input(t testing.TB, c *spec.Config) planner.Input {
	return planner.Input{Config: c, State: w.recorded(t), Observed: w.engine.seen, Lineage: "9f1c", SkipTraffic: true, Key: []byte("key")}
}

func (w *world) apply(t testing.TB, in planner.Input) *planner.Plan {
	t.Helper()
	p := mustMake(t, in)
	if err := planner.Apply(t.Context(), p, w.store(), w.engine, planner.ApplyOptions{}, func(planner.Event) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

// holding is a world in which these resources are applied.
func holding(t testing.TB, resources []spec.Resource, outputs ...spec.Output) *world {
	t.Helper()
	w := newWorld()
	w.apply(t, w.input(t, config(t, resources, outputs...)))
	return w
}

func mustMake(t testing.TB, in planner.Input) *planner.Plan {
	t.Helper()
	p, err := planner.Make(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// summary is one line a change: "update load_balancer.SLB1 (why) [paths]".
func summary(p *planner.Plan) string {
	var lines []string
	for _, c := range p.Changes {
		if c.Action == planner.NoOp {
			continue
		}
		line := string(c.Action) + " " + c.Address
		if c.Reason != "" {
			line += " (" + c.Reason + ")"
		}
		if len(c.Changed) > 0 {
			line += " [" + strings.Join(c.Changed, " ") + "]"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func without(resources []spec.Resource, addresses ...string) []spec.Resource {
	var kept []spec.Resource
next:
	for _, r := range resources {
		for _, a := range addresses {
			if r.Address == a {
				continue next
			}
		}
		kept = append(kept, r)
	}
	return kept
}

// with replaces or adds resources.
func with(resources []spec.Resource, more ...spec.Resource) []spec.Resource {
	for _, m := range more {
		resources = append(without(resources, m.Address), m)
	}
	return resources
}

var errLost = errors.New("connection lost")
