package control

import "time"

// Status is the document of `slbctl status -json`. Fields stand in the order of
// their JSON keys, so the document's keys are sorted.
type Status struct {
	Certificates  []Certificate  `json:"certificates"`
	DNS           DNS            `json:"dns"`
	Draining      []Draining     `json:"draining"`
	FormatVersion string         `json:"format_version"`
	Instances     []Instance     `json:"instances"`
	LoadBalancers []LoadBalancer `json:"load_balancers"`
	Runtime       Runtime        `json:"runtime"`
}

// Runtime is the daemon itself.
type Runtime struct {
	// AcceptPauses is how often a loop stopped accepting for want of descriptors.
	AcceptPauses int64 `json:"accept_pauses"`
	// ClosedUpstreams are connections to servers that were not kept for another request,
	// because too many waited or descriptors were scarce.
	ClosedUpstreams int64 `json:"closed_upstreams"`

	Generation uint64 `json:"generation"`
	Loops      int    `json:"loops"`
	PID        int    `json:"pid"`
	// Predecessors are the processes that this one has taken over from and that still carry
	// connections.
	Predecessors []int `json:"predecessors"`
	// Problems are what a daemon that came back could not bring back, such as a
	// port that somebody else has taken; the next apply makes it whole.
	Problems      []string `json:"problems"`
	UptimeSeconds float64  `json:"uptime_seconds"`
}

// LoadBalancer is one balancer and its listeners.
type LoadBalancer struct {
	Address   string     `json:"address"`
	IP        string     `json:"ip"`
	Listeners []Listener `json:"listeners"`
	Status    string     `json:"status"`
}

// Listener is one port of a balancer. Port is the declared one, Bound the real one.
type Listener struct {
	Address     string    `json:"address"`
	Backends    []Backend `json:"backends"`
	Bound       uint16    `json:"bound"`
	BytesIn     int64     `json:"bytes_in"`  // from clients, as servers get them
	BytesOut    int64     `json:"bytes_out"` // to clients
	Connections int64     `json:"connections"`
	Denied      int64     `json:"denied"`    // clients that the access list keeps out
	Dropped     int64     `json:"dropped"`   // clients, and datagrams, beyond what may be passed on
	Errors      int64     `json:"errors"`    // connections that got no server, on L7 requests
	LogError    string    `json:"log_error"` // why the access log could not be written, if so
	LogLost     int64     `json:"log_lost"`  // lines that it lost for that, or for want of time
	Port        uint16    `json:"port"`
	Protocol    string    `json:"protocol"`
	Requests    int64     `json:"requests"` // on L4 connections accepted
	Rules       []Rule    `json:"rules"`
	Scheduler   string    `json:"scheduler"`
	Secure      *Secure   `json:"secure"` // nil without TLS
	Shed        int64     `json:"shed"`   // clients of L7 let go unasked, for want of descriptors
	Status      string    `json:"status"`
}

// Secure is what an https listener counts besides.
type Secure struct {
	FloodsCut          int64 `json:"floods_cut"` // connections of HTTP/2 that cost too much
	HandshakesDropped  int64 `json:"handshakes_dropped"`
	HandshakesFailed   int64 `json:"handshakes_failed"`
	HandshakesTimedOut int64 `json:"handshakes_timed_out"`
	StreamsRefused     int64 `json:"streams_refused"` // of HTTP/2, beyond those that a connection may have
}

// Rule is a forwarding rule of an HTTP listener, with the servers that it sends to.
type Rule struct {
	Address   string    `json:"address"`
	Backends  []Backend `json:"backends"`
	Domain    string    `json:"domain"`
	Scheduler string    `json:"scheduler"`
	URL       string    `json:"url"`
}

// Backend is one server of a listener or rule.
type Backend struct {
	Address     string    `json:"address"`
	Bound       uint16    `json:"bound"`
	Connections int64     `json:"connections"`
	Drained     bool      `json:"drained"` // by hand
	Errors      int64     `json:"errors"`  // connects that failed, on L7 also answers that did not come whole
	Health      string    `json:"health"`  // normal, abnormal, unavailable
	IP          string    `json:"ip"`
	Port        uint16    `json:"port"`
	Reason      string    `json:"reason"`
	Requests    int64     `json:"requests"`
	Share       float64   `json:"share"` // of new connections, 0 to 1
	Since       time.Time `json:"since"`
	Weight      int       `json:"weight"`
}

// Instance is one web server of ours.
type Instance struct {
	Address string   `json:"address"`
	Bound   []uint16 `json:"bound"`
	IP      string   `json:"ip"`
	Ports   []uint16 `json:"ports"`
	Status  string   `json:"status"` // running or stopped
	// Fault is what it does wrong on purpose, by its configuration or by hand.
	Fault string `json:"fault,omitempty"`
}

// Certificate is what https listeners show, or who has to have signed what clients show.
// Without a fingerprint it could not be had.
type Certificate struct {
	Address     string     `json:"address"`
	Expires     *time.Time `json:"expires"`     // nil without a fingerprint
	Fingerprint string     `json:"fingerprint"` // SHA-256
	Issuer      string     `json:"issuer"`      // empty of a CA certificate
	Names       []string   `json:"names"`
}

// DNS is the name server. Address is IP:PORT, empty when it does not run.
type DNS struct {
	Address string `json:"address"`
	Zones   []Zone `json:"zones"`
}

// Zone is one zone that the name server answers for.
type Zone struct {
	Address string `json:"address"`
	Domain  string `json:"domain"`
	Records int    `json:"records"`
}

// Draining is something that takes nothing new and finishes what it has.
type Draining struct {
	Address     string    `json:"address"` // backend or instance
	Connections int64     `json:"connections"`
	Listener    string    `json:"listener"`
	Until       time.Time `json:"until"`
}
