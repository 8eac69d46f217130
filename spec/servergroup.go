package spec

import "net/netip"

var serverGroupKind = func() *kind {
	meta := func(g *ServerGroup) *Meta { return &g.Meta }
	return kindOf(&block{
		name: "server_group",
		attributes: resourceAttributes(meta,
			bind("type", word([]string{"vserver"}, "active_standby"), func(g *ServerGroup) *string { return &g.Type }, fallback("vserver")),
		),
		blocks: resourceBlocks(meta, atLeastOne(many(backendBlock, func(g *ServerGroup) *[]Backend { return &g.Backends }))),
		hints:  map[string]string{"servers": "Each server is a block: backend { instance = instance.X }."},
		finish: func(d *decoder, s *site, target any) { checkBackends(d, s, target.(*ServerGroup).Backends) },
	}, func(c *Config) *[]*ServerGroup { return &c.ServerGroups }, meta)
}()

var backendBlock = &block{
	name: "backend",
	attributes: []attribute{
		bind("instance", text, func(b *Backend) *string { return &b.Instance }, reference("instance"), spreads, fallback("")),
		bind("address", ipv4, func(b *Backend) *netip.Addr { return &b.Address }),
		bind("port", port, func(b *Backend) *uint16 { return &b.Port }, fallback(0.0)),
		bind("weight", integer[int](0, 100), func(b *Backend) *int { return &b.Weight }, fallback(100.0)),
	},
	later:  []string{"max_connections", "protocol", "role"},
	hints:  map[string]string{"server_id": "Write instance = instance.NAME.", "server": "Write instance = instance.NAME.", "server_ip": "Write address."},
	finish: finishBackend,
}

func finishBackend(d *decoder, s *site, _ any) {
	switch own, foreign := s.has("instance"), s.has("address"); {
	case own && foreign:
		d.errorf(s.at("address"), "Two servers in one backend", "Keep one of them.",
			"A backend is an instance, or the address and port of a server that is not ours.")
	case !own && !foreign:
		d.errorf(s.rng, "Backend without server", "Write instance = instance.NAME, or address and port.",
			"A backend needs an instance, or the address and port of a server that is not ours.")
	case foreign && !s.has("port"):
		d.errorf(s.at("address"), "Missing port", "", "A backend with an address needs its port.")
	}
}

// checkBackends looks for servers that a group lists twice.
func checkBackends(d *decoder, s *site, backends []Backend) {
	seen := make(map[Backend]bool, len(backends))
	for n, b := range backends {
		b.Weight = 0
		if seen[b] {
			d.errorf(s.child("backend", n).rng, "Server listed twice", "Give it another port, or more weight.",
				"%s is already in this group.", b.describe())
		}
		seen[b] = true
	}
}

func (b Backend) describe() string {
	switch {
	case b.Instance == "":
		return netip.AddrPortFrom(b.Address, b.Port).String()
	case b.Port == 0:
		return b.Instance
	}
	return b.Instance + " with port " + decimal(float64(b.Port))
}
