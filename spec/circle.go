package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// circles finds listeners whose traffic comes back to them, by way of backends that are
// the addresses of listeners. Each connection there would make the next, without end.
type circles struct {
	l       *loader
	config  *Config
	holders map[endpoint]*Listener
	owners  map[*Listener]*LoadBalancer
	done    map[*Listener]bool
	path    []*Listener // from the first listener to the one that is looked at
}

func (l *loader) checkCircles(c *Config) {
	w := &circles{l: l, config: c, holders: map[endpoint]*Listener{}, owners: map[*Listener]*LoadBalancer{}, done: map[*Listener]bool{}}
	for _, lb := range c.LoadBalancers {
		for _, listener := range lb.Listeners {
			w.holders[endpoint{netip.AddrPortFrom(lb.IP, c.Runtime.BoundPort(listener.Port)), networkOf(listener)}] = listener
			w.owners[listener] = lb
		}
	}
	for _, lb := range c.LoadBalancers {
		for _, listener := range lb.Listeners {
			w.follow(listener)
			for _, r := range listener.Rules {
				// A request that a rule sends back to its listener meets the same rule. By way
				// of others' rules it need not, so those are nobody's mistake.
				if r.Redirect == nil && slices.Contains(w.behind(listener, r.ServerGroup), listener) {
					w.report(r.Address, []*Listener{listener})
				}
			}
		}
	}
}

// networkOf is what kind of socket a listener has.
func networkOf(l *Listener) string {
	if l.Protocol == ProtocolUDP {
		return ProtocolUDP
	}
	return ProtocolTCP
}

// behind are the listeners that a group of a listener's has among its servers.
func (w *circles) behind(l *Listener, group string) []*Listener {
	var out []*Listener
	for _, b := range w.config.group(w.owners[l], group).Backends {
		if next := w.holders[endpoint{netip.AddrPortFrom(b.Address, b.Port), networkOf(l)}]; b.Instance == "" && next != nil {
			out = append(out, next)
		}
	}
	return out
}

func (w *circles) follow(l *Listener) {
	if at := slices.Index(w.path, l); at >= 0 {
		w.report(l.Address, w.path[at:])
		return
	}
	if w.done[l] || l.Redirect != nil {
		return
	}
	w.done[l] = true
	w.path = append(w.path, l)
	for _, next := range w.behind(l, l.ServerGroup) {
		w.follow(next)
	}
	w.path = w.path[:len(w.path)-1]
}

func (w *circles) report(owner string, path []*Listener) {
	by := ""
	if len(path) > 1 {
		var names []string
		for _, l := range path[1:] {
			names = append(names, l.Address)
		}
		by = " by way of " + strings.Join(names, ", ")
	}
	w.l.reports.error(w.l.inner[owner].rng, "Traffic in a circle", fmt.Sprintf("%s sends its traffic back to %s%s.", owner, path[0].Address, by),
		"Write the servers' own addresses.")
}
