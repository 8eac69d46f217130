package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

var loadBalancerKind = func() *kind {
	meta := func(lb *LoadBalancer) *Meta { return &lb.Meta }
	k := kindOf(&block{
		name: "load_balancer",
		attributes: resourceAttributes(meta,
			bind("address_type", word([]string{"internet", "intranet"}),
				func(lb *LoadBalancer) *string { return &lb.AddressType }, replaces, fallback("internet")),
			bind("address", ip, func(lb *LoadBalancer) *netip.Addr { return &lb.IP }, replaces),
			bind("address_pinned", boolean, func(lb *LoadBalancer) *bool { return &lb.PinnedIP }, computed, fallback(false)),
			bind("primary_zone", bounded(64), func(lb *LoadBalancer) *string { return &lb.PrimaryZone }, replaces, fallback("")),
			bind("backup_zone", bounded(64), func(lb *LoadBalancer) *string { return &lb.BackupZone }, replaces, fallback("")),
			bind("spec", word(specs), func(lb *LoadBalancer) *string { return &lb.Spec }, fallback("")),
			bind("bandwidth", bandwidth, func(lb *LoadBalancer) *int { return &lb.Bandwidth }, fallback(0.0)),
			bind("status", word([]string{StatusActive, StatusInactive}),
				func(lb *LoadBalancer) *string { return &lb.Status }, fallback(StatusActive)),
			bind("delete_protection", boolean, func(lb *LoadBalancer) *bool { return &lb.DeleteProtection }, fallback(false)),
		),
		blocks: resourceBlocks(meta,
			many(backendBlock, func(lb *LoadBalancer) *[]Backend { return &lb.Backends }),
			resources(listenerBlock, func(lb *LoadBalancer) *[]*Listener { return &lb.Listeners }, metaOfListener, listenerName),
			many(balancerExpectBlock, func(lb *LoadBalancer) *[]Expect { return &lb.Expects }),
		),
		hints: map[string]string{
			"load_balancer_name": "The name is the block's label: load_balancer \"NAME\".",
			"name":               "The name is the block's label: load_balancer \"NAME\".",
			"master_zone_id":     "Write primary_zone.",
			"slave_zone_id":      "Write backup_zone.",
			"load_balancer_spec": "Write spec.",
			"address_ip_version": "Write address: one such as \"::1\" makes it IPv6.",
			"specification":      "Write spec.",
			"listeners":          "Each listener is a block: listener \"tcp\" \"80\" { ... }.",
			"internet":           "Write address_type = \"internet\".",
		},
		finish: finishLoadBalancer,
	}, func(c *Config) *[]*LoadBalancer { return &c.LoadBalancers }, meta)
	k.early = []string{"address"}
	k.ip = func(target any) (*netip.Addr, *bool) {
		lb := target.(*LoadBalancer)
		return &lb.IP, &lb.PinnedIP
	}
	return k
}()

// specs are the product's sizes; each limits connections, new connections and
// requests a second.
var specs = []string{"slb.s1.small", "slb.s2.small", "slb.s2.medium", "slb.s3.small", "slb.s3.medium", "slb.s3.large", "slb.s3.xlarge", "slb.s3.xxlarge"}

func finishLoadBalancer(d *decoder, s *site, target any) {
	lb := target.(*LoadBalancer)
	checkBackends(d, s, lb.Backends)
	checkNoRole(d, s, lb.Backends)
	if lb.BackupZone != "" && lb.BackupZone == lb.PrimaryZone {
		d.errorf(s.at("backup_zone"), "Zones alike", "Name another zone, or leave backup_zone out.",
			"The backup zone must differ from the primary zone %q.", lb.PrimaryZone)
	}
	seen := make(map[string]bool, len(lb.Listeners))
	for n, l := range lb.Listeners {
		place := s.child("listener", n)
		if seen[l.Name] {
			d.errorf(place.rng, "Duplicate listener", "", "%s has a listener %q already.", lb.Address, l.Name)
		}
		seen[l.Name] = true
		if l.ServerGroup == "" && len(lb.Backends) == 0 && l.Port != 0 && !place.has("server_group") && l.Redirect == nil {
			d.errorf(place.rng, "Listener without backends",
				"Write server_group = server_group.NAME, or add backend blocks to the load balancer.",
				"%s has nobody to send its traffic to.", l.Address)
		}
		checkRedirect(d, place.child("redirect", 0), lb, l, l.Redirect)
		for i, r := range l.Rules {
			checkRedirect(d, place.child("rule", i).child("redirect", 0), lb, l, r.Redirect)
		}
	}
	checkBandwidth(d, s, lb)
	if len(lb.Expects) > 0 {
		place := *s
		d.l.inner[lb.Address] = &place // the checks of expectations come when all is known
	}
}

// checkRedirect looks for the listener that a redirect leads to.
func checkRedirect(d *decoder, s *site, lb *LoadBalancer, from *Listener, r *Redirect) {
	if r == nil || r.Port == 0 || from.Protocol == "" {
		return
	}
	var ports []string
	for _, l := range lb.Listeners {
		if l.Port == r.Port && l7.has(l) && l != from {
			return
		}
		if l7.has(l) && l != from {
			ports = append(ports, decimal(float64(l.Port)))
		}
	}
	if r.Port == from.Port {
		d.errorf(s.at("port"), "Redirect to itself", "Write the port of another listener.", "%s would send its clients back to itself.", from.Address)
		return
	}
	hint := "Add a listener \"http\" \"" + decimal(float64(r.Port)) + "\"."
	if len(ports) > 0 {
		hint = "It has port " + strings.Join(ports, ", ") + "."
	}
	d.errorf(s.at("port"), "Redirect to nothing", hint, "%s has no other HTTP listener on port %d.", lb.Address, r.Port)
}

// checkBandwidth holds what listeners reserve against what there is.
func checkBandwidth(d *decoder, s *site, lb *LoadBalancer) {
	left := lb.Bandwidth
	for n, l := range lb.Listeners {
		if left -= l.Bandwidth; lb.Bandwidth > 0 && l.Bandwidth > 0 && left < 0 {
			d.errorf(s.child("listener", n).at("bandwidth"), "Too much bandwidth", "",
				"The listeners of %s reserve %d Mbit/s up to here; it has %d.", lb.Address, lb.Bandwidth-left, lb.Bandwidth)
			return
		}
	}
	for n, l := range lb.Listeners {
		if lb.Bandwidth > 0 && left == 0 && l.Bandwidth == 0 {
			d.l.reports.warn(s.child("listener", n).rng, "No bandwidth left",
				fmt.Sprintf("The other listeners reserve all %d Mbit/s of %s.", lb.Bandwidth, lb.Address), "Give it some, or the others less.")
		}
	}
}

// listenerValues adds to a listener's value what only its balancer knows.
func listenerValues(l *loader, parent, target any) map[string]cty.Value {
	lb, listener := parent.(*LoadBalancer), target.(*Listener)
	return map[string]cty.Value{
		"address": cty.StringVal(lb.IP.String()),
		"url":     cty.StringVal(l.listenerURL(lb, listener)),
	}
}

// listenerURL is what a user would type to reach the listener: http where it speaks
// that, or an instance of ours behind it does.
func (l *loader) listenerURL(lb *LoadBalancer, listener *Listener) string {
	endpoint := netip.AddrPortFrom(lb.IP, l.runtime.BoundPort(listener.Port))
	scheme, own := listener.Protocol, "" // and the port that its URLs do not mention
	switch {
	case scheme == ProtocolHTTPS:
		own = ":443"
	case scheme == ProtocolHTTP || scheme == ProtocolTCP && l.servesPages(lb, listener):
		scheme, own = ProtocolHTTP, ":80"
	}
	return scheme + "://" + strings.TrimSuffix(endpoint.String(), own)
}

// servesPages reports whether an instance of ours behind a listener speaks http.
func (l *loader) servesPages(lb *LoadBalancer, listener *Listener) bool {
	backends := lb.Backends
	if o := l.objects[listener.ServerGroup]; o != nil && l.evaluate(o) {
		backends = o.target.(*ServerGroup).Backends
	}
	return slices.ContainsFunc(backends, func(b Backend) bool { return l.protocol(b.Instance) == ProtocolHTTP })
}
