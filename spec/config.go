package spec

import (
	"net/netip"
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
	Seed              uint64
	Runtime           Runtime
	Instances         []*Instance
	ServerGroups      []*ServerGroup
	ACLs              []*ACL
	Certificates      []*Certificate
	CACertificates    []*CACertificate
	TLSCipherPolicies []*TLSCipherPolicy
	LoadBalancers     []*LoadBalancer
	DNSZones          []*DNSZone
	Simulations       []*Simulation
	Tests             []*Test
	Outputs           []Output
	// Moves and Removals are about what is recorded.
	Moves    []Move
	Removals []Removal
	// ModuleFolders are where the files of modules lie, as seen from the configuration's
	// folder, in order.
	ModuleFolders []string `json:"-"`
	// Secrets are the texts that the digests stand for which Seal has put into
	// resources. Whoever records a Config or sends it on leaves them out.
	Secrets map[string]string `json:"-"`
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
	Forgotten      bool // see Resource
	// IgnoreChanges names attributes that stay as they are recorded, whatever the file
	// says of them; IgnoreAll stands for all. It is not recorded itself.
	IgnoreChanges []string
}

// Runtime is the runtime block: where the local runtime lives.
type Runtime struct {
	Network    netip.Prefix
	Loops      int // event loops; 0 = one per core
	PortOffset int // added to every declared port below 1024 that slbctl binds
	Expose     bool
	DNSAddress netip.AddrPort // zero = first address of Network, port 53
	// MetricsAddress is where Prometheus finds /metrics; zero = nowhere.
	MetricsAddress netip.AddrPort
}

// Instance is a backend server that slbctl runs: web pages on an address of its own.
type Instance struct {
	Meta
	Zone     string
	IP       netip.Addr
	PinnedIP bool     // IP was written in the file, not allocated
	Ports    []uint16 // declared ports
	Pages    []Page
	Site     string // folder of static files, relative to the configuration's
	// Command is the user's own program, which takes the place of pages, Site and Protocol.
	Command            []string
	Env                map[string]string
	WorkingDir         string // empty = the configuration's folder
	Fault              *InstanceFault
	Protocol           string // ProtocolHTTP, ProtocolTCPEcho or ProtocolUDPEcho
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

// InstanceFault is what an instance does wrong on purpose.
type InstanceFault struct {
	Delay     time.Duration // before each answer
	ErrorRate float64       // share of the requests that get Status instead of their answer
	Status    int
	Hang      bool          // it accepts and never answers
	Refuse    bool          // its ports are closed
	SlowBody  time.Duration // that the body of an answer takes
}

// Fails says whether request number n, from 1 on, is one of those that fail: errors are spread evenly, so
// that of the first n the nearest whole number below n times the rate has failed.
func (f *InstanceFault) Fails(n int64) bool {
	return int64(float64(n)*f.ErrorRate) > int64(float64(n-1)*f.ErrorRate)
}

// ACL is a list of addresses that listeners let in or keep out.
type ACL struct {
	Meta
	IPVersion string         // ipv4 or ipv6
	Entries   []netip.Prefix // masked, sorted, without duplicates
}

// Certificate is what https listeners show to their clients: one that the file
// brings with its private key, or one that the local CA issues for Domains.
type Certificate struct {
	Meta
	Chain      string   // PEM, the server's own first; empty where the local CA issues
	PrivateKey string   // digest by Seal; empty where the local CA issues
	Domains    []string // names and addresses that the local CA vouches for

	// What certificate and key say, or the local CA will make them say.
	Names       []string // DNS names and addresses
	Issuer      string
	Expires     string // RFC 3339; empty where the local CA issues
	Lifetime    string // of one that the local CA issues, else empty
	Fingerprint string // SHA-256; empty where the local CA issues

	key     string // PEM; never recorded
	keyType string // keyRSA, keyECDSA or keyEd25519; empty = not known here
}

// CACertificate holds the authorities that vouch for clients.
type CACertificate struct {
	Meta
	Certificates string   // PEM
	Names        []string // of their subjects
	Expires      string   // of the first that does, RFC 3339
	Fingerprint  string   // SHA-256 of the first
}

// TLSCipherPolicy says which versions of TLS and which cipher suites an https
// listener takes. Suites have OpenSSL's names, as in the product.
type TLSCipherPolicy struct {
	Meta
	Versions []string // TLSv1.0 ... TLSv1.3, without a gap, oldest first
	Ciphers  []string // in the order of the language's list; crypto/tls has its own order of preference
}

// ServerGroup is a VServer group: backends that listeners and rules share.
type ServerGroup struct {
	Meta
	Type     string // GroupVServer or GroupActiveStandby
	Backends []Backend
}

// Backend is one member of a group. Instance is the resource address of a server
// of ours; it is empty for a foreign server, whose Address and Port are given.
type Backend struct {
	Instance string
	Address  netip.Addr // foreign servers only
	Port     uint16     // 0 = the listener's backend_port, else the instance's first port
	Weight   int        // 0-100
	// MaxConnections bounds what is in flight to the server at once: connections on
	// L4, requests on L7. 0 = unlimited.
	MaxConnections int
	Protocol       string // BackendHTTP1 or BackendH2C: what listeners on L7 speak to the server
	Role           string // RoleActive or RoleStandby in an active_standby group, else empty
}

// LoadBalancer is one SLB instance: an address with listeners.
type LoadBalancer struct {
	Meta
	AddressType      string // internet or intranet
	IP               netip.Addr
	PinnedIP         bool
	PrimaryZone      string
	BackupZone       string
	Spec             string // slb.s1.small ...; empty = no limits
	Bandwidth        int    // Mbit/s that the listeners share; 0 = unlimited
	Status           string // StatusActive or StatusInactive
	DeleteProtection bool
	Backends         []Backend // the default group
	Listeners        []*Listener
	Expects          []Expect
}

// Listener is one (protocol, port) of a load balancer. Name is "tcp:80".
type Listener struct {
	Meta
	Protocol         string // ProtocolTCP, ProtocolUDP, ProtocolHTTP or ProtocolHTTPS
	Port             uint16 // declared port
	ServerGroup      string // resource address; empty = the balancer's own backends
	BackendPort      uint16
	Scheduler        string // rr, wrr, wlc, sch, tch, qch, p2c, least_request
	Status           string // StatusRunning or StatusStopped
	Description      string
	Bandwidth        int    // Mbit/s in each direction; 0 = what the balancer's leaves
	ACL              string // resource address; empty = everybody passes
	ACLType          string // ACLWhite or ACLBlack; empty without an ACL
	Drain            time.Duration
	SlowStart        time.Duration // 0 = full weight at once
	WhenAllUnhealthy string        // WhenUnhealthyReject or WhenUnhealthyForward
	HealthCheck      HealthCheck

	// L4 listeners only.
	PersistenceTimeout  time.Duration // 0 = off
	EstablishedTimeout  time.Duration // of a UDP session too
	ProxyProtocol       string        // ProxyProtocolOff, ProxyProtocolV1 or ProxyProtocolV2
	AcceptProxyProtocol bool
	QUICIDLength        int // bytes of the connection ids that the servers choose; qch only

	// L7 listeners only.
	IdleTimeout       time.Duration // a client connection between two requests
	RequestTimeout    time.Duration // for the server's answer, and for each part of a client's request
	ConnectTimeout    time.Duration
	StickySession     *StickySession // nil = off
	XForwardedFor     XForwardedFor
	Gzip              bool
	MaxQPS            int // requests a second; 0 = unlimited
	UpstreamKeepalive bool
	Retry             Retry
	AccessLog         *AccessLog // nil = none
	Redirect          *Redirect  // answers every request that no rule takes
	Rules             []*Rule    // in the order of their resource addresses

	// Listeners of HTTPS only.
	Certificate            string                  // resource address; for names that no additional certificate is for
	AdditionalCertificates []AdditionalCertificate // by domain
	CACertificate          string                  // resource address; empty = clients need no certificate
	TLSCipherPolicy        string                  // name of one of the product's, or a resource address
	HTTP2                  bool
}

// AdditionalCertificate is for clients that ask for a name (SNI, RFC 6066 section 3).
type AdditionalCertificate struct {
	Domain      string // exact, or "*." and a suffix; lower case
	Certificate string // resource address
}

// Rule sends the requests for a domain, a URL prefix or both elsewhere.
type Rule struct {
	Meta
	Domain      string // exact, or "*." and a suffix; lower case; empty = any
	URL         string // prefix, beginning with /; empty = any
	ServerGroup string // resource address; empty with a Redirect
	Redirect    *Redirect
	// What follows is the listener's where it is absent.
	Scheduler     string
	StickySession *StickySession
	HealthCheck   *HealthCheck
}

// Redirect answers a request with where to go instead: the same URL on another
// port, https where that port is an https listener's.
type Redirect struct {
	Port uint16 // declared port of a listener of the same balancer
	Code int    // 301, 302, 303, 307, 308
}

// StickySession keeps a client on its server by a cookie.
type StickySession struct {
	Type          string // StickyInsert or StickyServer
	Cookie        string
	CookieTimeout time.Duration // StickyInsert only
}

// XForwardedFor says what a server is told about the client beside
// X-Forwarded-For itself, which is always sent.
type XForwardedFor struct {
	Proto         bool // X-Forwarded-Proto: http
	SLBID         bool // SLB-ID: id of the load balancer
	SLBIP         bool // SLB-IP: address that the client asked for
	SLBPort       bool // X-Forwarded-Port: declared port of the listener
	ClientSrcPort bool // X-Forwarded-Client-srcport: the client's port
}

// Retry says when a request is sent once more, to another server. A connect
// that fails is retried for every method; the rest only for idempotent ones. A
// connection that ends before a byte of the answer has come is, for an idempotent
// request, a connect that failed, though only the first such time.
type Retry struct {
	Attempts int // after the first; 0 = as many as there are other servers
	Connect  bool
	Timeout  bool
	Status5x bool
}

// AccessLog is where a listener's requests are written.
type AccessLog struct {
	Format string // AccessLogJSON or AccessLogCombined
	Path   string // relative to the working folder; never empty
}

// HealthCheck says how a listener's backends are probed.
type HealthCheck struct {
	Enabled            bool
	Type               string // CheckTCP, CheckHTTP or CheckUDP
	Port               uint16 // declared port; 0 = the backend's
	Interval           time.Duration
	Timeout            time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int

	// CheckHTTP only.
	Domain    string   // Host header; empty = the server's address
	URI       string   // path and query
	Method    string   // head or get
	HTTPCodes []string // classes: http_2xx, http_3xx, http_4xx, http_5xx

	// CheckUDP only: what is sent and what must come back. Without them silence is
	// health and ICMP's "port unreachable" is sickness.
	Request, Expect string
}

// DNSZone is an authoritative zone. Name is the domain without trailing dot.
type DNSZone struct {
	Meta
	Records []*Record
}

// Record is all records of one host, type and line: Name is "www:A", or
// "www:A:10.1.0.0/16" where the line is not the default one.
type Record struct {
	Meta
	Host    string   // "@" is the apex, "*" the wildcard
	Type    string   // A, AAAA, CNAME, MX, TXT, SRV, NS, CAA, PTR
	Values  []string // as in a zone file, but names have no dot at their end
	Weights []int    // of the values, of which each query then gets one; empty = each gets all
	Line    string   // LineDefault, or the network of the sources that get it
	Status  string   // StatusEnabled or StatusPaused
	TTL     int      // seconds
}

// Output is a value that the configuration tells its user.
type Output struct {
	Name        string
	Value       any // as encoding/json decodes: string, float64, bool, nil, []any, map[string]any
	Description string
	Sensitive   bool
}

// The words of the language that code compares with.
const (
	ProtocolTCP     = "tcp"
	ProtocolUDP     = "udp"
	ProtocolHTTP    = "http"
	ProtocolHTTPS   = "https"
	ProtocolTCPEcho = "tcp_echo"
	ProtocolUDPEcho = "udp_echo"

	StatusRunning  = "running"
	StatusStopped  = "stopped"
	StatusActive   = "active"
	StatusInactive = "inactive"
	StatusEnabled  = "enabled"
	StatusPaused   = "paused"

	LineDefault = "default"

	SchedulerRR  = "rr"
	SchedulerWRR = "wrr"
	SchedulerWLC = "wlc"
	SchedulerSCH = "sch"
	SchedulerTCH = "tch"
	SchedulerQCH = "qch"
	SchedulerP2C = "p2c"
	// SchedulerLeast counts like wlc without the product's tie rule for turns.
	SchedulerLeast = "least_request"

	GroupVServer       = "vserver"
	GroupActiveStandby = "active_standby"
	RoleActive         = "active"
	RoleStandby        = "standby"

	ACLWhite = "white"
	ACLBlack = "black"

	BackendHTTP1 = "http1"
	BackendH2C   = "h2c"

	ProxyProtocolOff = "off"
	ProxyProtocolV1  = "v1"
	ProxyProtocolV2  = "v2"

	StickyInsert = "insert"
	StickyServer = "server"

	AccessLogJSON     = "json"
	AccessLogCombined = "combined"

	CheckTCP  = "tcp"
	CheckHTTP = "http"
	CheckUDP  = "udp"

	WhenUnhealthyReject  = "reject"
	WhenUnhealthyForward = "forward"
)
