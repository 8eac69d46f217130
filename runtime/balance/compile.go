package balance

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"slbctl/spec"
)

// Listener is everything that decides about one port of a load balancer. Its own
// Pool gets what no rule takes.
type Listener struct {
	Pool
	Address      string // resource address
	LoadBalancer string // resource address
	SLBID        string // id of the load balancer
	Protocol     string
	Endpoint     netip.AddrPort // where it really listens
	Port         uint16         // as declared
	// Serving is false where the balancer is inactive or the listener stopped.
	Serving            bool
	EstablishedTimeout time.Duration
	Drain              time.Duration
	ACL                *AccessList // nil = everybody passes

	// Of TCP and UDP.
	ProxyProtocol       int // version of the PROXY protocol's header that servers get; 0 = none
	AcceptProxyProtocol bool
	QUICIDLength        int // bytes of the connection ids that servers choose; qch only

	// Of HTTP and HTTPS.
	IdleTimeout       time.Duration
	RequestTimeout    time.Duration
	ConnectTimeout    time.Duration
	Forwarded         spec.XForwardedFor
	Gzip              bool
	UpstreamKeepalive bool
	Retry             spec.Retry
	AccessLog         *spec.AccessLog // nil = none
	Redirect          *Redirect       // answers what no rule takes; nil = the pool does
	Rules             []*Rule         // in the order of their resource addresses

	// What the balancer's spec allows all its listeners together; 0 = unlimited.
	// NewQuotas makes what counts and enforces it.
	MaxConnections, CPS, QPS int
	MaxQPS                   int // requests a second to this listener; 0 = unlimited
	// Bandwidth is what this listener reserves and may use in each direction, in
	// Mbit/s; 0 = a share of what the others' reservations leave of the balancer's.
	Bandwidth         int
	BalancerBandwidth int // Mbit/s in each direction; 0 = unlimited

	router *router
}

// Rule sends the requests for a domain, a URL prefix or both to a pool of its own,
// or answers them with a redirect. Its pool is then empty.
type Rule struct {
	Pool
	Address  string // resource address
	Name     string
	Domain   string // exact, or "*." and a suffix; lower case; empty = any
	URL      string // prefix of NormalPath's form; empty = any
	Redirect *Redirect
}

// Redirect says how the URL changes that a client is sent to instead.
type Redirect struct {
	Scheme string // http or https
	Port   uint16 // as bound; 0 = left out of the URL, being the scheme's own
	Code   int    // status of the answer
}

// Pools returns the listener's own pool, then those of its rules in their order.
func (l *Listener) Pools() []*Pool {
	pools := make([]*Pool, 0, 1+len(l.Rules))
	pools = append(pools, &l.Pool)
	for _, r := range l.Rules {
		pools = append(pools, &r.Pool)
	}
	return pools
}

// Prepare computes what Route and the cookies of a listener need. Compile has done
// so; only a Listener that was put together by hand needs it, before its first use.
func (l *Listener) Prepare() error {
	for _, p := range l.Pools() {
		p.cookies = newCookies(p.Backends, p.seed)
	}
	var err error
	l.router, err = newRouter(l)
	return err
}

// maxBackends is how many servers the 16-bit entries of a Table can tell apart.
const maxBackends = math.MaxUint16

// Compile resolves the listeners of a configuration, in its order. It is the only
// reader of groups and weights. A Config that spec accepted fails only where a
// group lists one server twice on one port, or two rules are one once their URLs
// are normal.
func Compile(c *spec.Config) ([]*Listener, error) {
	k := compiler{config: c, instances: make(map[string]*spec.Instance, len(c.Instances)), lists: map[listKey]*AccessList{}}
	for _, i := range c.Instances {
		k.instances[i.Address] = i
	}
	var out []*Listener
	for _, lb := range c.LoadBalancers {
		for _, sl := range lb.Listeners {
			l, err := k.listener(lb, sl)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sl.Address, err)
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// compiler is one run of Compile.
type compiler struct {
	config    *spec.Config
	instances map[string]*spec.Instance
	lists     map[listKey]*AccessList
}

// listKey names an access list that several listeners may share.
type listKey struct{ acl, kind string }

func (k *compiler) listener(lb *spec.LoadBalancer, sl *spec.Listener) (*Listener, error) {
	l := newListener(k.config, lb, sl)
	var err error
	if l.ACL, err = k.accessList(sl); err != nil {
		return nil, err
	}
	if l.Redirect, err = k.redirect(lb, sl.Redirect); err != nil {
		return nil, err
	}
	if l.Pool, err = k.pool(lb, sl, nil); err != nil {
		return nil, err
	}
	for _, sr := range sl.Rules {
		r := &Rule{Address: sr.Address, Name: sr.Name, Domain: sr.Domain}
		if r.URL, err = normalURL(sr.URL); err != nil {
			return nil, fmt.Errorf("rule %q: %w", sr.Name, err)
		}
		if r.Redirect, err = k.redirect(lb, sr.Redirect); err != nil {
			return nil, fmt.Errorf("rule %q: %w", sr.Name, err)
		}
		if r.Pool, err = k.pool(lb, sl, sr); err != nil {
			return nil, fmt.Errorf("rule %q: %w", sr.Name, err)
		}
		l.Rules = append(l.Rules, r)
	}
	return l, l.Prepare()
}

func newListener(c *spec.Config, lb *spec.LoadBalancer, sl *spec.Listener) *Listener {
	l := &Listener{
		Address:             sl.Address,
		LoadBalancer:        lb.Address,
		SLBID:               lb.ID,
		Protocol:            sl.Protocol,
		Endpoint:            netip.AddrPortFrom(lb.IP, c.Runtime.BoundPort(sl.Port)),
		Port:                sl.Port,
		Serving:             lb.Status != spec.StatusInactive && sl.Status != spec.StatusStopped,
		EstablishedTimeout:  sl.EstablishedTimeout,
		Drain:               sl.Drain,
		AcceptProxyProtocol: sl.AcceptProxyProtocol,
		QUICIDLength:        sl.QUICIDLength,
		IdleTimeout:         sl.IdleTimeout,
		RequestTimeout:      sl.RequestTimeout,
		ConnectTimeout:      sl.ConnectTimeout,
		Forwarded:           sl.XForwardedFor,
		Gzip:                sl.Gzip,
		UpstreamKeepalive:   sl.UpstreamKeepalive,
		Retry:               sl.Retry,
		AccessLog:           sl.AccessLog,
		MaxQPS:              sl.MaxQPS,
		Bandwidth:           sl.Bandwidth,
		BalancerBandwidth:   lb.Bandwidth,
	}
	switch sl.ProxyProtocol {
	case spec.ProxyProtocolV1:
		l.ProxyProtocol = 1
	case spec.ProxyProtocolV2:
		l.ProxyProtocol = 2
	}
	l.MaxConnections, l.CPS, l.QPS, _ = Limits(lb.Spec)
	return l
}

func (k *compiler) accessList(sl *spec.Listener) (*AccessList, error) {
	if sl.ACL == "" {
		return nil, nil
	}
	key := listKey{sl.ACL, sl.ACLType}
	if list := k.lists[key]; list != nil {
		return list, nil
	}
	for _, acl := range k.config.ACLs {
		if acl.Address == sl.ACL {
			k.lists[key] = NewAccessList(acl.Entries, sl.ACLType == spec.ACLWhite)
			return k.lists[key], nil
		}
	}
	return nil, fmt.Errorf("access control list %s does not exist", sl.ACL)
}

// redirect resolves the declared port of a redirect to what a client has to ask.
func (k *compiler) redirect(lb *spec.LoadBalancer, r *spec.Redirect) (*Redirect, error) {
	if r == nil {
		return nil, nil
	}
	for _, sl := range lb.Listeners {
		own, ok := webPorts[sl.Protocol]
		if !ok || sl.Port != r.Port {
			continue
		}
		out := &Redirect{Scheme: sl.Protocol, Code: r.Code}
		if port := k.config.Runtime.BoundPort(sl.Port); port != own {
			out.Port = port
		}
		return out, nil
	}
	return nil, fmt.Errorf("redirect to port %d: %s has no http or https listener there", r.Port, lb.Address)
}

// webPorts are the schemes of URLs that a listener may answer, each with the port
// that such a URL does not mention.
var webPorts = map[string]uint16{spec.ProtocolHTTP: 80, spec.ProtocolHTTPS: 443}
