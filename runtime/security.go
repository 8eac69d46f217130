package runtime

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/localca"
	"slbctl/runtime/tlsconf"
	"slbctl/spec"
)

// renewalCheck is how often certificates of the local CA are looked at: a machine that
// sleeps does not count the days.
const renewalCheck = time.Hour

// issuedPrefix begins the names under which certificates of the local CA are kept
// among the secrets.
const issuedPrefix = "issued-"

// security is what a generation's https listeners show and ask for.
type security struct {
	identities map[string]*tlsconf.Identity // by certificate
	configs    map[string]*tls.Config       // by listener
	listeners  []tlsconf.Listener
}

// secure reads certificates and keys, has the local CA issue what is missing, and makes
// what handshakes need. A daemon that comes back goes without the listeners that it
// cannot secure: none of them ever speaks without TLS.
func (e *engine) secure(c *change) error {
	s := &security{identities: map[string]*tlsconf.Identity{}, configs: map[string]*tls.Config{}}
	c.security = s
	failed := func(err error) error {
		if !c.lenient {
			return err
		}
		c.problems = append(c.problems, err.Error())
		return nil
	}
	for _, x := range c.req.Config.Certificates {
		identity, err := e.identify(c, x)
		if err != nil {
			if err = failed(fmt.Errorf("%s: %w", x.Address, err)); err != nil {
				return err
			}
			continue
		}
		s.identities[x.Address] = identity
	}
	for _, l := range c.compiled {
		if l.Protocol != spec.ProtocolHTTPS {
			continue
		}
		settings, err := s.listener(c.req.Config, listenerOf(c.req.Config, l.Address))
		if err == nil {
			s.configs[l.Address], err = settings.Config(e.tickets)
			s.listeners = append(s.listeners, settings)
		}
		if err != nil {
			l.Serving = false
			if err = failed(fmt.Errorf("%s: %w", l.Address, err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// identify gives a certificate with its key. One of the local CA is kept, so that a
// daemon that comes back shows the same.
func (e *engine) identify(c *change, x *spec.Certificate) (*tlsconf.Identity, error) {
	if len(x.Domains) > 0 {
		issued, fresh, err := e.issue(x)
		if err != nil {
			return nil, err
		}
		if fresh {
			c.step(control.PhasePrepare, x.Address, fmt.Sprintf("issued by the local CA for %s, until %s",
				strings.Join(x.Domains, ", "), issued.Leaf.NotAfter.UTC().Format(time.DateOnly)))
		}
		return tlsconf.NewIdentity(issued.Chain, issued.Key)
	}
	key, err := e.secrets().Get(spec.SecretName(x.PrivateKey))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("its private key is not in .slbctl/secrets: `slbctl apply` puts it back")
	}
	if err != nil {
		return nil, err
	}
	return tlsconf.NewIdentity(x.Chain, key)
}

// issue returns the certificate that the local CA has issued, or a fresh one where
// there is none or where it is time.
func (e *engine) issue(x *spec.Certificate) (issued *localca.Issued, fresh bool, err error) {
	now := e.now()
	ca, err := localca.Ensure(durable.OS, e.slbctl(), now)
	if err != nil {
		return nil, false, err
	}
	name := issuedPrefix + x.ID
	if text, err := e.secrets().Get(name); err == nil {
		if issued := ca.Read(text, x.Domains, now); issued != nil {
			return issued, false, nil
		}
	}
	if issued, err = ca.Issue(x.Domains, now); err != nil {
		return nil, false, err
	}
	return issued, true, e.secrets().Put(name, issued.Text())
}

// listener collects what a listener refers to.
func (s *security) listener(c *spec.Config, l *spec.Listener) (tlsconf.Listener, error) {
	out := tlsconf.Listener{
		Address: l.Address, Own: s.identities[l.Certificate], Policy: c.CipherPolicy(l.TLSCipherPolicy), HTTP2: l.HTTP2,
	}
	if out.Own == nil {
		return out, fmt.Errorf("it has to go without %s", l.Certificate)
	}
	for _, a := range l.AdditionalCertificates {
		identity := s.identities[a.Certificate]
		if identity == nil {
			return out, fmt.Errorf("it has to go without %s", a.Certificate)
		}
		out.Additional = append(out.Additional, tlsconf.Additional{Domain: a.Domain, Identity: identity})
	}
	if ca := c.CACertificate(l.CACertificate); ca != nil {
		out.ClientCAs = ca.Certificates
	}
	return out, nil
}

func listenerOf(c *spec.Config, address string) *spec.Listener {
	for _, lb := range c.LoadBalancers {
		for _, l := range lb.Listeners {
			if l.Address == address {
				return l
			}
		}
	}
	return nil
}

// settleSecurity clears away what only earlier generations had, once one is committed,
// and looks after the certificates of the local CA from then on.
func (e *engine) settleSecurity(s *security) {
	e.trySecurity(s)
	e.mu.Lock()
	certificates := e.live.Config.Certificates
	e.mu.Unlock()
	e.tickets.Keep(s.listeners)
	used := map[string]bool{}
	for _, x := range certificates {
		if len(x.Domains) > 0 {
			used[issuedPrefix+x.ID] = true
		}
	}
	var unused []string
	names, err := e.secrets().Names()
	for _, name := range names {
		if strings.HasPrefix(name, issuedPrefix) && !used[name] {
			unused = append(unused, name)
		}
	}
	if err := errors.Join(err, e.secrets().Remove(unused...)); err != nil {
		e.log.Error("clear away certificates of the local CA", "error", err)
	}
	e.scheduleRenewal(len(used) > 0)
}

// trySecurity is settleSecurity for a generation after which the one before comes back: nothing of
// that goes.
func (e *engine) trySecurity(s *security) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.security = s
}

// scheduleRenewal looks at the certificates of the local CA again after a while.
func (e *engine) scheduleRenewal(wanted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.renewal != nil {
		e.renewal.Stop()
		e.renewal = nil
	}
	if wanted && e.life.Err() == nil {
		e.renewal = time.AfterFunc(renewalCheck, e.renew)
	}
}

// renew has the local CA issue anew what is due. No connection notices.
func (e *engine) renew() {
	if e.hold(e.life) != nil {
		return // the daemon ends
	}
	defer e.release()
	e.mu.Lock()
	certificates, security := e.live.Config.Certificates, e.security
	e.mu.Unlock()
	wanted := false
	for _, x := range certificates {
		identity := security.identities[x.Address]
		if len(x.Domains) == 0 || identity == nil {
			continue
		}
		wanted = true
		if !localca.Due(identity.Leaf(), e.now()) {
			continue
		}
		issued, _, err := e.issue(x)
		if err == nil {
			err = identity.Renew(issued.Chain, issued.Key)
		}
		if err != nil {
			e.log.Error("renew a certificate of the local CA", "address", x.Address, "error", err)
			continue
		}
		e.log.Info("certificate renewed", "address", x.Address, "expires", issued.Leaf.NotAfter.UTC())
	}
	e.scheduleRenewal(wanted)
}

// certificateStatus tells of a certificate as it is shown to clients now. The caller
// holds mu.
func (e *engine) certificateStatus(x *spec.Certificate) control.Certificate {
	s := control.Certificate{Address: x.Address, Issuer: x.Issuer, Names: append([]string{}, x.Names...)}
	identity := e.security.identities[x.Address]
	if identity == nil {
		return s
	}
	s.Fingerprint = identity.Fingerprint()
	expires := identity.Leaf().NotAfter.UTC()
	s.Expires = &expires
	return s
}

// authorityStatus tells of whoever vouches for clients. Names are of their subjects, and
// the time is when the first of them expires.
func authorityStatus(x *spec.CACertificate) control.Certificate {
	s := control.Certificate{Address: x.Address, Fingerprint: x.Fingerprint, Names: append([]string{}, x.Names...)}
	if expires, err := time.Parse(time.RFC3339, x.Expires); err == nil {
		s.Expires = &expires
	}
	return s
}

func (e *engine) slbctl() string { return filepath.Join(e.dir, control.Folder) }

func (e *engine) secrets() durable.Secrets { return durable.SecretsIn(durable.OS, e.slbctl()) }
