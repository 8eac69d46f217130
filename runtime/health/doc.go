// Package health probes backends and says when one gets well or sick.
//
//	prober := health.New(func(e health.Event) {
//		log.Printf("%s %s is %s: %s", e.Listener, e.Backend, e.Health, e.Reason)
//	})
//	defer prober.Close()
//	prober.Set([]health.Target{{
//		Listener: `load_balancer.SLB1.listener["tcp:80"]`,
//		Backend:  "instance.ECS01",
//		Endpoint: netip.MustParseAddrPort("127.10.0.1:8080"),
//		Check:    balance.Check{Enabled: true, Interval: 2 * time.Second, Timeout: 5 * time.Second, Healthy: 3, Unhealthy: 3},
//	}})
//
// What a row of probe results means is decided by balance.Verdict, which the
// simulator asks too; this package only probes and keeps the time. A backend
// that stops answering is abnormal after timeout*U + interval*(U-1), one that
// refuses after interval*(U-1), counted from its first failed probe.
package health

import (
	"net/netip"
	"time"

	"slbctl/runtime/balance"
)

// Target is one backend of a pool to be probed.
type Target struct {
	Listener string // resource address of the listener or rule whose pool it is
	Backend  string // its name within the pool
	Endpoint netip.AddrPort
	Check    balance.Check
	// Group is what the backend is a member of. Targets of one group with the same
	// endpoint and check, whoever asks, cost one probe. Empty = the target shares with none.
	Group string
}

// Event tells the health of a target.
type Event struct {
	Listener string         `json:"listener"`
	Backend  string         `json:"backend"`
	Endpoint netip.AddrPort `json:"endpoint"`
	Health   balance.Health `json:"health"`
	Reason   string         `json:"reason"`
	Since    time.Time      `json:"since"` // when Health last changed
}
