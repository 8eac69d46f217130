//go:build linux

package main

import (
	"crypto/x509"
	"embed"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed *.tmpl
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "*.tmpl"))

const (
	// descriptorReserve is what a proxy opens beside connections.
	descriptorReserve = 200
	streamModule      = "/usr/lib/nginx/modules/ngx_stream_module.so"
)

// setup is what the configurations of all proxies are made of.
type setup struct {
	HTTP       bool
	TLS        bool
	HTTP2      bool // clients speak it; without, they do not ask for it
	Everything bool // stickiness and access log
	Splice     bool // HAProxy is told that what comes is long, and does not have to find out
	Loops      int  // loops, threads or workers
	Rules      []rule

	// Of one start.
	Endpoint     netip.AddrPort
	Servers      []netip.AddrPort
	Folder       string
	Descriptors  int
	Connections  int            // of clients, what HAProxy can promise with so many descriptors
	Roots        *x509.CertPool // whom clients of TLS trust
	Root         bool
	StreamModule string // of nginx; empty if it is built in
}

// rule sends what it matches to the same servers as all else: what counts is that it
// is looked for and found.
type rule struct{ Domain, URL string }

// rules makes n of them. Requests match the last.
func rules(n int) []rule {
	var rs []rule
	for i := range n {
		rs = append(rs, rule{fmt.Sprintf("www%d.bench.example", i), fmt.Sprintf("/api%d", i)})
	}
	return rs
}

// Pools are HAProxy's backends.
func (s setup) Pools() []string {
	if s.HTTP {
		return []string{"servers", "rules"}
	}
	return []string{"servers"}
}

// started completes a setup for one start of a proxy.
func (s setup) started(folder string, descriptors int) (setup, error) {
	servers := 1
	if s.Everything {
		servers = 2 // so that stickiness has a choice
	}
	ports, err := freePorts(1 + servers)
	if err != nil {
		return s, err
	}
	s.Endpoint, s.Servers = ports[0], ports[1:]
	s.Folder, s.Descriptors = folder, descriptors-descriptorReserve
	// A client's descriptor, a server's, and half a one for HAProxy's pipes.
	s.Connections = min(s.Descriptors*2/5, 100_000)
	s.Root = os.Geteuid() == 0
	if _, err := os.Stat(streamModule); err == nil {
		s.StreamModule = streamModule
	}
	if s.TLS {
		s.Roots, err = s.certify()
	}
	return s, err
}

// write makes one file of the proxy's folder from the template of the same name.
func (s setup) write(name string) (path string, err error) {
	path = filepath.Join(s.Folder, name)
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := templates.ExecuteTemplate(f, name+".tmpl", s); err != nil {
		return "", err
	}
	return path, f.Close()
}

// freePorts finds ports on loopback that nobody has now. They are below those that
// the kernel gives to connecting sockets, so that the load itself cannot take them.
func freePorts(n int) ([]netip.AddrPort, error) {
	var free []netip.AddrPort
	for port := firstPort; port < lastPort && len(free) < n; port++ {
		ep := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
		l, err := net.Listen("tcp", ep.String())
		if err != nil {
			continue
		}
		l.Close()
		free = append(free, ep)
	}
	if len(free) < n {
		return nil, fmt.Errorf("of the ports %d to %d on 127.0.0.1 fewer than %d are free", firstPort, lastPort, n)
	}
	return free, nil
}

const (
	firstPort = 18000
	lastPort  = 19000
)
