package runtime

import (
	"os"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/health"
	"slbctl/runtime/proxy"
	"slbctl/spec"
)

// Status implements control.Engine.
func (e *engine) Status() *control.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.live.Config
	s := &control.Status{
		FormatVersion: formatVersion,
		Runtime: control.Runtime{
			Generation: e.live.Generation, PID: os.Getpid(),
			UptimeSeconds: time.Since(e.started).Seconds(), Problems: append([]string{}, e.problems...),
		},
		LoadBalancers: []control.LoadBalancer{},
		Instances:     []control.Instance{},
		Certificates:  []control.Certificate{},
		Draining:      []control.Draining{},
		DNS:           control.DNS{Zones: []control.Zone{}},
	}
	s.Runtime.Predecessors = []int{}
	for _, o := range e.elders {
		if o.carries() {
			s.Runtime.Predecessors = append(s.Runtime.Predecessors, o.pid)
		}
	}
	if e.balancer != nil {
		s.Runtime.Loops = e.balancer.Loops()
		s.Runtime.AcceptPauses, s.Runtime.ClosedUpstreams = e.balancer.AcceptPauses(), e.balancer.Spared()
	}
	for _, lb := range c.LoadBalancers {
		s.LoadBalancers = append(s.LoadBalancers, e.balancerStatus(lb))
	}
	for _, x := range c.Certificates {
		s.Certificates = append(s.Certificates, e.certificateStatus(x))
	}
	for _, x := range c.CACertificates {
		s.Certificates = append(s.Certificates, authorityStatus(x))
	}
	for _, i := range c.Instances {
		s.Instances = append(s.Instances, e.instanceStatus(i))
	}
	for _, d := range e.drains {
		for _, b := range d.backends {
			if b.over() {
				continue
			}
			s.Draining = append(s.Draining, control.Draining{
				Listener: b.of.spec.Address, Address: b.backend, Until: b.until.UTC(),
				Connections: b.open(),
			})
		}
	}
	if e.names != nil {
		s.DNS.Address = e.names.Addr().String()
	}
	for _, z := range c.DNSZones {
		s.DNS.Zones = append(s.DNS.Zones, control.Zone{Address: z.Address, Domain: z.Name, Records: len(z.Records)})
	}
	return s
}

func (e *engine) balancerStatus(lb *spec.LoadBalancer) control.LoadBalancer {
	s := control.LoadBalancer{Address: lb.Address, IP: lb.IP.String(), Status: lb.Status, Listeners: []control.Listener{}}
	if len(lb.Listeners) == 0 {
		s.Status = spec.StatusInactive // as the product has it
	}
	for _, l := range lb.Listeners {
		if live := e.listeners[l.Address]; live != nil {
			s.Listeners = append(s.Listeners, e.listenerStatus(l, live))
		}
	}
	return s
}

func (e *engine) listenerStatus(l *spec.Listener, live *listener) control.Listener {
	count := live.handler.Counters()
	s := control.Listener{
		Address: l.Address, Protocol: l.Protocol, Port: l.Port, Bound: live.spec.Endpoint.Port(),
		Status: l.Status, Scheduler: l.Scheduler,
		Connections: count.Connections, Requests: count.Requests, Errors: count.Errors,
		BytesIn: count.BytesIn, BytesOut: count.BytesOut,
		Denied: count.Denied, Dropped: count.Dropped, Shed: count.Shed,
		Backends: e.poolStatus(live, 0, count.Backends),
		Rules:    []control.Rule{},
	}
	if !live.spec.Serving {
		s.Status = spec.StatusStopped // also where the balancer is inactive
	}
	if l.Protocol == spec.ProtocolHTTPS {
		s.Secure = &control.Secure{
			FloodsCut: count.Secure.FloodsCut, HandshakesDropped: count.Secure.HandshakesDropped,
			HandshakesFailed: count.Secure.HandshakesFailed, HandshakesTimedOut: count.Secure.HandshakesTimedOut,
			StreamsRefused: count.Secure.StreamsRefused,
		}
	}
	if k, ok := e.sockets[placeOf(live.spec)].(*proxy.UDPSocket); ok {
		d := k.Dropped()
		s.Dropped += d.Sessions + d.Bandwidth + d.TooLong + d.Overflow
	}
	if a := live.spec.AccessLog; a != nil && e.logs[a.Path] != nil {
		lost, err := e.logs[a.Path].Dropped()
		if s.LogLost = lost; err != nil {
			s.LogError = err.Error()
		}
	}
	for n, r := range live.spec.Rules {
		s.Rules = append(s.Rules, control.Rule{
			Address: r.Address, Domain: r.Domain, URL: r.URL, Scheduler: r.Scheduler,
			Backends: e.poolStatus(live, n+1, count.Rules[r.Owner]),
		})
	}
	return s
}

// poolStatus tells of the servers of one of a listener's pools, by its index.
func (e *engine) poolStatus(live *listener, n int, counts map[string]proxy.Counts) []control.Backend {
	p := live.spec.Pools()[n]
	shares := make([]float64, len(p.Backends))
	if live.spec.Serving {
		shares = live.tables[n].Shares()
	}
	out := make([]control.Backend, len(p.Backends))
	for i, b := range p.Backends {
		out[i] = e.backendStatus(live, p, i, counts[b.Name], shares[i])
	}
	return out
}

func (e *engine) backendStatus(live *listener, p *balance.Pool, i int, count proxy.Counts, share float64) control.Backend {
	b, ev := p.Backends[i], e.verdictOn(live, p, i)
	return control.Backend{
		Address: b.Name, IP: b.Endpoint.Addr().String(), Port: b.Port, Bound: b.Endpoint.Port(),
		Weight: b.Weight, Drained: b.Drained, Health: ev.Health.String(), Reason: ev.Reason, Since: ev.Since.UTC(),
		Connections: count.Connections, Requests: count.Requests, Errors: count.Errors, Share: share,
	}
}

// verdictOn is what is known of a server's health, or why nothing is.
func (e *engine) verdictOn(live *listener, p *balance.Pool, i int) health.Event {
	ev := e.verdicts[targetOf(p, i)]
	switch {
	case !p.Probed(i):
		ev = health.Event{Reason: "not checked", Since: e.started}
	case !live.spec.Serving:
		ev = health.Event{Reason: "the listener does not serve", Since: e.started}
	case ev.Health == balance.Unavailable:
		ev = health.Event{Reason: "no verdict yet", Since: e.started}
	}
	return ev
}

func (e *engine) instanceStatus(i *spec.Instance) control.Instance {
	s := control.Instance{Address: i.Address, IP: i.IP.String(), Ports: i.Ports, Status: spec.StatusStopped}
	for _, ep := range endpointsOf(e.live.Config.Runtime, i) {
		s.Bound = append(s.Bound, ep.Port())
	}
	if e.live.running(i) && e.fleet.alive.Load() {
		s.Status = spec.StatusRunning
	}
	if fault := e.faults.on(i).String(); fault != "none" {
		s.Fault = fault
	}
	return s
}
