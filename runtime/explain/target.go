package explain

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"slbctl/runtime/http1"
	"slbctl/spec"
)

// target is where a question's URL leads. The path stays as it is written: what a
// spelling means is for the balancer to say.
type target struct {
	scheme string // http, https, tcp, udp
	host   string // without brackets
	port   uint16
	path   string // with query; "/" where there is none
}

// Check reports what makes a question one that cannot be asked.
func (q *Question) Check() error {
	if q.Next < 1 || q.Next > MaxNext {
		return fmt.Errorf("%d requests: ask about 1 to %d", q.Next, MaxNext)
	}
	if strings.ContainsAny(q.URL+q.Method, "\r\n") {
		return fmt.Errorf("%q is more than one line", strings.TrimSpace(q.Method+" "+q.URL))
	}
	t, err := q.target()
	if err != nil {
		return err
	}
	if len(q.Headers) > 0 && !t.web() {
		return fmt.Errorf("%s has no headers: only requests of http and https have", q.URL)
	}
	for _, h := range q.Headers {
		if name, _, ok := strings.Cut(h, ":"); !ok || name == "" || strings.ContainsAny(h, "\r\n") {
			return fmt.Errorf("header %q: write it as \"Name: value\"", h)
		}
	}
	return nil
}

// target takes the URL apart.
func (q *Question) target() (target, error) {
	ports := map[string]uint16{"http": 80, "https": 443, spec.ProtocolTCP: 0, spec.ProtocolUDP: 0}
	scheme, rest, found := strings.Cut(q.URL, "://")
	t := target{scheme: strings.ToLower(scheme), path: "/"}
	port, known := ports[t.scheme]
	if !found || !known {
		return t, fmt.Errorf("%q is no request: write http://HOST/PATH, https://HOST/PATH, tcp://HOST:PORT or udp://HOST:PORT", q.URL)
	}
	rest, _, _ = strings.Cut(rest, "#")
	authority := rest
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		authority, t.path = rest[:at], rest[at:]
		if t.path[0] == '?' {
			t.path = "/" + t.path
		}
	}
	if !t.web() && len(rest) > len(authority) && t.path != "/" {
		return t, fmt.Errorf("%s: a connection of %s has no path", q.URL, t.scheme)
	}
	t.port = port
	return t, t.authority(q.URL, authority)
}

func (t *target) web() bool { return t.scheme == "http" || t.scheme == "https" }

func (t *target) authority(url, s string) error {
	host, port := s, ""
	switch end := strings.LastIndexByte(s, ']'); {
	case strings.HasPrefix(s, "[") && end > 0:
		host, port = s[1:end], s[end+1:]
	case strings.Contains(s, ":"):
		at := strings.LastIndexByte(s, ':')
		host, port = s[:at], s[at:]
	}
	if t.host = host; host == "" {
		return fmt.Errorf("%s names no host", url)
	}
	if port != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%s: port %q is not one of 1 to 65535", url, strings.TrimPrefix(port, ":"))
		}
		t.port = uint16(n)
	}
	if t.port == 0 {
		return fmt.Errorf("%s: write the port, %s://%s:PORT", url, t.scheme, s)
	}
	return nil
}

// host is what the Host field says.
func (q *Question) host(t target) string {
	host := t.host
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	for _, h := range q.Headers {
		if name, value, _ := strings.Cut(h, ":"); strings.EqualFold(name, "host") {
			host = strings.TrimSpace(value)
		}
	}
	return host
}

// request is the question as the balancer reads it off the wire.
func (q *Question) request(t target) (*http1.Request, error) {
	method := q.Method
	if method == "" {
		method = "GET"
	}
	var fields strings.Builder
	for _, h := range q.Headers {
		if name, value, _ := strings.Cut(h, ":"); !strings.EqualFold(name, "host") {
			fmt.Fprintf(&fields, "%s: %s\r\n", name, strings.TrimSpace(value))
		}
	}
	head := method + " " + t.path + " HTTP/1.1\r\nHost: " + q.host(t) + "\r\n" + fields.String() + "\r\n"
	r := &http1.Request{}
	n, err := r.Parse([]byte(head))
	if err == nil && n == 0 {
		err = errors.New("the request does not end")
	}
	return r, err
}

// Target is the path of the question's URL with its query, as a request would have it.
func (q *Question) Target() string {
	t, _ := q.target()
	return t.path
}

// Host is the question's Host, which a header may say instead of the URL.
func (q *Question) Host() string {
	t, _ := q.target()
	return q.host(t)
}
