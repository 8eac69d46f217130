package runtime

import (
	"net/netip"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/health"
	"slbctl/runtime/proxy"
	"slbctl/runtime/tlsconf"
	"slbctl/runtime/webserver"
	"slbctl/spec"
)

// One daemon takes over from another of the same folder in these steps; each is a line of
// JSON on a socket pair that the old one has made, or what follows from it:
//
//	old  starts the new one, with every descriptor that it is to have      estate
//	new  adopts and prepares everything, and is ready                      reply: ready
//	old  pauses all sockets: who comes waits in their queues               bequest
//	new  serves                                                            reply: serving
//	old  closes its listening sockets and lets go of the lock; it carries
//	     what is open until that has ended, or the new one has. One that
//	     somebody watches, in the foreground, stays as long as the new one      reply: idle
//
// Until the new one serves, the old one has closed nothing: if the new one fails, hangs or
// is killed, the old one resumes. If the old one is killed before it has sent the bequest,
// the new one ends; after that the new one serves. The lock is one open file that both have,
// so it is held as long as either may serve. The socket pair stays: by its close each end
// tells that a process has ended, and the new process has the old one drain what it drains
// itself (order).

// handoverFormat is the version of what is said. Both must speak the same.
const handoverFormat = 1

// handoverEnv names the descriptor of the new process's end of the socket pair. It is the
// first of those that are handed over; the others follow it.
const handoverEnv = "SLBCTL_HANDOVER_FD"

// How long the old process waits: until the new one has prepared everything, and until it
// serves, while nobody accepts.
const (
	readyPatience   = 30 * time.Second
	servingPatience = 3 * time.Second
)

// estate is what the old process has and the new one gets. Descriptors are numbers in the
// new process.
type estate struct {
	Format     int    `json:"format"`
	PID        int    `json:"pid"` // of the old one
	Generation uint64 `json:"generation"`
	Hash       string `json:"hash"`

	Descriptors int              `json:"descriptors"` // how many there are
	Lock        int              `json:"lock"`
	Control     int              `json:"control"`
	Sockets     []heritedSocket  `json:"sockets"`
	Names       *heritedNames    `json:"names,omitempty"`
	Page        *heritedPage     `json:"page,omitempty"`
	Elders      []heritedProcess `json:"elders"`

	Problems []string                `json:"problems"`
	Verdicts []health.Event          `json:"verdicts"`
	Faults   map[string]heritedFault `json:"faults"` // set by hand, by instance
	Drains   []heritedDrain          `json:"drains"`
	Secrets  map[string]string       `json:"secrets"` // of instances, by digest
}

// heritedSocket is an endpoint, with all sockets that share it.
type heritedSocket struct {
	UDP         bool           `json:"udp"`
	Endpoint    netip.AddrPort `json:"endpoint"`
	Descriptors []int          `json:"descriptors"`
}

// heritedNames are the name server's sockets.
type heritedNames struct {
	Endpoint netip.AddrPort `json:"endpoint"`
	UDP      int            `json:"udp"`
	TCP      int            `json:"tcp"`
}

// heritedPage is the socket of /metrics.
type heritedPage struct {
	Endpoint   netip.AddrPort `json:"endpoint"`
	Descriptor int            `json:"descriptor"`
}

// heritedProcess is one that had its successor before, and still finishes what it has.
type heritedProcess struct {
	PID        int  `json:"pid"`
	Descriptor int  `json:"descriptor"` // of the bond to it
	Idle       bool `json:"idle"`       // it carries nothing, and waits
}

type heritedFault struct {
	Fault spec.InstanceFault `json:"fault"`
	Until time.Time          `json:"until"` // zero = until it is taken back
}

// heritedDrain are instances that the old process still has connections to.
type heritedDrain struct {
	Instances []webserver.Instance `json:"instances"`
	Until     time.Time            `json:"until"`
}

// bequest is what changes until the last moment.
type bequest struct {
	Tickets   tlsconf.Handover           `json:"tickets"`
	Listeners map[string]heritedListener `json:"listeners"` // by address
}

// heritedListener is what a listener has counted, and what its pools remember, by owner.
type heritedListener struct {
	Record   proxy.Record              `json:"record"`
	Memories map[string]balance.Memory `json:"memories"`
}

// reply is what the new process says. Later it is the old one that replies.
type reply struct {
	Ready   bool   `json:"ready,omitempty"`
	Serving bool   `json:"serving,omitempty"`
	Error   string `json:"error,omitempty"`

	Drained uint64 `json:"drained,omitempty"` // the order that has been carried out
	Idle    bool   `json:"idle,omitempty"`    // nothing is carried any more
	// Rest is what was counted after the bequest, by listener.
	Rest map[string]proxy.Record `json:"rest,omitempty"`
}

// order is what the new process has the old one do with what it carries: give the
// connections to a server, or with no backend all of a listener, until then to end, or let
// them live on after all.
type order struct {
	ID       uint64         `json:"id"`
	Owner    string         `json:"owner"` // of the pool, or the listener
	Backend  string         `json:"backend,omitempty"`
	Endpoint netip.AddrPort `json:"endpoint"`
	Until    time.Time      `json:"until"` // zero = they live on
}
