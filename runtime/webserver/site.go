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
}

type page struct {
	status  int
	header  http.Header // complete, with Content-Type and Content-Length
	content string
}

// compile turns the running instances into the site of each endpoint.
func compile(instances []Instance) (map[netip.AddrPort]*site, error) {
	sites := make(map[netip.AddrPort]*site)
	for _, i := range instances {
		switch i.Protocol {
		case spec.ProtocolHTTP, spec.ProtocolTCPEcho, spec.ProtocolUDPEcho:
		default:
			return nil, fmt.Errorf("%s: unknown protocol %q", i.Address, i.Protocol)
		}
		if !i.Running {
			continue
		}
		s := &site{instance: i.Address, protocol: i.Protocol, draining: i.Draining, pages: make(map[string]page, len(i.Pages))}
		for _, p := range i.Pages {
			if _, twice := s.pages[p.Path]; twice {
				return nil, fmt.Errorf("%s: page %q is given twice", i.Address, p.Path)
			}
			s.pages[p.Path] = compilePage(p)
		}
		for _, endpoint := range i.Endpoints {
			if other, taken := sites[endpoint]; taken {
				return nil, fmt.Errorf("%s: %s already belongs to %s", i.Address, endpoint, other.instance)
			}
			sites[endpoint] = s
		}
	}
	return sites, nil
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
