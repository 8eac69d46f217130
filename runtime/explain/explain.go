package explain

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
	"slbctl/spec"
)

// Explain answers a question. The error is of the question; what a request that nobody
// serves comes to is an answer.
func (w *World) Explain(q Question) (*Explanation, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	t, _ := q.target()
	k := walk{world: w, question: q, target: t, Explanation: &Explanation{
		FormatVersion: FormatVersion, URL: q.URL, From: q.From.Addr().String(), Source: w.Source, Generation: w.Generation,
		Notes: []string{}, Picks: []Pick{}, Servers: []Server{}, Steps: []Step{},
	}}
	if q.From.Port() != 0 {
		k.From = q.From.String()
	}
	return k.Explanation, k.run()
}

// walk is one question under way.
type walk struct {
	*Explanation
	world    *World
	question Question
	target   target
	listener *Listener
}

func (k *walk) step(s Step) { k.Steps = append(k.Steps, s) }

func (k *walk) note(format string, args ...any) {
	k.Notes = append(k.Notes, fmt.Sprintf(format, args...))
}

// ends says what has become of the request.
func (k *walk) ends(outcome string, status int) { k.Outcome, k.Status = outcome, status }

func (k *walk) run() error {
	ip, ok := k.resolve()
	if !ok || !k.listen(ip) || !k.admit() {
		return nil
	}
	l := k.listener
	switch {
	case !spec.L7(l.Protocol):
		k.choose(0, nil)
		return nil
	case !k.target.web():
		return fmt.Errorf("%s decides by requests: write %s://%s/PATH", l.Address, l.Protocol, k.target.host)
	}
	r, err := k.read()
	if err != nil || r == nil {
		return err
	}
	if pool, ok := k.route(r); ok {
		k.choose(pool, r)
	}
	return nil
}

// resolve finds the address of the host.
func (k *walk) resolve() (netip.Addr, bool) {
	host := k.target.host
	if ip, err := netip.ParseAddr(host); err == nil {
		k.step(Step{Name: "dns", Result: ip.String(), Reason: "the URL has an address: no name server is asked"})
		return ip.Unmap(), true
	}
	from := k.question.From.Addr()
	found := k.world.Zones.Lookup(host, from, false)
	kind := "A"
	if found.Code == "NOERROR" && len(found.Addresses) == 0 {
		if six := k.world.Zones.Lookup(host, from, true); len(six.Addresses) > 0 {
			found, kind = six, "AAAA"
		}
	}
	s := Step{Name: "dns", Result: found.Code}
	if len(found.Addresses) == 0 {
		switch {
		case found.Zone == "":
			s.Reason = fmt.Sprintf("no zone here has %s; another name server may: ask with the address, as in %s://IP/ -header \"Host: %s\"",
				host, k.target.scheme, host)
		case found.Code == "NXDOMAIN":
			s.Reason = fmt.Sprintf("zone %s has no name %s", found.Zone, host)
		default:
			s.Reason = fmt.Sprintf("zone %s has %s, but no address of it", found.Zone, strings.Join(append([]string{host}, found.Aliases...), ", then "))
		}
		k.step(s)
		k.ends(Unreachable, 0)
		return netip.Addr{}, false
	}
	s.Result = found.Addresses[0].String()
	s.Reason = fmt.Sprintf("%s record of %s in zone %s, for %d s", kind, strings.Join(append([]string{host}, found.Aliases...), ", an alias of "), found.Zone, found.TTL)
	if found.Weighted {
		s.Reason += "; of weighted values the one whose turn it is"
	}
	if found.Lined {
		s.Reason += "; others may get another, by the address that asks"
	}
	if n := len(found.Addresses); n > 1 {
		s.Reason += fmt.Sprintf("; the first of %d", n)
		s.Otherwise = found.Addresses[1].String()
	}
	k.step(s)
	return found.Addresses[0], true
}

// listen finds who listens at an address. A port below 1024 may be meant as declared or
// as bound.
func (k *walk) listen(ip netip.Addr) bool {
	udp := k.target.scheme == spec.ProtocolUDP
	var near []string
	for i := range k.world.Listeners {
		l := &k.world.Listeners[i]
		if l.Endpoint.Addr() != ip || (l.Protocol == spec.ProtocolUDP) != udp {
			continue
		}
		if k.target.port == l.Port || k.target.port == l.Endpoint.Port() {
			k.listener, k.Listener, k.Endpoint = l, l.Address, l.Endpoint.String()
			break
		}
		near = append(near, l.Address)
	}
	where := fmt.Sprintf("%s port %d", ip, k.target.port)
	l := k.listener
	switch {
	case l == nil:
		s := Step{Name: "listener", Result: "none", Reason: "nobody listens at " + where + ": the connection is refused"}
		s.Otherwise = strings.Join(near, ", ")
		k.step(s)
		k.ends(Unreachable, 0)
		return false
	case !l.Serving:
		k.step(Step{Name: "listener", Result: l.Address, Reason: "it is stopped, or its balancer inactive: the connection is refused"})
		k.ends(Unreachable, 0)
		return false
	}
	reason := "it has " + where
	if l.Port != l.Endpoint.Port() {
		reason = fmt.Sprintf("it has %s port %d, bound as %d", ip, l.Port, l.Endpoint.Port())
	}
	k.step(Step{Name: "listener", Result: l.Address, Reason: reason})
	return true
}

// admit asks the access list. Rates and limits are not judged: nobody else is asking.
func (k *walk) admit() bool {
	l, source := k.listener, k.question.From.Addr()
	if l.ACL == nil {
		return true // a list that is not there is no step
	}
	denied := l.Admit(source, nil, 0) == balance.Denied
	if l.AcceptProxyProtocol && !denied {
		denied = !l.ACL.Allows(source) // the one that the PROXY protocol names
	}
	name := "its access list"
	if own := k.spec(); own != nil && own.ACL != "" {
		name = own.ACL
	}
	s := Step{Name: "acl", Result: "passes", Otherwise: "the connection is reset"}
	if denied {
		s.Result, s.Otherwise = "denied", ""
	}
	kind := "black"
	if l.ACL.White() {
		kind = "white"
	}
	if entry, ok := l.ACL.Entry(source); ok {
		s.Reason = fmt.Sprintf("entry %s of the %s list %s has %s", entry, kind, name, source)
	} else {
		s.Reason = fmt.Sprintf("no entry of the %s list %s has %s", kind, name, source)
	}
	if denied {
		s.Reason += ": the connection is reset"
		k.ends(Denied, 0)
	}
	k.step(s)
	return !denied
}

// spec is the listener as it was written.
func (k *walk) spec() *spec.Listener {
	for _, lb := range k.world.Config.LoadBalancers {
		for _, l := range lb.Listeners {
			if l.Address == k.listener.Address {
				return l
			}
		}
	}
	return nil
}

// read is the request as the listener reads it, nil when it does not get as far.
func (k *walk) read() (*http1.Request, error) {
	l := k.listener
	if l.Protocol == spec.ProtocolHTTPS {
		k.handshake()
	}
	refused := func(reason string, status int) {
		k.step(Step{Name: "request", Result: fmt.Sprint(status, " ", http.StatusText(status)), Reason: reason})
		k.ends(Refused, status)
	}
	if l.Protocol != k.target.scheme {
		reason := "the listener speaks HTTP without TLS: a handshake is no request"
		if l.Protocol == spec.ProtocolHTTPS {
			reason = "the listener speaks TLS: a request without is refused"
		}
		refused(reason, http.StatusBadRequest)
		return nil, nil
	}
	r, err := k.question.request(k.target)
	if bad := (*http1.Error)(nil); errors.As(err, &bad) {
		refused(bad.Reason, bad.Status)
		return nil, nil
	}
	if err == nil {
		k.Method = string(r.Method)
	}
	return r, err
}

// handshake tells which certificate the client is shown.
func (k *walk) handshake() {
	own := k.spec()
	if own == nil || k.target.scheme != "https" {
		return
	}
	domains := make([]string, len(own.AdditionalCertificates))
	for i, a := range own.AdditionalCertificates {
		domains[i] = a.Domain
	}
	name := k.target.host
	if _, err := netip.ParseAddr(name); err == nil {
		name = "" // an address is no name to ask for (RFC 6066, section 3)
	}
	s := Step{Name: "tls", Result: own.Certificate, Reason: "the listener's own: no additional certificate is for " + k.target.host}
	if i := balance.NewServerNames(domains).Pick(name); i >= 0 {
		s.Result, s.Otherwise = own.AdditionalCertificates[i].Certificate, own.Certificate
		s.Reason = fmt.Sprintf("additional certificate for %s, which covers %s best", domains[i], name)
	}
	k.step(s)
	if own.CACertificate != "" {
		k.note("the client needs a certificate that %s has signed", own.CACertificate)
	}
}
