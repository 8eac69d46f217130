// Package explain tells why a request goes where it goes: which address its name has,
// which listener has that, who may connect, which rule takes it, who of the servers is
// picked and why, and what would have been otherwise.
//
//	world := explain.Assume(config)
//	answer, err := world.Explain(explain.Question{URL: "http://www.abc.com/tom"})
//
// It decides nothing. Every step is the answer of the function that decides it for real
// requests: of the name server, of the reader of requests, of the decision core. What
// the core remembers is asked as a copy, so that a question takes no turn from a client.
package explain

import (
	"net/netip"

	"slbctl/runtime/balance"
	"slbctl/runtime/dns"
	"slbctl/spec"
)

// FormatVersion is that of an Explanation in JSON.
const FormatVersion = "1.0"

// MaxNext is how many requests one question may be about.
const MaxNext = 100_000

// Question is a request that nobody makes.
type Question struct {
	URL     string         `json:"url"` // http, https, tcp or udp
	From    netip.AddrPort `json:"from"`
	Method  string         `json:"method"`
	Headers []string       `json:"headers"` // "Name: value"; a Host takes the place of the URL's
	Next    int            `json:"next"`    // how many such requests, one after the other
}

// Where the answer comes from.
const (
	FromConfiguration = "configuration" // nothing runs: servers count as well unless they are stopped
	FromRuntime       = "runtime"       // the running daemon's tables, health and counts
)

// What becomes of a request. The words are the simulator's where it has one.
const (
	Served      = "served"
	Failed      = "failed"      // no server is left: 502, on L4 a reset
	Denied      = "denied"      // by the access list: reset when it connects
	Redirected  = "redirected"  // the client is sent elsewhere
	NotFound    = "not found"   // 404: rules know the domain but not the URL
	Refused     = "refused"     // the balancer does not understand the request
	Unreachable = "unreachable" // no such name, or nobody listens there
)

// Explanation is the answer. JSON keys are in alphabetical order.
type Explanation struct {
	Endpoint      string   `json:"endpoint"` // where the listener really listens; empty where there is none
	FormatVersion string   `json:"format_version"`
	From          string   `json:"from"`
	Generation    uint64   `json:"generation"` // of the runtime; 0 where nothing runs
	Group         string   `json:"group"`      // whose members the servers are
	Listener      string   `json:"listener"`
	Location      string   `json:"location"` // of a redirect
	Method        string   `json:"method"`   // of HTTP
	Notes         []string `json:"notes"`
	Outcome       string   `json:"outcome"`
	Picks         []Pick   `json:"picks"`   // the first is Server; none where no server is asked
	Rule          string   `json:"rule"`    // empty = the listener itself
	Server        string   `json:"server"`  // empty where none is asked
	Servers       []Server `json:"servers"` // that there were to choose from
	Source        string   `json:"source"`
	Status        int      `json:"status"` // of an answer that the balancer makes itself; 0 = it makes none
	Steps         []Step   `json:"steps"`
	URL           string   `json:"url"`
}

// Step is one decision on the way.
type Step struct {
	Name      string `json:"name"`
	Otherwise string `json:"otherwise"` // what would have won instead; empty = nothing to tell
	Reason    string `json:"reason"`
	Result    string `json:"result"`
}

// Pick is the server of one request.
type Pick struct {
	Kept   bool   `json:"kept"`   // it went where its cookie, or its address, had been before
	Server string `json:"server"` // empty = none was left
}

// Server is one of those that there were to choose from.
type Server struct {
	Address     string  `json:"address"`
	Connections int64   `json:"connections"` // in flight, on L7 requests
	Endpoint    string  `json:"endpoint"`
	Health      string  `json:"health"`
	Reason      string  `json:"reason"` // of its health
	Share       float64 `json:"share"`  // of new connections
	Usable      bool    `json:"usable"` // new connections may go there
	Weight      int     `json:"weight"`
}

// World is what requests meet: a configuration, and what is remembered of it.
type World struct {
	Config     *spec.Config
	Zones      *dns.Zones // nil where no name server answers
	Listeners  []Listener
	Source     string
	Generation uint64
	Now        int64 // the clock of what Listeners remember
}

// Listener is one listener of a World. States and Tables are by index in Pools.
type Listener struct {
	*balance.Listener
	States []*balance.State
	Tables []*balance.Table
	// Health tells how a server of a pool is, and why.
	Health func(pool, i int) (health balance.Health, reason string)
}

// Assume is the world of a configuration that nothing runs of: nobody has asked before,
// and servers are well unless their instance is to be stopped.
func Assume(c *spec.Config) (*World, error) {
	listeners, err := balance.Compile(c)
	if err != nil {
		return nil, err
	}
	w := &World{Config: c, Source: FromConfiguration}
	if w.Zones, err = dns.Compile(c.DNSZones); err != nil {
		return nil, err
	}
	stopped := map[string]bool{}
	for _, i := range c.Instances {
		stopped[i.Address] = i.Status == spec.StatusStopped
	}
	for _, l := range listeners {
		pools := l.Pools()
		entry := Listener{Listener: l, Health: func(pool, i int) (balance.Health, string) {
			if stopped[pools[pool].Backends[i].Instance] {
				return balance.Abnormal, "the instance is to be stopped"
			}
			return balance.Normal, "assumed"
		}}
		for n, p := range pools {
			entry.States = append(entry.States, balance.NewState(p, nil))
			entry.Tables = append(entry.Tables, p.Table(func(i int) balance.Health { h, _ := entry.Health(n, i); return h }))
		}
		w.Listeners = append(w.Listeners, entry)
	}
	return w, nil
}
