package balance

import (
	"net/netip"
	"slices"
	"testing"
)

func TestLeaving(t *testing.T) {
	at := netip.MustParseAddrPort
	a := Backend{Name: "a", Endpoint: at("127.0.0.1:1"), Weight: 100}
	b := Backend{Name: "b", Endpoint: at("127.0.0.2:1"), Weight: 100}
	idle := b
	idle.Weight = 0
	moved := b
	moved.Endpoint = at("127.0.0.9:1")
	renamed := b
	renamed.Name = "b:1"
	second := b
	second.Name, second.Endpoint = "b:2", at("127.0.0.2:2")
	serves := func(backends ...Backend) *Listener {
		return &Listener{Serving: true, Endpoint: at("127.0.0.3:80"), Pool: Pool{Backends: backends}}
	}
	inactive := serves(a, b)
	inactive.Serving = false
	elsewhere := serves(a, b)
	elsewhere.Endpoint = at("127.0.0.4:80")
	rule := serves(a)
	rule.Rules = []*Rule{{Pool: Pool{Owner: "r1 ", Backends: []Backend{b}}}, {Pool: Pool{Owner: "r2 ", Backends: []Backend{b}}}}

	cases := []struct {
		name          string
		before, after *Listener
		all           bool
		servers       []string
	}{
		{"new", nil, serves(a), false, nil},
		{"the same", serves(a, b), serves(a, b), false, nil},
		{"in another order, one more", serves(a), serves(b, a), false, nil},
		{"gone", serves(a, b), nil, true, nil},
		{"inactive", serves(a, b), inactive, true, nil},
		{"active again", inactive, serves(a), false, nil},
		{"inactive and gone", inactive, nil, false, nil},
		{"elsewhere", serves(a, b), elsewhere, true, nil},
		{"one server gone", serves(a, b), serves(a), false, []string{"b"}},
		{"all servers gone", serves(a, b), serves(), false, []string{"a", "b"}},
		{"weight 0", serves(a, b), serves(a, idle), false, nil},
		{"weight 0, then gone", serves(a, idle), serves(a), false, []string{"b"}},
		{"server moved", serves(a, b), serves(a, moved), false, []string{"b"}},
		{"renamed", serves(a, b), serves(a, renamed), false, nil},
		{"listed twice, then once", serves(renamed, second), serves(b), false, []string{"b:2"}},
		{"into a rule", serves(a, b), rule, false, nil},
		{"out of two rules", rule, serves(a), false, []string{"r1 b", "r2 b"}},
	}
	for _, c := range cases {
		all, servers := Leaving(c.before, c.after)
		var names []string
		for _, s := range servers {
			names = append(names, s.Owner+s.Name)
		}
		if all != c.all || !slices.Equal(names, c.servers) {
			t.Errorf("%s: all %v, servers %v; want %v, %v", c.name, all, names, c.all, c.servers)
		}
	}
}
