package spec

import "slices"

// reserved are the UDP ports that the product keeps for itself.
var reserved = []uint16{250, 4789, 4790}

// checkTypes are the ways in which the servers of a listener can be probed.
var checkTypes = map[string][]string{
	ProtocolTCP:   {CheckTCP, CheckHTTP},
	ProtocolUDP:   {CheckUDP, CheckTCP, CheckHTTP},
	ProtocolHTTP:  {CheckHTTP},
	ProtocolHTTPS: {CheckHTTP},
}

func finishListener(d *decoder, s *site, target any) {
	l := target.(*Listener)
	if l.Protocol == ProtocolUDP && slices.Contains(reserved, l.Port) {
		d.errorf(s.label(1), "Reserved port", "Write another port.", "The UDP ports 250, 4789 and 4790 are reserved.")
	}
	if v := hashes[l.Scheduler]; !v.has(l) {
		d.errorf(s.at("scheduler"), "Not for this listener", "Write scheduler = \"wrr\", \"rr\", \"wlc\", \"p2c\" or \"least_request\".",
			"%s", v.refusal(l.Scheduler, l))
	}
	if s.has("quic_id_length") && l.Scheduler != SchedulerQCH && datagrams.has(l) {
		d.errorf(s.at("quic_id_length"), "Unused argument", "Write scheduler = \"qch\", or remove it.",
			"quic_id_length is for the scheduler qch; this one is %s.", l.Scheduler)
	}
	if l.Protocol == ProtocolUDP && l.ProxyProtocol == ProxyProtocolV1 {
		d.errorf(s.at("proxy_protocol"), "Not for this listener", "Write proxy_protocol = \"v2\".",
			"Version 1 of the PROXY protocol has no form for UDP.")
	}
	if l.Protocol == ProtocolUDP && l.AcceptProxyProtocol {
		d.errorf(s.at("accept_proxy_protocol"), "Not for this listener", "Remove it, or write proxy_protocol = \"v2\" to tell the servers who sends.",
			"A udp listener takes no header of the PROXY protocol: it comes with a flow's first datagram, and whoever misses that one "+
				"cannot tell whose the rest is.")
	}
	if types := checkTypes[l.Protocol]; types != nil && !slices.Contains(types, l.HealthCheck.Type) {
		d.errorf(s.child("health_check", 0).at("type"), "Not for this listener", "",
			"The servers of %s listeners are probed with %s, not %q.", l.Protocol, either(types), l.HealthCheck.Type)
	}
	checkAccess(d, s, l)
	if l.Redirect != nil && s.has("server_group") {
		d.errorf(s.at("server_group"), "Two targets", "Keep one of them.", "A listener has a server_group or a redirect.")
	}
	if l.Scheduler == SchedulerWLC && (l.PersistenceTimeout > 0 || l.StickySession != nil) {
		d.l.reports.warn(s.at("scheduler"), "Persistence against the scheduler",
			"wlc picks the server with the fewest connections, but clients that stay on their server do not follow it.",
			"Write scheduler = \"wrr\".")
	}
	checkRules(d, s, l)
	checkSecurity(d, s, l)
}

// checkAccess looks for one of acl and acl_type without the other.
func checkAccess(d *decoder, s *site, l *Listener) {
	switch list, kind := s.has("acl"), s.has("acl_type"); {
	case list && !kind:
		d.errorf(s.at("acl"), "Missing argument", "Write acl_type = \"white\" to let only these addresses in, or \"black\" to keep them out.",
			"acl needs acl_type.")
	case kind && !list:
		d.errorf(s.at("acl_type"), "Unused argument", "Write acl = acl.NAME, or remove it.", "acl_type is of use with an acl only.")
	}
}
