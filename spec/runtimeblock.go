package spec

import "net/netip"

var runtimeBlock = &block{
	name: "runtime",
	attributes: []attribute{
		bind("network", network4, func(r *Runtime) *netip.Prefix { return &r.Network }, fallback("127.10.0.0/16")),
		bind("loops", integer[int](1, 64), func(r *Runtime) *int { return &r.Loops }, fallback(0.0)),
		bind("port_offset", integer[int](0, maxPortOffset), func(r *Runtime) *int { return &r.PortOffset }, fallback(0.0)),
		bind("expose", boolean, func(r *Runtime) *bool { return &r.Expose }, fallback(false)),
		bind("dns_address", endpoint4, func(r *Runtime) *netip.AddrPort { return &r.DNSAddress }),
		bind("metrics_address", endpointIP, func(r *Runtime) *netip.AddrPort { return &r.MetricsAddress }),
	},
	later:  []string{"console_address"},
	finish: finishRuntime,
}

// maxPortOffset keeps the shifted port 1023 a port.
const maxPortOffset = 65535 - 1024

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func finishRuntime(d *decoder, s *site, target any) {
	r := target.(*Runtime)
	const hint = "Write expose = true if others may reach it."
	if !r.Expose && (r.Network.Bits() < loopback.Bits() || !loopback.Contains(r.Network.Addr())) {
		d.errorf(s.at("network"), "Network outside of loopback", hint, "%s is not inside 127.0.0.0/8.", r.Network)
	}
	if !r.Expose && r.DNSAddress.IsValid() && !r.DNSAddress.Addr().IsLoopback() {
		d.errorf(s.at("dns_address"), "Address outside of loopback", hint, "%s is not inside 127.0.0.0/8.", r.DNSAddress.Addr())
	}
	if !r.Expose && r.MetricsAddress.IsValid() && !r.MetricsAddress.Addr().IsLoopback() {
		d.errorf(s.at("metrics_address"), "Address outside of loopback", hint, "%s is neither inside 127.0.0.0/8 nor ::1.", r.MetricsAddress.Addr())
	}
	if r.Network.Bits() > 30 {
		d.errorf(s.at("network"), "Network too small", "Write a prefix of at most 30 bits.",
			"%s has no room for the DNS server and an instance.", r.Network)
	}
}
