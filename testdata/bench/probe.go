//go:build linux

package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
)

// target is what a generator asks for.
type target struct {
	Endpoint netip.AddrPort
	Host     string
	Path     string         // with a slash at the end
	Cookie   string         // "name=value", or empty
	Roots    *x509.CertPool // nil = without TLS
	HTTP2    bool
}

// targetOf is what matches the last rule of a setup.
func targetOf(s setup) target {
	t := target{Endpoint: s.Endpoint, Host: s.Endpoint.String(), Path: "/", Roots: s.Roots, HTTP2: s.HTTP2}
	if n := len(s.Rules); n > 0 {
		t.Host, t.Path = s.Rules[n-1].Domain, s.Rules[n-1].URL+"/"
	}
	return t
}

func (t target) scheme() string {
	if t.Roots != nil {
		return "https"
	}
	return "http"
}

// get asks for one page, on a connection of its own.
func (t target) get(name string) (*http.Response, string, error) {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, Protocols: &http.Protocols{}}
	transport.Protocols.SetHTTP1(!t.HTTP2)
	transport.Protocols.SetHTTP2(t.HTTP2)
	if t.Roots != nil {
		transport.TLSClientConfig = clientTLS(t.Host, t.Roots)
	}
	client := http.Client{Transport: transport, Timeout: patience}
	r, err := http.NewRequest(http.MethodGet, t.scheme()+"://"+t.Endpoint.String()+t.Path+name, nil)
	if err != nil {
		return nil, "", err
	}
	r.Host = t.Host
	if t.Cookie != "" {
		r.Header.Set("Cookie", t.Cookie)
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, "", err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("%s%s: %s", t.Endpoint, r.URL.Path, resp.Status)
	}
	return resp, string(body), nil
}

// probe shows that a proxy does what the row is about, and returns the target with
// the cookie that it has given out.
func (t target) probe(s setup) (target, error) {
	resp, head, err := t.get("head")
	if err != nil {
		return t, err
	}
	if s.HTTP && !strings.Contains(strings.ToLower(head), "\r\nx-forwarded-for: 127.0.0.1\r\n") {
		return t, fmt.Errorf("the server got no X-Forwarded-For, so this is no HTTP proxy: %q", head)
	}
	if s.TLS {
		protocol := ""
		if s.HTTP2 {
			protocol = "h2"
		}
		if err := secured(resp.TLS, protocol); err != nil {
			return t, err
		}
	}
	if !s.Everything {
		return t, nil
	}
	for _, cookie := range resp.Cookies() {
		if cookie.Name == "SERVERID" {
			t.Cookie = cookie.Name + "=" + cookie.Value
		}
	}
	if t.Cookie == "" {
		return t, fmt.Errorf("no cookie SERVERID in %q", resp.Header)
	}
	resp, _, err = t.get("head")
	if err != nil {
		return t, err
	}
	if again := resp.Header.Values("Set-Cookie"); len(again) > 0 {
		return t, fmt.Errorf("%s is not taken back: another one, %q", t.Cookie, again)
	}
	return t, nil
}

// counters asks the server, past any proxy.
func (b *backendProcess) counters() (counters, error) {
	var c counters
	_, body, err := target{Endpoint: b.setup.Servers[0], Path: "/"}.get("counters")
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(body), &c)
}
