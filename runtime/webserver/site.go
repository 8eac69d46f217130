package webserver

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"strconv"

	"slbctl/spec"
)

// site is what one instance answers, ready to serve. It is immutable: a change
// makes a new one and swaps the pointer of its sockets.
type site struct {
	instance string
	protocol string
	draining bool
	pages    map[string]page // by exact path
	folder   string          // of files for other paths; empty = none
	fault    *fault          // nil while nothing is wrong
}

type page struct {
	status  int
	header  http.Header // complete, with Content-Type and Content-Length
	content string
}

// plan is what serves at each endpoint: a site of ours, or a program, which is listed
// by its first endpoint.
type plan struct {
	sites    map[netip.AddrPort]*site
	programs map[netip.AddrPort]programSpec
}

// compile turns the running instances into what serves at each endpoint.
func compile(instances []Instance) (plan, error) {
	p := plan{map[netip.AddrPort]*site{}, map[netip.AddrPort]programSpec{}}
	owners := map[netip.AddrPort]string{}
	for _, i := range instances {
		switch i.Protocol {
		case spec.ProtocolHTTP, spec.ProtocolTCPEcho, spec.ProtocolUDPEcho:
		default:
			return p, fmt.Errorf("%s: unknown protocol %q", i.Address, i.Protocol)
		}
		if !i.Running || i.Fault != nil && i.Fault.Refuse {
			continue
		}
		for _, endpoint := range i.Endpoints {
			if other, taken := owners[endpoint]; taken {
				return p, fmt.Errorf("%s: %s already belongs to %s", i.Address, endpoint, other)
			}
			owners[endpoint] = i.Address
		}
		if err := p.add(i); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p plan) add(i Instance) error {
	if len(i.Command) > 0 && len(i.Endpoints) > 0 {
		program := programOf(i)
		p.programs[i.Endpoints[0]] = program
		_, err := program.look()
		return err
	}
	s, err := siteOf(i)
	if err != nil {
		return err
	}
	for _, endpoint := range i.Endpoints {
		p.sites[endpoint] = s
	}
	return nil
}

// siteOf makes an instance's pages ready.
func siteOf(i Instance) (*site, error) {
	s := &site{
		instance: i.Address, protocol: i.Protocol, draining: i.Draining, folder: i.Site,
		pages: make(map[string]page, len(i.Pages)), fault: newFault(i.Fault),
	}
	for _, page := range i.Pages {
		if _, twice := s.pages[page.Path]; twice {
			return nil, fmt.Errorf("%s: page %q is given twice", i.Address, page.Path)
		}
		s.pages[page.Path] = compilePage(page)
	}
	return s, nil
}

func compilePage(p spec.Page) page {
	status := p.Status
	if status == 0 {
		status = http.StatusOK
	}
	header := make(http.Header, len(p.Headers)+2)
	for name, value := range p.Headers {
		header.Set(name, value)
	}
	// Framing is the server's alone: a page must not lie about its length, which
	// is set below.
	header.Del("Transfer-Encoding")
	if !allowsBody(status) {
		return page{status: status, header: header}
	}
	switch {
	case p.ContentType != "":
		header.Set("Content-Type", p.ContentType)
	case header.Get("Content-Type") == "":
		// Decided here and not by net/http, which sees no body on HEAD and would
		// answer it with another type than GET.
		header.Set("Content-Type", http.DetectContentType([]byte(p.Content)))
	}
	header.Set("Content-Length", strconv.Itoa(len(p.Content)))
	return page{status: status, header: header, content: p.Content}
}

// allowsBody says whether RFC 9110 lets an answer with this status have content.
func allowsBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	if s.fault == nil {
		s.answer(w, r)
		return
	}
	s.fault.serve(w, r, func(w http.ResponseWriter) { s.answer(w, r) })
}

func (s *site) answer(w http.ResponseWriter, r *http.Request) {
	p, found := s.pages[r.URL.Path]
	readable := r.Method == http.MethodGet || r.Method == http.MethodHead
	h := w.Header()
	if found && readable {
		maps.Copy(h, p.header)
	}
	// A connection accepted as HTTP may outlive a change to another protocol.
	if s.draining || s.protocol != spec.ProtocolHTTP {
		h.Set("Connection", "close")
	}
	switch {
	case !found && readable && s.folder != "" && serveFile(w, r, s.folder):
	case !found:
		http.Error(w, "404 page not found", http.StatusNotFound)
	case !readable:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
	default:
		w.WriteHeader(p.status)
		if r.Method == http.MethodGet && p.content != "" {
			// An error here is the client's going away; net/http closes the connection.
			_, _ = io.WriteString(w, p.content)
		}
	}
}
