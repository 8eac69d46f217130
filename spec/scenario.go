package spec

import (
	"net/netip"
	"time"
)

// Simulation is traffic to replay in virtual time.
type Simulation struct {
	Name     string
	Target   string // resource address of a load balancer
	Listener string // "tcp:80"
	Duration time.Duration
	Warmup   time.Duration
	Seed     uint64
	Traffic  []Traffic
	Service  *Service // nil = servers take no time
	Faults   []Fault
	Changes  []SimulatedChange // one at most
	Drains   []SimulatedDrain
	Deploys  []Deploy
	Expects  []Expect
}

// Service is what each server is assumed to do with a connection or request: it queues
// until one of the workers has time for it, or they work on all at once.
type Service struct {
	Log          string        // an access log, or a trace, whose times of servers it is; then nothing is said up to Sigma
	Time         time.Duration // mean
	Distribution string        // ServiceConstant, ServiceExponential or ServiceLognormal
	Sigma        float64       // of the logarithm; lognormal only
	Discipline   string        // DisciplineFCFS: first come, first served; or DisciplinePS: processor sharing
	Workers      int
	// Queue is how many may wait, or under DisciplinePS be there beside as many as there are workers; who
	// comes then is refused.
	Queue int
}

// Traffic is one stream of arrivals.
type Traffic struct {
	Name     string
	Rate     float64 // requests to a listener of HTTP, connections to others, a second
	Log      string  // an access log, or a trace, to replay instead: nothing else is said then
	Arrivals string  // ArrivalsPoisson or ArrivalsConstant
	Clients  Clients
	// Of listeners of HTTP.
	Session Session
	Mix     []Request // what is asked for; empty = the home page of the balancer's address
}

// Session is the visit of a client to a listener of HTTP: what it does until it comes
// back as somebody new.
type Session struct {
	Requests    int  // 0 = it never ends
	Cookies     bool // it keeps them as a browser does, until they expire or the session ends
	Connections int  // that its requests are spread over, one after the other
}

// Request is one kind of request in the mix of a traffic stream.
type Request struct {
	Weight int    // how often it is made, beside the others
	Host   string // in lower case, without port; empty = the balancer's address
	Path   string // and query, as it is sent
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
	Mode    string        // FaultRefuse, FaultHang, FaultSlow, FaultErrors or FaultFlap
	Factor  float64       // how much longer a slow server takes
	// ErrorRate is the share of requests that a server under FaultErrors fails, as InstanceFault has it.
	ErrorRate float64
	Period    time.Duration // of a flapping server, which refuses for the first half of each
}

// SimulatedChange is when, in a simulation, the configuration of the files takes the place of the recorded one.
type SimulatedChange struct {
	Name string
	At   time.Duration
}

// SimulatedDrain takes servers out by hand in a simulation: they get weight 0.
type SimulatedDrain struct {
	Name    string
	At      time.Duration
	For     time.Duration // 0 = until the end
	Targets []string      // resource addresses of instances
	Zone    string        // or every instance of a zone
}

// Deploy starts servers anew in a simulation, a batch of them after the other: each is drained, stopped
// and, once it has started, let back. The next batch begins when this one is well.
type Deploy struct {
	Name    string
	At      time.Duration
	Targets []string // resource addresses of instances, in the order in which they are taken
	Zone    string   // or every instance of a zone, in the order of the file
	Batch   int
	Drain   time.Duration // between the drain of a server and its stop
	Startup time.Duration // between its stop and its first answer
}

// Expect is a bound that a simulation's result must keep, or what a balancer gives.
type Expect struct {
	Name   string
	Metric string   // share, errors, error_rate, unrouted, p50, p99, p999, utilisation or clients_moved
	Of     string   // resource address of an instance; share and utilisation only
	Min    *float64 // of p50, p99 and p999 in seconds
	Max    *float64
	During string // steady, all, or the name of a fault; of a balancer: all, steady, or a Loss
	Live   bool   // of balancers: real requests are held to it after each apply
	// Confidence is how sure a verdict must be where what is observed is a sample.
	Confidence float64
}

// Test is a request and what must become of it.
type Test struct {
	Name    string
	Request TestRequest
	Expect  TestExpect
}

// TestRequest is what is asked, and by whom.
type TestRequest struct {
	URL     string // http, https, tcp or udp
	Method  string
	Headers map[string]string // a Host takes the place of the URL's
	From    netip.AddrPort    // port 0 = any
}

// TestExpect is what is held against the answer and the way to it; what is empty or nil
// is not.
type TestExpect struct {
	Status      *int    // 0 = no answer may come
	Rule        *string // name or resource address; empty = no rule may take it
	ServerGroup string  // resource address of a server group, or of the balancer whose own it is
	Server      string  // resource address of an instance, IP:PORT of a foreign server
	Header      map[string]string
	Location    string
}

// DefaultConfidence is that of expectations which do not say.
const DefaultConfidence = 0.999

// The words of simulations, tests and expectations that code compares with.
const (
	ArrivalsPoisson  = "poisson"
	ArrivalsConstant = "constant"

	FaultRefuse = "refuse"
	FaultHang   = "hang"
	FaultSlow   = "slow"
	FaultErrors = "errors"
	FaultFlap   = "flap"

	DisciplineFCFS = "fcfs"
	DisciplinePS   = "ps"

	ServiceConstant    = "constant"
	ServiceExponential = "exponential"
	ServiceLognormal   = "lognormal"

	MetricShare     = "share"
	MetricErrors    = "errors"
	MetricErrorRate = "error_rate"
	MetricUnrouted  = "unrouted"
	MetricP50       = "p50"
	MetricP99       = "p99"
	MetricP999      = "p999"

	MetricUtilisation = "utilisation"

	MetricClientsMoved = "clients_moved"

	DuringAll    = "all"
	DuringSteady = "steady"
)
