package balance

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"slbctl/spec"
)

// Backend is one server as a listener sees it.
type Backend struct {
	// Name is how JSON and messages call it: instance.ECS01, or 127.0.0.1:8080
	// for a foreign server; ":PORT" is added to an instance that the group lists
	// more than once. Names are unique within a listener.
	Name     string
	Instance string // resource address; empty for a foreign server
	Zone     string // empty for a foreign server
	Port     uint16 // as declared
	Weight   int    // 0-100
	// Endpoint and CheckEndpoint are where connections and probes really go.
	Endpoint      netip.AddrPort
	CheckEndpoint netip.AddrPort
}

// Pool is a set of servers and how one is chosen: the servers of a listener, or of
// one of its rules.
type Pool struct {
	// Owner is the resource address of the listener or rule whose pool it is.
	Owner     string
	Scheduler string
	Backends  []Backend // in the order of the file
	Check     Check
	// ForwardWhenAllUnhealthy uses every server when none is well.
	ForwardWhenAllUnhealthy bool

	seed uint64 // keys the hashes of sch and tch
}

// Listener is everything that decides about one port of a load balancer. Its own
// Pool gets what no rule takes.
type Listener struct {
	Pool
	Address      string // resource address
	LoadBalancer string // resource address
	Protocol     string
	Endpoint     netip.AddrPort // where it really listens
	Port         uint16         // as declared
	// Serving is false where the balancer is inactive or the listener stopped.
	Serving            bool
	EstablishedTimeout time.Duration
	Drain              time.Duration
}

// maxBackends is how many servers the 16-bit entries of a Table can tell apart.
const maxBackends = math.MaxUint16

// Compile resolves the listeners of a configuration, in its order. It is the only
// reader of groups and weights. A Config that spec accepted fails only where a
// group lists one server twice on one port.
func Compile(c *spec.Config) ([]*Listener, error) {
	instances := make(map[string]*spec.Instance, len(c.Instances))
	for _, i := range c.Instances {
		instances[i.Address] = i
	}
	var out []*Listener
	for _, lb := range c.LoadBalancers {
		for _, sl := range lb.Listeners {
			members := lb.Backends
			if sl.ServerGroup != "" {
				g := c.ServerGroup(sl.ServerGroup)
				if g == nil {
					return nil, fmt.Errorf("%s: server group %s does not exist", sl.Address, sl.ServerGroup)
				}
				members = g.Backends
			}
			l := newListener(c, lb, sl)
			r := resolver{runtime: c.Runtime, instances: instances, listener: sl}
			var err error
			if l.Backends, err = r.backends(members); err != nil {
				return nil, fmt.Errorf("%s: %w", sl.Address, err)
			}
			out = append(out, l)
		}
	}
	return out, nil
}

func newListener(c *spec.Config, lb *spec.LoadBalancer, sl *spec.Listener) *Listener {
	hc := sl.HealthCheck
	return &Listener{
		Pool: Pool{
			Owner:     sl.Address,
			Scheduler: sl.Scheduler,
			Check: Check{
				Enabled:   hc.Enabled,
				Interval:  hc.Interval,
				Timeout:   max(hc.Timeout, hc.Interval),
				Healthy:   hc.HealthyThreshold,
				Unhealthy: hc.UnhealthyThreshold,
			},
			ForwardWhenAllUnhealthy: sl.WhenAllUnhealthy == spec.WhenUnhealthyForward,
			seed:                    c.Seed,
		},
		Address:            sl.Address,
		LoadBalancer:       lb.Address,
		Protocol:           sl.Protocol,
		Endpoint:           netip.AddrPortFrom(lb.IP, c.Runtime.BoundPort(sl.Port)),
		Port:               sl.Port,
		Serving:            lb.Status != spec.StatusInactive && sl.Status != spec.StatusStopped,
		EstablishedTimeout: sl.EstablishedTimeout,
		Drain:              sl.Drain,
	}
}

// resolver turns the members of a group into the backends of one listener.
type resolver struct {
	runtime   spec.Runtime
	instances map[string]*spec.Instance
	listener  *spec.Listener
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
	port := m.Port
	if port == 0 {
		port = r.listener.BackendPort
	}
	if m.Instance == "" {
		return r.foreign(m, port)
	}
	i := r.instances[m.Instance]
	if i == nil {
		return Backend{}, fmt.Errorf("backend %s does not exist", m.Instance)
	}
	if port == 0 && len(i.Ports) > 0 {
		port = i.Ports[0]
	}
	if port == 0 {
		return Backend{}, fmt.Errorf("backend %s has no port; give it one, or the listener a backend_port", m.Instance)
	}
	b := Backend{
		Name:     m.Instance,
		Instance: m.Instance,
		Zone:     i.Zone,
		Port:     port,
		Weight:   m.Weight,
		Endpoint: netip.AddrPortFrom(i.IP, r.runtime.BoundPort(port)),
	}
	b.CheckEndpoint = b.Endpoint
	if p := r.listener.HealthCheck.Port; p != 0 {
		b.CheckEndpoint = netip.AddrPortFrom(i.IP, r.runtime.BoundPort(p))
	}
	return b, nil
}

// foreign resolves a server that slbctl does not own: its ports are never shifted.
func (r *resolver) foreign(m spec.Backend, port uint16) (Backend, error) {
	if port == 0 {
		return Backend{}, fmt.Errorf("backend %s has no port; give it one, or the listener a backend_port", m.Address)
	}
	ep := netip.AddrPortFrom(m.Address, port)
	b := Backend{Name: ep.String(), Port: port, Weight: m.Weight, Endpoint: ep, CheckEndpoint: ep}
	if p := r.listener.HealthCheck.Port; p != 0 {
		b.CheckEndpoint = netip.AddrPortFrom(m.Address, p)
	}
	return b, nil
}
