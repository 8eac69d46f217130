package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"slbctl/runtime/balance"
	"slbctl/runtime/proxy"
)

// family is one metric of everything of a kind: what it is called and how it is read.
type family[T any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	tell func(of *T, s series)
}

// series takes the values of a family for one thing, whose labels come first.
type series struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels []string
	out    chan<- prometheus.Metric
}

// is tells a value. The labels have the order of the family's.
func (s series) is(value int64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(s.desc, s.kind, float64(value), append(s.labels[:len(s.labels):len(s.labels)], labels...)...)
}

// limit tells a value that is a limit, if there is one.
func (s series) limit(value int64) {
	if value > 0 {
		s.is(value)
	}
}

// by tells requests by the class of their status.
func (s series) by(e *proxy.Exchanges) {
	for class, code := range [...]string{"other", "2xx", "3xx", "4xx", "5xx"} {
		s.is(e.Classes[class], code)
	}
}

// histogram tells how long requests took.
func (s series) histogram(e *proxy.Exchanges) {
	var n uint64
	buckets := make(map[float64]uint64, len(proxy.TimeBounds))
	for i, bound := range proxy.TimeBounds {
		n += uint64(e.Times[i])
		buckets[bound.Seconds()] = n
	}
	s.out <- prometheus.MustNewConstHistogram(s.desc, uint64(e.Count()), float64(e.Nanos)/1e9, buckets, s.labels...)
}

// summary tells how many they were and how long all of them took.
func (s series) summary(e *proxy.Exchanges) {
	s.out <- prometheus.MustNewConstSummary(s.desc, uint64(e.Count()), float64(e.Nanos)/1e9, nil, s.labels...)
}

func gauge[T any](name, help string, tell func(*T, series), labels ...string) family[T] {
	return family[T]{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, tell}
}

func counter[T any](name, help string, tell func(*T, series), labels ...string) family[T] {
	return family[T]{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue, tell}
}

// times is a family of histograms or summaries, which have no kind of value.
func times[T any](name, help string, tell func(*T, series), labels ...string) family[T] {
	return family[T]{prometheus.NewDesc(name, help, labels, nil), prometheus.UntypedValue, tell}
}

// bytesPerMegabit is what a bandwidth of 1 Mbit/s lets pass in a second.
const bytesPerMegabit = 1e6 / 8

const ofBalancer = "load_balancer"

var balancerFamilies = []family[LoadBalancer]{
	gauge("slbctl_load_balancer_connections", "Connections that are open to all listeners of a balancer.",
		func(lb *LoadBalancer, s series) { s.is(lb.Connections) }, ofBalancer),
	gauge("slbctl_load_balancer_connections_peak", "The most connections that were open to a balancer at once, since this process serves it.",
		func(lb *LoadBalancer, s series) { s.is(lb.Peak) }, ofBalancer),
	gauge("slbctl_load_balancer_connections_limit", "Connections that the balancer's spec allows at once.",
		func(lb *LoadBalancer, s series) { s.limit(int64(lb.MaxConnections)) }, ofBalancer),
	gauge("slbctl_load_balancer_new_connections_limit", "New connections a second that the balancer's spec allows (CPS).",
		func(lb *LoadBalancer, s series) { s.limit(int64(lb.CPS)) }, ofBalancer),
	gauge("slbctl_load_balancer_requests_limit", "Requests a second that the balancer's spec allows (QPS).",
		func(lb *LoadBalancer, s series) { s.limit(int64(lb.QPS)) }, ofBalancer),
	gauge("slbctl_load_balancer_bandwidth_limit_bytes", "Bytes a second that a balancer may pass on in each direction.",
		func(lb *LoadBalancer, s series) { s.limit(int64(lb.Bandwidth) * bytesPerMegabit) }, ofBalancer),
}

// listenerLabels are the dimensions of the product's metrics.
func listenerLabels(more ...string) []string {
	return append([]string{ofBalancer, "protocol", "port"}, more...)
}

func (l *Listener) labels() []string {
	return []string{l.LoadBalancer, l.Protocol, strconv.Itoa(int(l.Port))}
}

var listenerFamilies = []family[Listener]{
	gauge("slbctl_listener_connections", "Connections of clients, of UDP sessions: active ones have a server, on HTTP a request, all others wait for one.",
		func(l *Listener, s series) {
			s.is(l.active(), "active")
			s.is(l.Counters.Connections-l.active(), "inactive")
		}, listenerLabels("state")...),
	counter("slbctl_listener_new_connections_total", "Connections that were accepted, of UDP sessions that have begun.",
		func(l *Listener, s series) {
			if l.l7() {
				s.is(l.Totals.Front.Accepted)
				return
			}
			s.is(l.Counters.Requests)
		}, listenerLabels()...),
	counter("slbctl_listener_dropped_connections_total", "Connections that were refused or let go, by the reason: the access list, "+
		"the balancer's limits, the rate of handshakes, clients that ask nothing while descriptors are scarce, no server.",
		droppedConnections, listenerLabels("reason")...),
	counter("slbctl_listener_received_bytes_total", "Bytes from clients, as servers get them.",
		func(l *Listener, s series) { s.is(l.Counters.BytesIn) }, listenerLabels()...),
	counter("slbctl_listener_sent_bytes_total", "Bytes to clients.",
		func(l *Listener, s series) { s.is(l.Counters.BytesOut) }, listenerLabels()...),
	counter("slbctl_listener_received_packets_total", "Datagrams from clients that servers got.",
		onUDP(func(l *Listener, s series) { s.is(l.Totals.Upstream.PacketsIn) }), listenerLabels()...),
	counter("slbctl_listener_sent_packets_total", "Datagrams from servers.",
		onUDP(func(l *Listener, s series) { s.is(l.Totals.Upstream.PacketsOut) }), listenerLabels()...),
	counter("slbctl_listener_dropped_packets_total", "Datagrams that went nowhere, by the reason: the access list, the balancer's limits, "+
		"no server, too many sessions, the bandwidth, too long for the way, a full buffer.",
		onUDP(droppedPackets), listenerLabels("reason")...),
	counter("slbctl_listener_dropped_bytes_total", "Bytes of datagrams that went beyond the bandwidth: in from clients, out to clients.",
		onUDP(func(l *Listener, s series) {
			s.is(l.Dropped.BytesIn, "in")
			s.is(l.Dropped.BytesOut, "out")
		}), listenerLabels("direction")...),
	counter("slbctl_listener_requests_total", "Requests that have ended, by the class of the answer's status; 4xx for clients that went before it.",
		onHTTP(func(l *Listener, s series) { s.by(&l.Totals.Front.Exchanges) }), listenerLabels("code")...),
	counter("slbctl_listener_dropped_requests_total", "Requests beyond the balancer's or the listener's limit a second, which were answered with 503.",
		onHTTP(func(l *Listener, s series) { s.is(l.Totals.Front.OverQPS) }), listenerLabels()...),
	times("slbctl_listener_response_seconds", "Time from the first byte of a request to the last of its answer.",
		onHTTP(func(l *Listener, s series) { s.histogram(&l.Totals.Front.Exchanges) }), listenerLabels()...),
	counter("slbctl_listener_upstream_responses_total", "Requests that servers were sent, by the class of their answer's status; other is none, or 101.",
		onHTTP(func(l *Listener, s series) { s.by(&l.Totals.Upstream.Exchanges) }), listenerLabels("code")...),
	times("slbctl_listener_upstream_response_seconds", "Time from the choice of a server to the end of its answer, or of the patience with it.",
		onHTTP(func(l *Listener, s series) { s.histogram(&l.Totals.Upstream.Exchanges) }), listenerLabels()...),
	gauge("slbctl_listener_servers", "Servers by their health.", servers, listenerLabels("rule", "server_group", "health")...),
	gauge("slbctl_listener_requests_limit", "Requests a second that max_qps allows.",
		func(l *Listener, s series) { s.limit(int64(l.MaxQPS)) }, listenerLabels()...),
	gauge("slbctl_listener_bandwidth_limit_bytes", "Bytes a second that a listener reserves and may pass on in each direction.",
		func(l *Listener, s series) { s.limit(int64(l.Bandwidth) * bytesPerMegabit) }, listenerLabels()...),
}

func onUDP(tell func(*Listener, series)) func(*Listener, series) {
	return func(l *Listener, s series) {
		if l.udp() {
			tell(l, s)
		}
	}
}

func onHTTP(tell func(*Listener, series)) func(*Listener, series) {
	return func(l *Listener, s series) {
		if l.l7() {
			tell(l, s)
		}
	}
}

func droppedConnections(l *Listener, s series) {
	if l.udp() {
		return // datagrams are dropped there
	}
	s.is(l.Counters.Denied, "acl")
	s.is(l.Totals.Front.OverLimit, "limit")
	if !l.l7() {
		s.is(l.Counters.Errors, "no_server")
		return
	}
	s.is(l.Counters.Secure.HandshakesDropped, "handshakes")
	s.is(l.Counters.Shed, "descriptors")
}

func droppedPackets(l *Listener, s series) {
	s.is(l.Counters.Denied, "acl")
	s.is(l.Totals.Front.OverLimit, "limit")
	s.is(l.Dropped.NoServer, "no_server")
	s.is(l.Dropped.Sessions, "sessions")
	s.is(l.Dropped.Bandwidth, "bandwidth")
	s.is(l.Dropped.TooLong, "too_long")
	s.is(l.Dropped.Overflow, "overflow")
}

func servers(l *Listener, s series) {
	for _, p := range l.Pools {
		n := map[balance.Health]int64{}
		for _, server := range p.Servers {
			n[server.Health]++
		}
		for _, health := range []balance.Health{balance.Normal, balance.Abnormal, balance.Unavailable} {
			s.is(n[health], p.Rule, p.Group, health.String())
		}
	}
}

func serverLabels(more ...string) []string {
	return listenerLabels(append([]string{"rule", "server_group", "server"}, more...)...)
}

// placed is a server with where it is.
type placed struct {
	*Server
	listener *Listener
}

// serverFamilies tell of servers what they are to one listener or rule.
var serverFamilies = []family[placed]{
	gauge("slbctl_server_healthy", "Whether a server is well: 1, or 0 where it is not or not known yet.",
		func(p *placed, s series) {
			if p.Health == balance.Normal {
				s.is(1)
				return
			}
			s.is(0)
		}, serverLabels()...),
	gauge("slbctl_server_connections", "Connections to a server that clients have, of UDP sessions, of HTTP requests in flight.",
		func(p *placed, s series) { s.is(p.Counts.Connections) }, serverLabels()...),
	counter("slbctl_server_new_connections_total", "Connections that were established to a server, of UDP sessions.",
		func(p *placed, s series) {
			if !p.listener.l7() {
				s.is(p.Counts.Requests)
			}
		}, serverLabels()...),
	counter("slbctl_server_responses_total", "Requests that a server was sent, by the class of its answer's status; other is none, or 101.",
		func(p *placed, s series) {
			if p.listener.l7() {
				s.by(&p.Traffic.Exchanges)
			}
		}, serverLabels("code")...),
	times("slbctl_server_response_seconds", "Time from the choice of a server to the end of its answer, or of the patience with it.",
		func(p *placed, s series) {
			if p.listener.l7() {
				s.summary(&p.Traffic.Exchanges)
			}
		}, serverLabels()...),
	counter("slbctl_server_errors_total", "Connects to a server that failed, on HTTP also answers that did not come whole.",
		func(p *placed, s series) { s.is(p.Counts.Errors) }, serverLabels()...),
	counter("slbctl_server_sent_bytes_total", "Bytes to a server.",
		func(p *placed, s series) { s.is(p.Counts.BytesIn) }, serverLabels()...),
	counter("slbctl_server_received_bytes_total", "Bytes from a server.",
		func(p *placed, s series) { s.is(p.Counts.BytesOut) }, serverLabels()...),
}

var runtimeFamilies = []family[Snapshot]{
	gauge("slbctl_runtime_generation", "The generation of the configuration that is live.",
		func(of *Snapshot, s series) { s.is(int64(of.Generation)) }),
}
