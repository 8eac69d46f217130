package balance

import (
	"fmt"
	"net/netip"

	"slbctl/spec"
)

// pool resolves the servers of a listener, or of one of its rules (nil = of none)
// and how they are chosen: a rule has what the listener has, unless it says
// otherwise.
func (k *compiler) pool(lb *spec.LoadBalancer, sl *spec.Listener, sr *spec.Rule) (Pool, error) {
	owner, group, scheduler, sticky, hc := sl.Address, sl.ServerGroup, sl.Scheduler, sl.StickySession, sl.HealthCheck
	redirect := sl.Redirect
	if sr != nil {
		owner, group, redirect = sr.Address, sr.ServerGroup, sr.Redirect
		if sr.Scheduler != "" {
			scheduler = sr.Scheduler
		}
		if sr.StickySession != nil {
			sticky = sr.StickySession
		}
		if sr.HealthCheck != nil {
			hc = *sr.HealthCheck
		}
	}
	p := Pool{
		Owner:                   owner,
		Scheduler:               scheduler,
		Check:                   newCheck(hc),
		ForwardWhenAllUnhealthy: sl.WhenAllUnhealthy == spec.WhenUnhealthyForward,
		SlowStart:               sl.SlowStart,
		PersistenceTimeout:      sl.PersistenceTimeout,
		Sticky:                  newSticky(sticky),
		seed:                    k.config.Seed,
	}
	if redirect != nil {
		return p, nil
	}
	members := lb.Backends
	p.Group = lb.Address
	if group != "" {
		g := k.config.ServerGroup(group)
		if g == nil {
			return p, fmt.Errorf("server group %s does not exist", group)
		}
		members, p.Group, p.ActiveStandby = g.Backends, g.Address, g.Type == spec.GroupActiveStandby
	}
	r := resolver{runtime: k.config.Runtime, instances: k.instances, port: sl.BackendPort, checkPort: hc.Port}
	var err error
	p.Backends, err = r.backends(members)
	return p, err
}

// resolver turns the members of a group into the backends of one pool.
type resolver struct {
	runtime   spec.Runtime
	instances map[string]*spec.Instance
	port      uint16 // the listener's backend_port; 0 = none
	checkPort uint16 // the health check's, as declared; 0 = the backend's
}

func (r *resolver) backends(members []spec.Backend) ([]Backend, error) {
	if len(members) > maxBackends {
		return nil, fmt.Errorf("%d backends; a listener can tell %d apart", len(members), maxBackends)
	}
	listed := make(map[string]int, len(members))
	for _, m := range members {
		if m.Instance != "" {
			listed[m.Instance]++
		}
	}
	out := make([]Backend, 0, len(members))
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		b, err := r.backend(m)
		if err != nil {
			return nil, err
		}
		if listed[m.Instance] > 1 {
			b.Name = fmt.Sprintf("%s:%d", b.Name, b.Port)
		}
		if seen[b.Name] {
			return nil, fmt.Errorf("backend %s is listed twice; list it once, with the weight it should have", b.Name)
		}
		seen[b.Name] = true
		out = append(out, b)
	}
	return out, nil
}

func (r *resolver) backend(m spec.Backend) (Backend, error) {
	b := Backend{
		Port:           m.Port,
		Weight:         m.Weight,
		MaxConnections: m.MaxConnections,
		H2C:            m.Protocol == spec.BackendH2C,
		Standby:        m.Role == spec.RoleStandby,
	}
	if b.Port == 0 {
		b.Port = r.port
	}
	if m.Instance == "" {
		return r.foreign(b, m.Address)
	}
	i := r.instances[m.Instance]
	if i == nil {
		return b, fmt.Errorf("backend %s does not exist", m.Instance)
	}
	if b.Port == 0 && len(i.Ports) > 0 {
		b.Port = i.Ports[0]
	}
	if b.Port == 0 {
		return b, fmt.Errorf("backend %s has no port; give it one, or the listener a backend_port", m.Instance)
	}
	b.Name, b.Instance, b.ID, b.Zone = m.Instance, m.Instance, i.ID, i.Zone
	b.Endpoint = netip.AddrPortFrom(i.IP, r.runtime.BoundPort(b.Port))
	b.CheckEndpoint = b.Endpoint
	if r.checkPort != 0 {
		b.CheckEndpoint = netip.AddrPortFrom(i.IP, r.runtime.BoundPort(r.checkPort))
	}
	return b, nil
}

// foreign resolves a server that slbctl does not own: its ports are never shifted.
func (r *resolver) foreign(b Backend, address netip.Addr) (Backend, error) {
	if b.Port == 0 {
		return b, fmt.Errorf("backend %s has no port; give it one, or the listener a backend_port", address)
	}
	b.Endpoint = netip.AddrPortFrom(address, b.Port)
	b.Name, b.CheckEndpoint = b.Endpoint.String(), b.Endpoint
	if r.checkPort != 0 {
		b.CheckEndpoint = netip.AddrPortFrom(address, r.checkPort)
	}
	return b, nil
}
