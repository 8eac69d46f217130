package spec

import (
	"net/netip"

	"github.com/zclconf/go-cty/cty"
)

var loadBalancerKind = func() *kind {
	meta := func(lb *LoadBalancer) *Meta { return &lb.Meta }
	k := kindOf(&block{
		name: "load_balancer",
		attributes: resourceAttributes(meta,
			bind("address_type", word([]string{"internet", "intranet"}),
				func(lb *LoadBalancer) *string { return &lb.AddressType }, replaces, fallback("internet")),
			bind("address", ipv4, func(lb *LoadBalancer) *netip.Addr { return &lb.IP }, replaces),
			bind("address_pinned", boolean, func(lb *LoadBalancer) *bool { return &lb.PinnedIP }, computed, fallback(false)),
			bind("primary_zone", bounded(64), func(lb *LoadBalancer) *string { return &lb.PrimaryZone }, replaces, fallback("")),
			bind("backup_zone", bounded(64), func(lb *LoadBalancer) *string { return &lb.BackupZone }, replaces, fallback("")),
			bind("status", word([]string{StatusActive, StatusInactive}),
				func(lb *LoadBalancer) *string { return &lb.Status }, fallback(StatusActive)),
			bind("delete_protection", boolean, func(lb *LoadBalancer) *bool { return &lb.DeleteProtection }, fallback(false)),
		),
		blocks: resourceBlocks(meta,
			many(backendBlock, func(lb *LoadBalancer) *[]Backend { return &lb.Backends }),
			resources(listenerBlock, func(lb *LoadBalancer) *[]*Listener { return &lb.Listeners }),
		),
		later:      []string{"spec", "bandwidth"},
		laterBlock: []string{"expect"},
		hints: map[string]string{
			"load_balancer_name": "The name is the block's label: load_balancer \"NAME\".",
			"name":               "The name is the block's label: load_balancer \"NAME\".",
			"master_zone_id":     "Write primary_zone.",
			"slave_zone_id":      "Write backup_zone.",
			"load_balancer_spec": "The language calls it spec; it is not supported yet.",
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

func finishLoadBalancer(d *decoder, s *site, target any) {
	lb := target.(*LoadBalancer)
	checkBackends(d, s, lb.Backends)
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
		if l.ServerGroup == "" && len(lb.Backends) == 0 && l.Port != 0 && !place.has("server_group") {
			d.errorf(place.rng, "Listener without backends",
				"Write server_group = server_group.NAME, or add backend blocks to the load balancer.",
				"%s has nobody to send its traffic to.", l.Address)
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

// listenerURL is what a user would type to reach the listener: http when an
// instance of ours that speaks http stands behind it.
func (l *loader) listenerURL(lb *LoadBalancer, listener *Listener) string {
	bound := l.runtime.BoundPort(listener.Port)
	backends := lb.Backends
	if o := l.objects[listener.ServerGroup]; o != nil {
		if l.evaluate(o) {
			backends = o.target.(*ServerGroup).Backends
		}
	}
	for _, b := range backends {
		if l.protocol(b.Instance) != ProtocolHTTP {
			continue
		}
		if bound == 80 {
			return "http://" + lb.IP.String()
		}
		return "http://" + netip.AddrPortFrom(lb.IP, bound).String()
	}
	return listener.Protocol + "://" + netip.AddrPortFrom(lb.IP, bound).String()
}
