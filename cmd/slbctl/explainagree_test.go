package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"slbctl/runtime/control"
	"slbctl/runtime/explain"
	"slbctl/spec"
)

// TestExplainForetellsRequests asks of each of 10,000 requests where it goes before it
// is made, and holds its outcome and its server to the answer; at the end the balancer's
// own counts, by rule and server, are what was foretold. So a question takes no turn.
func TestExplainForetellsRequests(t *testing.T) {
	t.Parallel()
	const requests = 10_000
	f := newFolder(t, builtPlain, fmt.Sprintf(agreeWebConfig, network(t), 2))
	f.must("apply", "-auto-approve")
	picks := simulated(t, f.dir, "requests")
	if len(picks) != requests {
		t.Fatalf("the simulator made %d requests", len(picks))
	}
	client := dialed(t, f)
	live := audience{endpoint: f.must("output", "-raw", "endpoint"), members: map[string]*member{}}
	defer live.close()
	foretold, outcomes := map[[2]string]int64{}, map[string]int{}
	for i := range picks {
		p := &picks[i]
		q := explain.Question{URL: "http://" + live.endpoint + p.Path, From: p.Client.Source, Next: 1, Headers: []string{"Host: " + p.Host}}
		if cookies := live.visitor(p).cookies(p.Host); len(cookies) > 0 {
			q.Headers = append(q.Headers, "Cookie: "+strings.Join(cookies, "; "))
		}
		said, err := client.Explain(t.Context(), q)
		if err != nil {
			t.Fatalf("request %d: explain %+v: %v", i, q, err)
		}
		got, err := live.ask(p)
		if err != nil {
			t.Fatalf("request %d, from %v for %s%s: %v", i, p.Client.Source, p.Host, p.Path, err)
		}
		if want := strings.TrimSpace(said.Outcome + " " + said.Server); got != want {
			t.Fatalf("request %d, from %v for %s%s: %s, foretold was %s", i, p.Client.Source, p.Host, p.Path, got, want)
		}
		outcomes[said.Outcome]++
		if said.Server != "" {
			foretold[[2]string{said.Rule, said.Server}]++
		}
	}
	if len(outcomes) != 5 {
		t.Errorf("outcomes were %v", outcomes)
	}
	if counted := countsByRule(t, client, `load_balancer.lb.listener["http:80"]`); !maps.Equal(counted, foretold) {
		t.Errorf("the balancer counted %v, foretold was %v", counted, foretold)
	}
}

// countsByRule are a listener's requests by rule, empty for its own servers, and server.
func countsByRule(t *testing.T, client *control.Client, listener string) map[[2]string]int64 {
	t.Helper()
	status, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counted := map[[2]string]int64{}
	add := func(rule string, backends []control.Backend) {
		for _, b := range backends {
			if b.Requests > 0 {
				counted[[2]string{rule, b.Address}] = b.Requests
			}
		}
	}
	for _, lb := range status.LoadBalancers {
		for _, l := range lb.Listeners {
			if l.Address != listener {
				continue
			}
			add("", l.Backends)
			for _, r := range l.Rules {
				add(r.Address, r.Backends)
			}
		}
	}
	return counted
}

func dialed(t *testing.T, f *folder) *control.Client {
	t.Helper()
	client, err := control.Dial(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestExplainForetellsConnections is the same on L4: the next 10,000 of rr and wrr are
// told at once; of sch and tch each connection's client decides.
func TestExplainForetellsConnections(t *testing.T) {
	const connections = 10_000
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWRR} {
		t.Run(scheduler, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t, builtPlain, fmt.Sprintf(agreeConfig, network(t), 2, scheduler))
			f.must("apply", "-auto-approve")
			endpoint := f.must("output", "-raw", "endpoint")
			var said explain.Explanation
			text := f.must("explain", "-json", "-n", fmt.Sprint(connections), "tcp://"+endpoint)
			if err := json.Unmarshal([]byte(text), &said); err != nil {
				t.Fatal(err)
			}
			if len(said.Picks) != connections || said.Source != explain.FromRuntime {
				t.Fatalf("%d picks from the %s", len(said.Picks), said.Source)
			}
			for i, want := range said.Picks {
				if got, err := fetch(endpoint); err != nil || got != want.Server {
					t.Fatalf("connection %d went to %s (%v), foretold was %s", i, got, err, want.Server)
				}
			}
		})
	}
	for _, scheduler := range []string{spec.SchedulerSCH, spec.SchedulerTCH} {
		t.Run(scheduler, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t, builtPlain, fmt.Sprintf(agreeConfig, network(t), 2, scheduler))
			f.must("apply", "-auto-approve")
			endpoint, client := f.must("output", "-raw", "endpoint"), dialed(t, f)
			servers := map[string]int{}
			for i := range connections / 5 {
				got, from, err := fetchFrom(endpoint, netip.AddrFrom4([4]byte{127, 203, byte(i >> 8), byte(i)}))
				if err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				said, err := client.Explain(t.Context(), explain.Question{URL: "tcp://" + endpoint, From: from, Next: 1})
				if err != nil || got != said.Server {
					t.Fatalf("connection %d from %v went to %s, %v; foretold was %s", i, from, got, err, said.Server)
				}
				servers[got]++
			}
			if len(servers) != 3 {
				t.Errorf("only these were asked: %v", servers)
			}
		})
	}
}
