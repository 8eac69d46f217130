package balance

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestRequests(t *testing.T) {
	l := &Listener{Rules: []*Rule{
		{Domain: "www.a.test", URL: "/tom"}, {Domain: "www.a.test"}, {Domain: "*.a.test", URL: "/x y#%3F"}, {Domain: "any.a.test"}, {URL: "/img"},
	}}
	l.Endpoint = netip.MustParseAddrPort("[::1]:80")
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	want := "[{[::1] /} {www.a.test /} {www.a.test /tom} {any2.a.test /} {any2.a.test /x%20y%23%3F} {any.a.test /} {[::1] /img}]"
	if got := fmt.Sprint(l.Requests()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestRequestsReachEveryRule holds them to Route: each rule gets one, and so does the
// listener itself.
func TestRequestsReachEveryRule(t *testing.T) {
	label := rapid.SampledFrom([]string{"any", "any2", "a", "b"})
	rapid.Check(t, func(t *rapid.T) {
		l := &Listener{Pool: Pool{Owner: "own"}}
		l.Endpoint = netip.MustParseAddrPort("127.0.0.1:80")
		seen := map[string]bool{"": true}
		for range rapid.IntRange(0, 8).Draw(t, "rules") {
			domain := rapid.SampledFrom([]string{"", "a.test", "any.test", "*.test", "*.a.test", "*.any.test"}).Draw(t, "domain")
			if domain != "" {
				domain = rapid.SampledFrom([]string{"", "*."}).Draw(t, "star") + label.Draw(t, "label") + ".test"
			}
			url := rapid.SampledFrom([]string{"", "/a", "/a/b", "/ü", "/a b", "/%25"}).Draw(t, "url")
			if seen[domain+url] {
				continue
			}
			seen[domain+url] = true
			l.Rules = append(l.Rules, &Rule{Domain: domain, URL: url, Address: domain + url})
		}
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		reached := map[int]bool{}
		for _, q := range l.Requests() {
			route, ok := l.RouteRequest(nil, []byte(q.Host), []byte(q.Path))
			if !ok {
				t.Fatalf("%v cannot be asked", q)
			}
			reached[route.Pool] = true
		}
		for n := range l.Pools() {
			if !reached[n] {
				t.Fatalf("no request reaches pool %d of %v", n, l.Requests())
			}
		}
	})
}
