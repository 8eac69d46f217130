package spec

import (
	"fmt"
	"time"
)

// The shortest time that the language allows, for tests; the product's is a second.
const shortest = 10 * time.Millisecond

var listenerKind = func() *kind {
	k := kindOf(listenerBlock, func(lb *LoadBalancer) *[]*Listener { return &lb.Listeners },
		func(l *Listener) *Meta { return &l.Meta })
	k.parent = loadBalancerKind
	k.derive = listenerValues
	return k
}()

var listenerBlock = &block{
	name: "listener",
	labels: []attribute{
		bind("protocol", word([]string{"tcp"}, "udp", "http", "https"), func(l *Listener) *string { return &l.Protocol }),
		bind("port", port, func(l *Listener) *uint16 { return &l.Port }),
	},
	attributes: []attribute{
		bind("server_group", text, func(l *Listener) *string { return &l.ServerGroup }, reference("server_group"), fallback("")),
		bind("backend_port", port, func(l *Listener) *uint16 { return &l.BackendPort }, fallback(0.0)),
		bind("scheduler", word([]string{SchedulerWRR, SchedulerRR, SchedulerWLC, SchedulerSCH, SchedulerTCH}, "qch", "p2c", "least_request"),
			func(l *Listener) *string { return &l.Scheduler }, fallback(SchedulerWRR)),
		bind("status", word([]string{StatusRunning, StatusStopped}),
			func(l *Listener) *string { return &l.Status }, fallback(StatusRunning)),
		bind("description", bounded(256), func(l *Listener) *string { return &l.Description }, fallback("")),
		bind("drain", duration(0, 900*time.Second), func(l *Listener) *time.Duration { return &l.Drain }, fallback("30s")),
		bind("when_all_unhealthy", word([]string{WhenUnhealthyReject, WhenUnhealthyForward}),
			func(l *Listener) *string { return &l.WhenAllUnhealthy }, fallback(WhenUnhealthyReject)),
		bind("established_timeout", duration(shortest, 900*time.Second),
			func(l *Listener) *time.Duration { return &l.EstablishedTimeout }, fallback("15m")),
	},
	blocks: []child{one(healthCheckBlock, func(l *Listener) *HealthCheck { return &l.HealthCheck })},
	later: []string{"bandwidth", "acl", "acl_type", "slow_start", "persistence_timeout", "proxy_protocol",
		"accept_proxy_protocol", "quic_id_length", "idle_timeout", "request_timeout", "connect_timeout", "gzip",
		"http2", "certificate", "ca_certificate", "tls_cipher_policy", "max_qps", "upstream_keepalive"},
	laterBlock: []string{"sticky_session", "x_forwarded_for", "additional_certificate", "retry", "access_log", "redirect", "rule"},
	hints: map[string]string{
		"frontend_port":             "The port is the block's second label: listener \"tcp\" \"80\".",
		"port":                      "The port is the block's second label: listener \"tcp\" \"80\".",
		"protocol":                  "The protocol is the block's first label: listener \"tcp\" \"80\".",
		"health_check_type":         "Write type inside a health_check block.",
		"health_check_uri":          "Write uri inside a health_check block.",
		"health_check_domain":       "Write domain inside a health_check block.",
		"health_check_connect_port": "Write port inside a health_check block.",
		"health_check_interval":     "Write interval inside a health_check block.",
		"health_check_timeout":      "Write timeout inside a health_check block.",
		"health_check_http_code":    "Write http_codes inside a health_check block.",
		"health_check_method":       "Write method inside a health_check block.",
		"healthy_threshold":         "Write healthy_threshold inside a health_check block.",
		"unhealthy_threshold":       "Write unhealthy_threshold inside a health_check block.",
		"server_group_id":           "Write server_group = server_group.NAME.",
		"load_balancer_id":          "A listener stands inside its load_balancer block.",
		"connection_drain_timeout":  "Write drain.",
		"connection_drain":          "Write drain = \"30s\", or drain = 0 for none.",
	},
	finish: finishListener,
}

var healthCheckBlock = &block{
	name: "health_check",
	attributes: []attribute{
		bind("enabled", boolean, func(h *HealthCheck) *bool { return &h.Enabled }, fallback(true)),
		bind("type", word([]string{"tcp"}, "http", "udp"), func(h *HealthCheck) *string { return &h.Type }, fallback("tcp")),
		bind("port", port, func(h *HealthCheck) *uint16 { return &h.Port }, fallback(0.0)),
		bind("interval", duration(shortest, 50*time.Second), func(h *HealthCheck) *time.Duration { return &h.Interval }, fallback("2s")),
		bind("timeout", duration(shortest, 300*time.Second), func(h *HealthCheck) *time.Duration { return &h.Timeout }, fallback("5s")),
		bind("healthy_threshold", integer[int](1, 10), func(h *HealthCheck) *int { return &h.HealthyThreshold }, fallback(3.0)),
		bind("unhealthy_threshold", integer[int](1, 10), func(h *HealthCheck) *int { return &h.UnhealthyThreshold }, fallback(3.0)),
	},
	later: []string{"domain", "uri", "method", "http_codes", "request", "expect"},
}

// finishListener gives a listener the name that its labels make.
func finishListener(d *decoder, _ *site, target any) {
	l := target.(*Listener)
	d.identify(&l.Meta, fmt.Sprintf("%s:%d", l.Protocol, l.Port), "listener")
}
