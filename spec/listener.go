package spec

import (
	"fmt"
	"slices"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// The shortest time that the language allows, for tests; the product's is a second.
const shortest = 10 * time.Millisecond

// maxBandwidth is the product's largest, in Mbit/s.
const maxBandwidth = 5120

// bandwidth is a limit in Mbit/s. The product writes -1 for none.
var bandwidth = func() codec[int] {
	c := integer[int](1, maxBandwidth)
	inRange := c.parse
	c.parse = func(v cty.Value) (int, error) {
		n, err := inRange(v)
		if err != nil && v.AsBigFloat().Sign() <= 0 {
			return 0, hintError{err, "Leave it out for no limit."}
		}
		return n, err
	}
	return c
}()

// l4, l7, secure and datagrams are what listeners of some protocols have.
var (
	l4        = &variant{words: []string{ProtocolTCP, ProtocolUDP}, of: protocolOf, noun: "listener"}
	l7        = &variant{words: []string{ProtocolHTTP, ProtocolHTTPS}, of: protocolOf, noun: "listener"}
	secure    = &variant{words: []string{ProtocolHTTPS}, of: protocolOf, noun: "listener"}
	datagrams = &variant{words: []string{ProtocolUDP}, of: protocolOf, noun: "listener"}
)

// L7 reports whether listeners of a protocol understand requests.
func L7(protocol string) bool { return slices.Contains(l7.words, protocol) }

func protocolOf(target any) string { return target.(*Listener).Protocol }

// hashes are the schedulers that not every listener has a key for.
var hashes = map[string]*variant{SchedulerSCH: l4, SchedulerTCH: l4, SchedulerQCH: datagrams}

var schedulers = []string{SchedulerWRR, SchedulerRR, SchedulerWLC, SchedulerSCH, SchedulerTCH, SchedulerQCH, SchedulerP2C, SchedulerLeast}

// SchedulersOf are those that listeners of a protocol can have.
func SchedulersOf(protocol string) []string {
	return slices.DeleteFunc(slices.Clone(schedulers), func(s string) bool {
		v := hashes[s]
		return v != nil && !slices.Contains(v.words, protocol)
	})
}

var listenerKind = func() *kind {
	k := kindOf(listenerBlock, func(lb *LoadBalancer) *[]*Listener { return &lb.Listeners }, metaOfListener,
		&Listener{Protocol: ProtocolTCP}, &Listener{Protocol: ProtocolUDP}, &Listener{Protocol: ProtocolHTTP},
		&Listener{Protocol: ProtocolHTTPS})
	k.parent = loadBalancerKind
	k.derive = listenerValues
	return k
}()

func metaOfListener(l *Listener) *Meta { return &l.Meta }

// listenerName is what the labels make: tcp:80.
func listenerName(l *Listener) string { return fmt.Sprintf("%s:%d", l.Protocol, l.Port) }

var listenerBlock = &block{
	name: "listener",
	labels: []attribute{
		bind("protocol", word([]string{ProtocolTCP, ProtocolUDP, ProtocolHTTP, ProtocolHTTPS}), func(l *Listener) *string { return &l.Protocol }),
		bind("port", port, func(l *Listener) *uint16 { return &l.Port }),
	},
	attributes: slices.Concat(listenerAttributes, l4Attributes, l7Attributes, secureAttributes),
	blocks: []child{
		one(healthCheckBlock, func(l *Listener) *HealthCheck { return &l.HealthCheck }),
		perhaps(stickySessionBlock, func(l *Listener) **StickySession { return &l.StickySession }).only(l7),
		one(xForwardedForBlock, func(l *Listener) *XForwardedFor { return &l.XForwardedFor }).only(l7),
		one(retryBlock, func(l *Listener) *Retry { return &l.Retry }).only(l7),
		perhaps(accessLogBlock, func(l *Listener) **AccessLog { return &l.AccessLog }).only(l7),
		perhaps(redirectBlock, func(l *Listener) **Redirect { return &l.Redirect }).only(l7),
		resources(ruleBlock, func(l *Listener) *[]*Rule { return &l.Rules }, metaOfRule, ruleName).only(l7),
		many(additionalCertificateBlock, func(l *Listener) *[]AdditionalCertificate { return &l.AdditionalCertificates }).only(secure),
	},
	hints: listenerHints,
	complete: func(_, target any) {
		if l := target.(*Listener); l.Scheduler == SchedulerQCH && l.QUICIDLength == 0 {
			l.QUICIDLength = 8
		}
	},
	finish: finishListener,
}

// listenerAttributes are those of every listener.
var listenerAttributes = []attribute{
	bind("server_group", text, func(l *Listener) *string { return &l.ServerGroup }, reference("server_group"), fallback("")),
	bind("backend_port", port, func(l *Listener) *uint16 { return &l.BackendPort }, fallback(0.0)),
	bind("scheduler", word(schedulers), func(l *Listener) *string { return &l.Scheduler }, fallback(SchedulerWRR)),
	bind("status", word([]string{StatusRunning, StatusStopped}),
		func(l *Listener) *string { return &l.Status }, fallback(StatusRunning)),
	bind("description", bounded(256), func(l *Listener) *string { return &l.Description }, fallback("")),
	bind("bandwidth", bandwidth, func(l *Listener) *int { return &l.Bandwidth }, fallback(0.0)),
	bind("acl", text, func(l *Listener) *string { return &l.ACL }, reference("acl"), fallback("")),
	bind("acl_type", word([]string{ACLWhite, ACLBlack}), func(l *Listener) *string { return &l.ACLType }, fallback("")),
	bind("drain", duration(0, 900*time.Second), func(l *Listener) *time.Duration { return &l.Drain }, fallback("30s")),
	bind("slow_start", duration(0, 900*time.Second), func(l *Listener) *time.Duration { return &l.SlowStart }, fallback("0s")),
	bind("when_all_unhealthy", word([]string{WhenUnhealthyReject, WhenUnhealthyForward}),
		func(l *Listener) *string { return &l.WhenAllUnhealthy }, fallback(WhenUnhealthyReject)),
}

var l4Attributes = []attribute{
	bind("persistence_timeout", duration(0, 3600*time.Second),
		func(l *Listener) *time.Duration { return &l.PersistenceTimeout }, fallback("0s"), only(l4)),
	bind("established_timeout", duration(shortest, 900*time.Second),
		func(l *Listener) *time.Duration { return &l.EstablishedTimeout }, fallback("15m"), only(l4)),
	bind("proxy_protocol", word([]string{ProxyProtocolOff, ProxyProtocolV1, ProxyProtocolV2}),
		func(l *Listener) *string { return &l.ProxyProtocol }, fallback(ProxyProtocolOff), only(l4)),
	bind("accept_proxy_protocol", boolean, func(l *Listener) *bool { return &l.AcceptProxyProtocol }, fallback(false), only(l4)),
	// At most what RFC 9000 section 17.2 allows.
	bind("quic_id_length", integer[int](1, 20), func(l *Listener) *int { return &l.QUICIDLength }, fallback(0.0), only(datagrams)),
}

var l7Attributes = []attribute{
	bind("idle_timeout", duration(shortest, 60*time.Second), func(l *Listener) *time.Duration { return &l.IdleTimeout }, fallback("15s"), only(l7)),
	bind("request_timeout", duration(shortest, 180*time.Second), func(l *Listener) *time.Duration { return &l.RequestTimeout }, fallback("1m"), only(l7)),
	bind("connect_timeout", duration(shortest, 60*time.Second), func(l *Listener) *time.Duration { return &l.ConnectTimeout }, fallback("5s"), only(l7)),
	bind("gzip", boolean, func(l *Listener) *bool { return &l.Gzip }, fallback(true), only(l7)),
	bind("max_qps", integer[int](0, 1e9), func(l *Listener) *int { return &l.MaxQPS }, fallback(0.0), only(l7)),
	bind("upstream_keepalive", boolean, func(l *Listener) *bool { return &l.UpstreamKeepalive }, fallback(true), only(l7)),
}

// listenerHints are the names of the product and its Terraform provider.
var listenerHints = map[string]string{
	"frontend_port":                "The port is the block's second label: listener \"tcp\" \"80\".",
	"port":                         "The port is the block's second label: listener \"tcp\" \"80\".",
	"protocol":                     "The protocol is the block's first label: listener \"tcp\" \"80\".",
	"name":                         "Write description, or tags on the load balancer.",
	"health_check_type":            "Write type inside a health_check block.",
	"health_check_uri":             "Write uri inside a health_check block.",
	"health_check_domain":          "Write domain inside a health_check block.",
	"health_check_connect_port":    "Write port inside a health_check block.",
	"health_check_interval":        "Write interval inside a health_check block.",
	"health_check_timeout":         "Write timeout inside a health_check block.",
	"health_check_http_code":       "Write http_codes inside a health_check block.",
	"health_check_method":          "Write method inside a health_check block.",
	"healthy_threshold":            "Write healthy_threshold inside a health_check block.",
	"unhealthy_threshold":          "Write unhealthy_threshold inside a health_check block.",
	"server_group_id":              "Write server_group = server_group.NAME.",
	"master_slave_server_group_id": "Write server_group = server_group.NAME; that group has type = \"active_standby\".",
	"load_balancer_id":             "A listener stands inside its load_balancer block.",
	"connection_drain_timeout":     "Write drain.",
	"connection_drain":             "Write drain = \"30s\", or drain = 0 for none.",
	"acl_id":                       "Write acl = acl.NAME.",
	"acl_ids":                      "Write acl = acl.NAME.",
	"acl_status":                   "A listener with acl = acl.NAME uses it.",
	"sticky_session_type":          "Write type inside a sticky_session block.",
	"cookie":                       "Write cookie inside a sticky_session block.",
	"cookie_timeout":               "Write cookie_timeout inside a sticky_session block.",
	"listener_forward":             "Write redirect { port = 443 }.",
	"forward_port":                 "Write port inside a redirect block.",
	"forward_code":                 "Write code inside a redirect block.",
	"enable_http2":                 "Write http2.",
	"server_certificate_id":        "Write certificate = certificate.NAME.",
	"ca_certificate_id":            "Write ca_certificate = ca_certificate.NAME.",
	"proxy_protocol_v2_enabled":    "Write proxy_protocol = \"v2\".",
	"rules":                        "Each rule is a block: rule \"NAME\" { ... }.",
}
