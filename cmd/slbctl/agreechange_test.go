package main

import (
	"fmt"
	"strings"
	"testing"

	"slbctl/sim"
	"slbctl/spec"
)

// agreeChangeConfig has a listener whose servers, weights and rule are to fill in, and clients with cookies.
const agreeChangeConfig = `
runtime {
  network     = "%s"
  port_offset = 8000
}
instance "web" {
  count = 5
  page "/" { content = "instance.web[${count.index}]" }
  page "/tom" { content = "instance.web[${count.index}]" }
}
server_group "tom" {
  backend { instance = instance.web[0] }
  backend { instance = instance.web[1] }
}
load_balancer "lb" {
  %s
  listener "http" "80" {
    idle_timeout = 60
    %s
    rule "tom" {
      domain       = "www.aaa.com"
      url          = "/tom"
      server_group = server_group.tom
    }
  }
}
simulation "requests" {
  target   = load_balancer.lb
  duration = "4s"
  traffic "browsers" {
    rate     = 500
    arrivals = "constant"
    clients  = { count = 60, network = "127.88.200.0/26" }
    session  = { requests = 9 }
    request  = [{ weight = 2, host = "www.aaa.com", path = "/tom" }, { weight = 3, host = "www.bbb.com", path = "/" }]
  }
  %s
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["http:80"].url, "http://") }
`

// agrees sends the requests of a simulation and holds each answer to it; in front of one of them something
// happens.
func agrees(t *testing.T, f *folder, config *spec.Config, opt sim.Options, at int, happens func()) {
	t.Helper()
	var picks []sim.Pick
	opt.Observe = func(p sim.Pick) { picks = append(picks, p) }
	if _, err := sim.Run(config, "requests", opt); err != nil {
		t.Fatal(err)
	}
	live := audience{endpoint: f.must("output", "-raw", "endpoint"), members: map[string]*member{}}
	defer live.close()
	seen := map[string]int{}
	for i := range picks {
		if i == at {
			happens()
		}
		p := &picks[i]
		got, err := live.ask(p)
		if err != nil {
			t.Fatalf("request %d, from %v for %s%s: %v", i, p.Client.Source, p.Host, p.Path, err)
		}
		if want := strings.TrimSpace(fmt.Sprint(p.Outcome, " ", p.Backend)); got != want {
			t.Fatalf("request %d, from %v for %s%s: %s, the simulator says %s", i, p.Client.Source, p.Host, p.Path, got, want)
		}
		seen[got]++
	}
	if len(picks) != 2000 || len(seen) < 4 {
		t.Errorf("%d requests: %v", len(picks), seen)
	}
}

func members(weights ...int) string {
	var b strings.Builder
	for i, w := range weights {
		if w >= 0 {
			fmt.Fprintf(&b, "backend {\n instance = instance.web[%d]\n weight = %d\n}\n", i, w)
		}
	}
	return b.String()
}

func loadedFrom(t *testing.T, dir string) *spec.Config {
	t.Helper()
	config, found := spec.Load(dir, spec.Options{})
	if found.HasErrors() {
		t.Fatal(found)
	}
	return config
}

// TestSimAndLiveAgreeOnAChange applies a change between two requests: turns, cookies, weights, servers that
// come, leave and get weight 0, all go on as a simulation with that change says.
func TestSimAndLiveAgreeOnAChange(t *testing.T) {
	t.Parallel()
	const sticky = "sticky_session {\n type = \"insert\"\n cookie_timeout = \"1h\"\n}"
	n := network(t)
	f := newFolder(t, builtPlain, fmt.Sprintf(agreeChangeConfig, n, members(1, 2, 3, 1, -1), sticky, ""))
	f.must("apply", "-auto-approve")
	before := loadedFrom(t, f.dir)
	f.write(fmt.Sprintf(agreeChangeConfig, n, members(2, -1, 0, 1, 1), sticky, `change "next" { at = "2s" }`))
	agrees(t, f, loadedFrom(t, f.dir), sim.Options{Before: before}, 1000, func() { f.must("apply", "-auto-approve") })
}

// TestSimAndLiveAgreeOnErrors has an instance fail a part of what it is asked, with and without retries.
func TestSimAndLiveAgreeOnErrors(t *testing.T) {
	for _, retry := range []string{"", "retry { on = [\"connect\", \"5xx\"] }"} {
		t.Run(retry, func(t *testing.T) {
			t.Parallel()
			settings := "scheduler = \"wrr\"\nhealth_check { enabled = false }\n" + retry // for probes ask, too
			const fault = "fault \"sick\" {\n at = 0\n target = instance.web[1]\n mode = \"errors\"\n error_rate = 0.3\n}"
			f := newFolder(t, builtPlain, fmt.Sprintf(agreeChangeConfig, network(t), members(1, 2, 3, 1), settings, fault))
			f.must("apply", "-auto-approve")
			f.must("fault", "instance.web[1]", "error_rate=0.3")
			agrees(t, f, loadedFrom(t, f.dir), sim.Options{}, -1, nil)
		})
	}
}
