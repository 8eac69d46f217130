package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"slbctl/sim"
	"slbctl/spec"
)

const agreeConfig = `
runtime {
  network     = "%[1]s"
  port_offset = 8000
  loops       = %[2]d
}
instance "web" {
  count = 3
  page "/" { content = "instance.web[${count.index}]" }
}
load_balancer "lb" {
  backend {
    instance = instance.web[0]
    weight   = 5
  }
  backend {
    instance = instance.web[1]
    weight   = 1
  }
  backend {
    instance = instance.web[2]
    weight   = 2
  }
  listener "tcp" "80" {
    scheduler = "%[3]s"
  }
}
simulation "connections" {
  target   = load_balancer.lb
  duration = "10s"
  traffic "all" {
    rate     = 1000
    arrivals = "constant"
    clients  = { count = 1, network = "127.0.0.0/8" }
  }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["tcp:80"].url, "http://") }
`

// TestSimAndLiveAgree holds the live balancer, on the real binary, to the exact
// sequence of servers that the simulator says, whatever the number of loops.
func TestSimAndLiveAgree(t *testing.T) {
	const connections = 10_000
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWRR} {
		for _, loops := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s/%d loops", scheduler, loops), func(t *testing.T) {
				t.Parallel()
				f := newFolder(t, builtPlain, fmt.Sprintf(agreeConfig, network(t), loops, scheduler))
				f.must("apply", "-auto-approve")
				want := simulated(t, f.dir, "connections")
				if len(want) != connections {
					t.Fatalf("the simulator made %d connections", len(want))
				}
				endpoint := f.must("output", "-raw", "endpoint")
				for i := range connections {
					got, err := fetch(endpoint)
					if err != nil {
						t.Fatalf("connection %d: %v", i, err)
					}
					if got != want[i].Backend {
						t.Fatalf("connection %d went to %s, the simulator says %s", i, got, want[i].Backend)
					}
				}
			})
		}
	}
}

// simulated returns what becomes of each connection, or request, in a simulation.
func simulated(t *testing.T, dir, name string) (picks []sim.Pick) {
	t.Helper()
	config, found := spec.Load(dir, spec.Options{})
	if found.HasErrors() {
		t.Fatal(found)
	}
	_, err := sim.Run(config, name, sim.Options{Observe: func(p sim.Pick) { picks = append(picks, p) }})
	if err != nil {
		t.Fatal(err)
	}
	return picks
}

// fetch asks for the page on a connection of its own.
func fetch(endpoint string) (string, error) {
	page, _, err := fetchFrom(endpoint, netip.IPv4Unspecified())
	return page, err
}

// fetchFrom is fetch from an address of this machine; it tells the port as well.
func fetchFrom(endpoint string, source netip.Addr) (page string, from netip.AddrPort, err error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	conn, err := d.Dial("tcp4", endpoint)
	if err != nil {
		return "", from, err
	}
	defer conn.Close()
	from = conn.LocalAddr().(*net.TCPAddr).AddrPort()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: "+endpoint+"\r\n\r\n"); err != nil {
		return "", from, err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", from, err
	}
	_, page, ok := strings.Cut(string(answer), "\r\n\r\n")
	if !ok {
		return "", from, fmt.Errorf("no answer but %q", answer)
	}
	return page, from, nil
}
