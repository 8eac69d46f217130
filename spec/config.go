package spec

import (
	"net/netip"
	"slices"
	"time"
)

// Config is one configuration, evaluated and checked: every reference is
// resolved, every default filled in, every address allocated. It is plain data:
// encoding/json carries it unchanged from the command line to the daemon and
// back from the daemon's committed snapshot.
//
// Slices are sorted by resource address (numeric indexes in numeric order),
// except backends, pages and ports, which keep the order of the file because
// schedulers and defaults depend on it.
type Config struct {
	// Seed keys the hashes of sch and tch. It is recorded in state, so plan,
	// sim and runtime hash alike and a client cannot choose its server.
	Seed          uint64
	Runtime       Runtime
	Instances     []*Instance
	ServerGroups  []*ServerGroup
	LoadBalancers []*LoadBalancer
	DNSZones      []*DNSZone
	Simulations   []*Simulation
	Outputs       []Output
}

// Meta is what every addressed resource has.
type Meta struct {
	// Address names the resource everywhere: instance.web["blue"],
	// load_balancer.SLB1.listener["tcp:80"].
	Address string
	// Name is the last label: ECS01, tcp:80, www:A.
	Name string
	// ID is a hash of Address and Replacements, so it is known at plan.
	ID           string
	Replacements int
	Tags         map[string]string
	// Refs lists the addresses of other resources whose values this one's
	// expressions use, sorted; destroying one of those takes this along.
	Refs           []string
	PreventDestroy bool
}

// Runtime is the runtime block: where the local runtime lives.
type Runtime struct {
	Network    netip.Prefix
	Loops      int // event loops; 0 = one per core
	PortOffset int // added to every declared port below 1024 that slbctl binds
	Expose     bool
	DNSAddress netip.AddrPort // zero = first address of Network, port 53
}

// Instance is a backend server that slbctl runs: web pages on an address of its own.
type Instance struct {
	Meta
	Zone               string
	IP                 netip.Addr
	PinnedIP           bool     // IP was written in the file, not allocated
	Ports              []uint16 // declared ports
	Pages              []Page
	Protocol           string // ProtocolHTTP or ProtocolTCPEcho
	Status             string // StatusRunning or StatusStopped
	DeletionProtection bool
}

// Page is one exact path that an instance serves to GET and HEAD.
type Page struct {
	Path        string
	Content     string
	Status      int
	ContentType string
	Headers     map[string]string
}

// ServerGroup is a VServer group: backends that listeners share.
type ServerGroup struct {
	Meta
	Type     string // vserver
	Backends []Backend
}

// Backend is one member of a group. Instance is the resource address of a server
// of ours; it is empty for a foreign server, whose Address and Port are given.
type Backend struct {
	Instance string
	Address  netip.Addr // foreign servers only
	Port     uint16     // 0 = the listener's backend_port, else the instance's first port
	Weight   int        // 0-100
}

// LoadBalancer is one SLB instance: an address with listeners.
type LoadBalancer struct {
	Meta
	AddressType      string // internet or intranet
	IP               netip.Addr
	PinnedIP         bool
	PrimaryZone      string
	BackupZone       string
	Status           string // StatusActive or StatusInactive
	DeleteProtection bool
	Backends         []Backend // the default group
	Listeners        []*Listener
}

// Listener is one (protocol, port) of a load balancer. Name is "tcp:80".
type Listener struct {
	Meta
	Protocol           string // tcp
	Port               uint16 // declared port
	ServerGroup        string // resource address; empty = the balancer's own backends
	BackendPort        uint16
	Scheduler          string // rr, wrr, wlc, sch, tch
	Status             string // StatusRunning or StatusStopped
	Description        string
	Drain              time.Duration
	WhenAllUnhealthy   string // WhenUnhealthyReject or WhenUnhealthyForward
	EstablishedTimeout time.Duration
	HealthCheck        HealthCheck
}

// HealthCheck says how a listener's backends are probed.
type HealthCheck struct {
	Enabled            bool
	Type               string // tcp
	Port               uint16 // declared port; 0 = the backend's
	Interval           time.Duration
	Timeout            time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
}

// DNSZone is an authoritative zone. Name is the domain without trailing dot.
type DNSZone struct {
	Meta
	Records []*Record
}

// Record is all records of one host and type: Name is "www:A".
type Record struct {
	Meta
	Host   string // "@" is the apex, "*" the wildcard
	Type   string // A, AAAA, CNAME, TXT
	Values []string
	TTL    int // seconds
}

// Output is a value that the configuration tells its user.
type Output struct {
	Name        string
	Value       any // as encoding/json decodes: string, float64, bool, nil, []any, map[string]any
	Description string
	Sensitive   bool
}

// Simulation is traffic to replay in virtual time.
type Simulation struct {
	Name     string
	Target   string // resource address of a load balancer
	Listener string // "tcp:80"
	Duration time.Duration
	Warmup   time.Duration
	Seed     uint64
	Traffic  []Traffic
	Faults   []Fault
	Expects  []Expect
}

// Traffic is one stream of arrivals.
type Traffic struct {
	Name     string
	Rate     float64 // connections a second
	Arrivals string  // ArrivalsPoisson or ArrivalsConstant
	Clients  Clients
}

// Clients is the population that a traffic stream draws its sources from.
type Clients struct {
	Count      int
	Network    netip.Prefix
	Popularity float64 // Zipf exponent, 0 = all alike
}

// Fault is an accident at a moment of a simulation.
type Fault struct {
	Name    string
	At      time.Duration
	For     time.Duration // 0 = until the end
	Targets []string      // resource addresses of instances
	Zone    string        // or every instance of a zone
	Mode    string        // FaultRefuse or FaultHang
}

// Expect is a bound that a simulation's result must keep.
type Expect struct {
	Name   string
	Metric string // share, errors, error_rate
	Of     string // resource address of an instance; share only
	Min    *float64
	Max    *float64
	During string // steady, all, or the name of a fault
}

// The words of the language that code compares with.
const (
	ProtocolHTTP    = "http"
	ProtocolTCPEcho = "tcp_echo"

	StatusRunning  = "running"
	StatusStopped  = "stopped"
	StatusActive   = "active"
	StatusInactive = "inactive"

	SchedulerRR  = "rr"
	SchedulerWRR = "wrr"
	SchedulerWLC = "wlc"
	SchedulerSCH = "sch"
	SchedulerTCH = "tch"

	WhenUnhealthyReject  = "reject"
	WhenUnhealthyForward = "forward"

	ArrivalsPoisson  = "poisson"
	ArrivalsConstant = "constant"

	FaultRefuse = "refuse"
	FaultHang   = "hang"

	MetricShare     = "share"
	MetricErrors    = "errors"
	MetricErrorRate = "error_rate"

	DuringAll    = "all"
	DuringSteady = "steady"
)

// BoundPort is the port that slbctl really binds for a declared one: ports below
// 1024 are shifted by the offset, so that a user without privileges can run a
// configuration that says 80. Ports of foreign servers are never shifted.
func (r Runtime) BoundPort(declared uint16) uint16 {
	if declared == 0 || declared >= 1024 {
		return declared
	}
	return uint16(int(declared) + r.PortOffset)
}

// DNSEndpoint is the address and port on which the DNS server really listens.
func (r Runtime) DNSEndpoint() netip.AddrPort {
	if r.DNSAddress.IsValid() {
		return netip.AddrPortFrom(r.DNSAddress.Addr(), r.BoundPort(r.DNSAddress.Port()))
	}
	return netip.AddrPortFrom(r.Network.Masked().Addr().Next(), r.BoundPort(53))
}

// Instance returns the instance with the given resource address, or nil.
func (c *Config) Instance(address string) *Instance {
	return find(c.Instances, address, func(i *Instance) string { return i.Address })
}

// ServerGroup returns the server group with the given resource address, or nil.
func (c *Config) ServerGroup(address string) *ServerGroup {
	return find(c.ServerGroups, address, func(g *ServerGroup) string { return g.Address })
}

// LoadBalancer returns the load balancer with the given resource address, or nil.
func (c *Config) LoadBalancer(address string) *LoadBalancer {
	return find(c.LoadBalancers, address, func(lb *LoadBalancer) string { return lb.Address })
}

func find[T any](list []*T, address string, of func(*T) string) *T {
	i, ok := slices.BinarySearchFunc(list, address, func(t *T, address string) int {
		return CompareAddresses(of(t), address)
	})
	if !ok {
		return nil
	}
	return list[i]
}
