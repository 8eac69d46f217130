package planner_test

import (
	"bytes"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/spec"
)

// TestTextOfAccess has lists of clients and checks change, and looks for what the plan
// says of it.
func TestTextOfAccess(t *testing.T) {
	office := func(entries ...any) spec.Resource {
		return resource("acl.office", attrs{"ip_version": "ipv4", "entries": entries})
	}
	checked := func(check attrs) spec.Resource { return listener("SLB1", "80", attrs{"health_check": check}) }
	listed := func(kind string) spec.Resource {
		return listener("SLB1", "80", attrs{"acl": "acl.office", "acl_type": kind})
	}
	const s = "2s"
	for _, c := range []struct {
		name             string
		recorded, wanted []spec.Resource
		want             string // the last lines
	}{
		{"a white list", quickstart(), with(quickstart(), office("0.0.0.0/1"), listed("white")),
			"    refused from now on: 128.0.0.0/1 (2147483648 addresses of IPv4); who is connected stays\n"},
		{"one address", with(quickstart(), office("192.0.2.1/32", "192.0.2.2/32"), listed("black")), with(quickstart(), office("192.0.2.2/32", "198.51.100.0/24"), listed("black")),
			"    refused from now on: 198.51.100.0/24 (256 addresses of IPv4); who is connected stays\n" +
				"    let in from now on: 192.0.2.1/32 (1 address of IPv4)\n"},
		{"many", with(quickstart(), office(), listed("black")),
			with(quickstart(), office("10.0.0.0/32", "10.0.0.2/32", "10.0.0.4/32", "10.0.0.6/32", "10.0.0.8/32"), listed("black")),
			"    refused from now on: 10.0.0.0/32, 10.0.0.2/32, 10.0.0.4/32, 10.0.0.6/32 and 1 more (5 addresses of IPv4); who is connected stays\n"},
		{"a faster check", quickstart(), with(quickstart(), checked(attrs{"enabled": true, "interval": "1s", "timeout": "1s", "healthy_threshold": 2.0})),
			"    health check: a dead server is noticed within 6s -> 3s (a silent one: 21s -> 6s), one that is back within 6s -> 2s (after silence: 11s -> 3s)\n"},
		{"no check", quickstart(), with(quickstart(), checked(attrs{"enabled": false, "interval": s})),
			"    no health check any more: a dead server keeps its share until somebody acts; so far it is noticed within 6s (a silent one: 21s)\n"},
		{"a check", with(quickstart(), checked(attrs{"enabled": false, "interval": s})), quickstart(),
			"    health check: a dead server is noticed within 6s (a silent one: 21s), one that is back within 6s (after silence: 11s); so far it keeps its share\n"},
	} {
		w := holding(t, c.recorded)
		in := w.input(t, config(t, c.wanted))
		in.SkipTraffic = false
		var text bytes.Buffer
		if err := mustMake(t, in).WriteText(&text, planner.Style{}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(text.String(), c.want) {
			t.Errorf("%s:\n%s\nwant at the end\n%s", c.name, text.String(), c.want)
		}
	}
}
