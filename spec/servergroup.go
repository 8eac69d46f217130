package spec

import "net/netip"

var serverGroupKind = func() *kind {
	meta := func(g *ServerGroup) *Meta { return &g.Meta }
	return kindOf(&block{
		name: "server_group",
		attributes: resourceAttributes(meta,
			bind("type", word([]string{GroupVServer, GroupActiveStandby}),
				func(g *ServerGroup) *string { return &g.Type }, fallback(GroupVServer)),
		),
		blocks: resourceBlocks(meta, atLeastOne(many(backendBlock, func(g *ServerGroup) *[]Backend { return &g.Backends }))),
		hints: map[string]string{
			"servers":          "Each server is a block: backend { instance = instance.X }.",
			"backend_servers":  "Each server is a block: backend { instance = instance.X }.",
			"name":             "The name is the block's label: server_group \"NAME\".",
			"load_balancer_id": "A server_group is for the listeners of every load balancer.",
		},
		finish: finishServerGroup,
	}, func(c *Config) *[]*ServerGroup { return &c.ServerGroups }, meta)
}()

var backendBlock = &block{
	name: "backend",
	attributes: []attribute{
		bind("instance", text, func(b *Backend) *string { return &b.Instance }, reference("instance"), spreads, fallback("")),
		bind("address", ip, func(b *Backend) *netip.Addr { return &b.Address }),
		bind("port", port, func(b *Backend) *uint16 { return &b.Port }, fallback(0.0)),
		bind("weight", integer[int](0, 100), func(b *Backend) *int { return &b.Weight }, fallback(100.0)),
		bind("max_connections", integer[int](0, 1e9), func(b *Backend) *int { return &b.MaxConnections }, fallback(0.0)),
		bind("protocol", word([]string{BackendHTTP1, BackendH2C}), func(b *Backend) *string { return &b.Protocol }, fallback(BackendHTTP1)),
		bind("role", word([]string{RoleActive, RoleStandby}), func(b *Backend) *string { return &b.Role }, fallback("")),
	},
	hints: map[string]string{
		"server_id":   "Write instance = instance.NAME.",
		"server":      "Write instance = instance.NAME.",
		"server_ip":   "Write address.",
		"server_type": "Write role = \"active\" or role = \"standby\".",
	},
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

func finishServerGroup(d *decoder, s *site, target any) {
	g := target.(*ServerGroup)
	checkBackends(d, s, g.Backends)
	if g.Type == GroupActiveStandby {
		checkRoles(d, s, g)
	} else {
		checkNoRole(d, s, g.Backends)
	}
}

// checkRoles looks for one active and one standby server.
func checkRoles(d *decoder, s *site, g *ServerGroup) {
	count := map[string]int{}
	for n, b := range g.Backends {
		count[b.Role]++
		if b.Role == "" {
			d.errorf(s.child("backend", n).rng, "Missing role", "Write role = \"active\" or role = \"standby\".",
				"Each backend of an active_standby group has a role.")
		}
	}
	if len(g.Backends) != 2 || count[""] == 0 && count[RoleActive] != 1 {
		d.errorf(s.at("type"), "Not a pair", "Write two backends, one with role = \"active\" and one with role = \"standby\".",
			"An active_standby group has one active and one standby server; %s has %d backends, %d of them active.",
			g.Address, len(g.Backends), count[RoleActive])
	}
}

func checkNoRole(d *decoder, s *site, backends []Backend) {
	for n, b := range backends {
		if b.Role != "" {
			d.errorf(s.child("backend", n).at("role"), "Unused argument", "Remove it, or write a server_group with type = \"active_standby\".",
				"role is for the backends of active_standby groups.")
		}
	}
}

// checkBackends looks for servers that a group lists twice.
func checkBackends(d *decoder, s *site, backends []Backend) {
	seen := make(map[Backend]bool, len(backends))
	for n, b := range backends {
		b.Weight, b.MaxConnections, b.Protocol, b.Role = 0, 0, "", ""
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
